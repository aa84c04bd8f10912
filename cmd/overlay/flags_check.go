package main

import (
	"cmp"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Bounds of numbers that the program takes. They are far above what serves
// well, and catch a slip of the keyboard before it costs memory.
const (
	maxProcesses    = 1024
	maxThreads      = 1024
	maxQueueBacklog = 1_000_000
	maxTimeout      = 24 * time.Hour
)

// checker turns what was typed into a config. It holds what every check needs.
type checker struct {
	*serveCommand
	given map[string]int // options on the command line; a default does not count
	dir   string         // working directory of this process: base of relative names
	cfg   *config
	first string // what named the first application
}

// newConfig checks options one by one and against each other, and fills in the
// config. Relative names are relative to dir. The first error wins; each is a
// usageError.
func newConfig(c *serveCommand, given map[string]int, dir string) (*config, error) {
	k := &checker{serveCommand: c, given: given, dir: dir, cfg: &config{}, first: "entry point"}
	for _, check := range []func() error{
		k.application, k.entryPoint, k.files, k.serving, k.aliases, k.python, k.mounts,
		k.numbers, k.streaming, k.workers, k.listener, k.certificate, k.logs, k.metrics, k.embedded, k.effect, k.servable,
	} {
		if err := check(); err != nil {
			return nil, err
		}
	}
	return k.cfg, nil
}

// application decides the type of the application, and refuses a command line
// that serves nothing.
func (k *checker) application() error {
	k.firstMount()
	entry, err := k.entryPointName()
	if err != nil {
		return err
	}
	types := []string{string(applicationScript), string(applicationModule), string(applicationStatic)}
	typ := k.ApplicationType
	if typ != "" {
		if err := oneOf("--application-type", typ, types...); err != nil {
			return err
		}
	}
	hasFiles := k.DocumentRoot != "" || len(k.URLAlias) > 0
	switch {
	case typ == "" && entry != "":
		typ = string(applicationScript)
	case typ == "" && hasFiles:
		typ = string(applicationStatic)
	case typ == "" || (typ == string(applicationStatic) && !hasFiles && entry == ""):
		return usagef("to serve the files in this folder: overlay --document-root .", "nothing to serve: neither a document root nor an application is given")
	case typ == string(applicationStatic) && entry != "":
		return usagef("leave out one of them", "--application-type static has no application, but the entry point %q is given", entry)
	case typ != string(applicationStatic) && entry == "":
		return usagef("for example: overlay --application-type "+typ+" "+exampleEntry(typ), "--application-type %s needs an entry point", typ)
	}
	k.cfg.Application.Type = applicationType(typ)
	k.cfg.Application.EntryPoint = entry
	return nil
}

// entryPointName joins the two spellings of the entry point: the option is for
// those who come from mod_wsgi-express, where it wins over the positional one.
func (k *checker) entryPointName() (string, error) {
	option, argument := k.EntryPoint, k.EntryPointArgument
	if option != "" && argument != "" && option != argument {
		return "", usagef("keep one of them", "two entry points: --entry-point %q and %q", option, argument)
	}
	if option != "" {
		return option, nil
	}
	return argument, nil
}

func exampleEntry(typ string) string {
	if typ == string(applicationModule) {
		return "mysite.wsgi"
	}
	return "hello.wsgi"
}

// numbers checks counts, sizes and times.
func (k *checker) numbers() error {
	for _, n := range []struct {
		option         string
		got, low, high int
		hint           string
	}{
		{"processes", k.Processes, 1, maxProcesses, "one process per core is a good start"},
		{"threads", k.Threads, 1, maxThreads, "without --threads there are 5 in each process"},
		{"queue-backlog", k.QueueBacklog, 0, maxQueueBacklog, "without --queue-backlog 100 requests may wait"},
		{"port", k.Port, 0, 65535, "--port 0 lets the system choose a free one"},
		{"https-port", k.HTTPSPort, 0, 65535, "--https-port 0 lets the system choose a free one"},
	} {
		if n.got < n.low || n.got > n.high {
			return usagef(n.hint, "--%s: got %d, want %d to %d", n.option, n.got, n.low, n.high)
		}
	}
	for _, t := range []struct {
		option   string
		got      time.Duration
		zeroHint string // "" when zero has a meaning
	}{
		{"queue-timeout", k.QueueTimeout, "to refuse at once what finds no free thread: --queue-backlog 0"},
		{"startup-timeout", k.StartupTimeout, "there is no unbounded wait: give a large number"},
		{"request-timeout", k.RequestTimeout, ""},
		{"interrupt-timeout", k.InterruptTimeout, "to let no request be interrupted: --request-timeout 0"},
		{"deadlock-timeout", k.DeadlockTimeout, ""},
		{"graceful-timeout", k.GracefulTimeout, ""},
		{"shutdown-timeout", k.ShutdownTimeout, "exit handlers need some time: --shutdown-timeout 100ms"},
		{"restart-interval", k.RestartInterval, ""},
		{"cpu-time-limit", k.CPUTimeLimit, ""},
		{"inactivity-timeout", k.InactivityTimeout, ""},
		{"header-timeout", k.HeaderTimeout, "there is no unbounded wait: give a large number"},
		{"header-max-timeout", k.HeaderMaxTimeout, ""},
		{"body-timeout", k.BodyTimeout, ""},
		{"body-max-timeout", k.BodyMaxTimeout, ""},
		{"cache-revalidate", k.CacheRevalidate, ""},
		{"keep-alive-timeout", k.KeepAliveTimeout, ""},
		{"socket-timeout", k.SocketTimeout, "there is no unbounded wait: give a large number"},
		{"response-socket-timeout", k.ResponseSocketTimeout, ""},
	} {
		if t.got == 0 && t.zeroHint != "" {
			return usagef(t.zeroHint, "--%s: got 0, want more", t.option)
		}
		if t.got > maxTimeout {
			return usagef("a plain number means seconds", "--%s: got %v, want at most %v", t.option, t.got, maxTimeout)
		}
	}
	if k.HeaderMaxTimeout > 0 && k.HeaderMaxTimeout < k.HeaderTimeout {
		if k.given["header-max-timeout"] > 0 {
			return usagef("--header-max-timeout 0 means no limit", "--header-max-timeout: got %v, less than the header timeout of %v", k.HeaderMaxTimeout, k.HeaderTimeout)
		}
		k.HeaderMaxTimeout = k.HeaderTimeout
	}
	if k.BodyMaxTimeout > 0 && k.BodyMaxTimeout < k.BodyTimeout {
		return usagef("--body-max-timeout 0 means no limit", "--body-max-timeout: got %v, less than the body timeout of %v", k.BodyMaxTimeout, k.BodyTimeout)
	}
	if k.LimitRequestBody == 0 {
		return usagef("there is no unlimited body: give the largest that you expect, such as 10G", "--limit-request-body: got 0, want more")
	}
	k.cfg.Processes, k.cfg.Threads = k.Processes, k.Threads
	k.cfg.NoModWSGIModule = k.NoModWsgiModule
	k.cfg.QueueBacklog, k.cfg.QueueTimeout = k.QueueBacklog, k.QueueTimeout
	k.cfg.StartupTimeout, k.cfg.GracefulTimeout = k.StartupTimeout, k.GracefulTimeout
	k.cfg.RequestTimeout, k.cfg.InterruptTimeout = k.RequestTimeout, k.InterruptTimeout
	k.cfg.DeadlockTimeout, k.cfg.ShutdownTimeout = k.DeadlockTimeout, k.ShutdownTimeout
	k.cfg.HeaderTimeout, k.cfg.KeepAliveTimeout = k.HeaderTimeout, k.KeepAliveTimeout
	k.cfg.SocketTimeout = k.SocketTimeout
	k.cfg.ResponseSocketTimeout = cmp.Or(k.ResponseSocketTimeout, k.SocketTimeout)
	k.cfg.HeaderMaxTimeout, k.cfg.HeaderMinRate = k.HeaderMaxTimeout, int64(k.HeaderMinRate)
	k.cfg.BodyTimeout, k.cfg.BodyMaxTimeout, k.cfg.BodyMinRate = k.BodyTimeout, k.BodyMaxTimeout, int64(k.BodyMinRate)
	k.cfg.LimitRequestBody = int64(k.LimitRequestBody)
	return nil
}

// listener checks where to listen. A host name is resolved by the listener.
func (k *checker) listener() error {
	host := strings.TrimSuffix(strings.TrimPrefix(k.Host, "["), "]")
	if _, err := netip.ParseAddr(host); err != nil {
		if addr, err := netip.ParseAddrPort(k.Host); err == nil {
			return usagef(fmt.Sprintf("--host %s --port %d", addr.Addr(), addr.Port()), "--host: %q holds a port", k.Host)
		}
		if name, port, ok := strings.Cut(host, ":"); ok {
			return usagef(fmt.Sprintf("--host %s --port %s", name, port), "--host: got %q, want an address or a host name", k.Host)
		}
		if strings.ContainsAny(host, "/ *") || host == "" {
			return usagef("--host 0.0.0.0 listens on every address of this machine", "--host: got %q, want an address or a host name", k.Host)
		}
	}
	https := k.given["https-port"] > 0
	if https && k.HTTPSPort == k.Port && k.Port != 0 {
		return usagef("HTTP and HTTPS each need a port of their own", "--port and --https-port are both %d", k.Port)
	}
	k.cfg.Host, k.cfg.Port = host, k.Port
	k.cfg.HTTPS, k.cfg.HTTPSPort = https, k.HTTPSPort
	return nil
}

// logs checks formats and levels; Apache's names of levels get a hint.
func (k *checker) logs() error {
	if err := oneOf("--log-format", k.LogFormat, "text", "json"); err != nil {
		return err
	}
	if err := oneOf("--access-log-format", k.AccessLogFormat, "common", "combined", "json"); err != nil {
		return err
	}
	level, err := parseLogLevel(k.LogLevel)
	if err != nil {
		return err
	}
	k.cfg.LogLevel, k.cfg.LogFormat = level, k.LogFormat
	k.cfg.AccessLog, k.cfg.AccessLogFormat = k.AccessLog, k.AccessLogFormat
	return nil
}

// effect refuses options that cannot take effect beside the others, so that
// nobody relies on one that does nothing.
func (k *checker) effect() error {
	if k.cfg.Application.Type == applicationStatic {
		for _, option := range []string{
			"callable-object", "mount-point", "working-directory", "setenv", "python", "python-path", "embedded-mode",
			"no-mod-wsgi-module", "processes", "threads", "queue-backlog", "queue-timeout", "startup-timeout", "limit-request-body", "stream-request-body",
			"request-timeout", "interrupt-timeout", "deadlock-timeout", "shutdown-timeout",
			"maximum-requests", "restart-interval", "cpu-time-limit", "memory-limit",
			"inactivity-timeout", "processes-min", "reload-on-changes", "reload-pattern", "disable-reloading", "rolling",
			"response-buffer-size", "response-spool-size", "body-timeout", "body-max-timeout", "body-min-rate",
		} {
			if k.given[option] > 0 {
				return usagef("leave it out, or name the application: overlay --document-root DIR hello.wsgi",
					"--%s has no effect: only files are served, no application", option)
			}
		}
	}
	if k.cfg.DocumentRoot == "" && !k.aliasesFolder() {
		for _, option := range fileOptions {
			if k.given[option] > 0 {
				return usagef("add --document-root DIR", "--%s has no effect without a document root", option)
			}
		}
	}
	if k.given["queue-timeout"] > 0 && k.QueueBacklog == 0 {
		return usagef("leave out one of them", "--queue-timeout has no effect with --queue-backlog 0: nothing waits")
	}
	if k.given["interrupt-timeout"] > 0 && k.RequestTimeout == 0 {
		return usagef("leave out one of them", "--interrupt-timeout has no effect with --request-timeout 0: nothing is interrupted")
	}
	if k.given["access-log-format"] > 0 && !k.AccessLog {
		return usagef("add --access-log", "--access-log-format has no effect without --access-log")
	}
	return nil
}
