package main

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"time"
)

// bannerInfo is what only the running server knows.
type bannerInfo struct {
	HTTP, HTTPS net.Addr // as listened on; nil when there is no such listener

	PythonPath, PythonVersion string // "" without an application

	// Metrics is where the metrics page is, nil if there is none.
	Metrics net.Addr

	// AppError is why the application does not run, nil if it does.
	AppError error

	// Network holds the addresses under which others reach this machine. They are
	// shown for a listener on all addresses; networkAddrs returns them.
	Network []netip.Addr
}

// banner says in a few lines on w what is served where. It goes to stderr, so
// that stdout has nothing but the access log. With --log-format json it is a
// record of the log, since a program reads that.
func banner(w io.Writer, cfg *config, info bannerInfo) {
	if cfg.LogFormat == "json" {
		bannerRecord(w, cfg, info)
		return
	}
	var out bytes.Buffer
	row := func(name, format string, args ...any) {
		fmt.Fprintf(&out, "  %-13s", name)
		out.Write(appendEscaped(nil, fmt.Sprintf(format, args...)))
		out.WriteByte('\n')
	}
	fmt.Fprintf(&out, "overlay %s serves\n", overlayVersion())
	name := "at"
	for _, url := range info.urls() {
		row(name, "%s", url)
		name = ""
	}
	if info.Metrics != nil {
		row("metrics", "http://%s%s", info.Metrics, metricsPath)
	}
	if cfg.SelfMade {
		row("certificate", "made by overlay: browsers warn until they know %s", cfg.SelfMadeAnchor)
	}
	if cfg.TLS.AnchorFile != "" {
		row("clients", "%s", cfg.asks())
	}
	if cfg.DocumentRoot != "" {
		row("files", "%s", cfg.DocumentRoot)
	}
	for _, a := range cfg.URLAliases {
		row("alias", "%s -> %s", a.Path, a.Target)
	}
	if cfg.Application.Type != applicationStatic {
		name := "application"
		for _, app := range cfg.applications() {
			where := ""
			if app.MountPoint != "/" {
				where = ", below " + app.MountPoint
			}
			row(name, "%s %s, callable %s%s", app.Type, app.EntryPoint, app.CallableObject, where)
			name = ""
		}
		if info.AppError != nil {
			row("", "NOT RUNNING, the log says why; it is tried again")
		}
		row("Python", "%s, %s", info.PythonVersion, info.PythonPath)
		row("workers", "%s x %s", count(cfg.Processes, "process", "processes"), count(cfg.Threads, "thread", "threads"))
		row("queue", "%s", queueLimits(cfg))
		row("limits", "request body %s, %s", formatBytes(cfg.LimitRequestBody), timeLimits(cfg))
	} else {
		row("limits", "%s", timeLimits(cfg))
	}
	if warning := info.warning(cfg); warning != "" {
		fmt.Fprintf(&out, "overlay: warning: %s\n", warning)
	}
	_, _ = w.Write(out.Bytes()) // the server serves without it
}

// bannerRecord is the banner for programs.
func bannerRecord(w io.Writer, cfg *config, info bannerInfo) {
	log := slog.New(newLogHandler(w, cfg.LogFormat, slog.LevelInfo))
	attrs := []any{
		"version", overlayVersion(), "urls", info.urls(),
	}
	if info.Metrics != nil {
		attrs = append(attrs, "metrics", "http://"+info.Metrics.String()+metricsPath)
	}
	if cfg.SelfMade {
		attrs = append(attrs, "self_made_anchor", cfg.SelfMadeAnchor)
	}
	if cfg.TLS.AnchorFile != "" {
		attrs = append(attrs, "clients", cfg.asks())
	}
	if cfg.DocumentRoot != "" {
		attrs = append(attrs, "document_root", cfg.DocumentRoot)
	}
	if len(cfg.URLAliases) > 0 {
		aliases := map[string]string{}
		for _, a := range cfg.URLAliases {
			aliases[a.Path] = a.Target
		}
		attrs = append(attrs, "url_aliases", aliases)
	}
	if app := &cfg.Application; app.Type != applicationStatic {
		attrs = append(attrs,
			"application_type", app.Type, "entry_point", app.EntryPoint, "callable_object", app.CallableObject,
			"mount_point", app.MountPoint, "python", info.PythonPath, "python_version", info.PythonVersion,
			"processes", cfg.Processes, "threads", cfg.Threads, "queue_backlog", cfg.QueueBacklog,
			"queue_timeout_seconds", cfg.QueueTimeout.Seconds(), "limit_request_body", cfg.LimitRequestBody)
	}
	log.Info("serving", attrs...)
	if warning := info.warning(cfg); warning != "" {
		log.Warn(warning)
	}
}

func queueLimits(cfg *config) string {
	if cfg.QueueBacklog == 0 {
		return "none: 503 when every thread is busy"
	}
	return fmt.Sprintf("%s may wait, %s at most", count(cfg.QueueBacklog, "request", "requests"), formatTime(cfg.QueueTimeout))
}

// timeLimits lists the deadlines that a client meets.
func timeLimits(cfg *config) string {
	idle := "no keep-alive"
	if cfg.KeepAliveTimeout > 0 {
		idle = "idle " + formatTime(cfg.KeepAliveTimeout)
	}
	return fmt.Sprintf("header %s, silence %s, %s, stop %s",
		formatTime(cfg.HeaderTimeout), formatTime(cfg.SocketTimeout), idle, formatTime(cfg.GracefulTimeout))
}

// formatTime writes d in seconds, the unit of the options: 75s, not 1m15s.
func formatTime(d time.Duration) string {
	if d%time.Second == 0 {
		return fmt.Sprintf("%ds", d/time.Second)
	}
	return d.String()
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// urls lists where a browser finds the site. A listener on all addresses has no
// URL of its own: it gets one for this machine, and one for each address that
// others use.
func (info *bannerInfo) urls() []string {
	var urls []string
	for _, l := range []struct {
		scheme string
		addr   net.Addr
	}{{"http", info.HTTP}, {"https", info.HTTPS}} {
		if l.addr == nil {
			continue
		}
		addr, err := netip.ParseAddrPort(l.addr.String())
		if err != nil {
			urls = append(urls, l.scheme+"://"+l.addr.String()+"/")
			continue
		}
		if !addr.Addr().IsUnspecified() {
			urls = append(urls, l.scheme+"://"+addr.String()+"/")
			continue
		}
		urls = append(urls, fmt.Sprintf("%s://localhost:%d/", l.scheme, addr.Port()))
		for _, ip := range info.Network {
			// A listener on 0.0.0.0 has IPv4 only, one on :: both.
			if ip.Is4() || addr.Addr().Is6() {
				urls = append(urls, l.scheme+"://"+netip.AddrPortFrom(ip, addr.Port()).String()+"/")
			}
		}
	}
	return urls
}

// warning says who else can see the site, "" when only this machine can.
func (info *bannerInfo) warning(cfg *config) string {
	public := false
	for _, addr := range []net.Addr{info.HTTP, info.HTTPS} {
		if tcp, ok := addr.(*net.TCPAddr); ok && !tcp.IP.IsLoopback() {
			public = true
		}
	}
	if !public || cfg.gatesEverything() {
		return ""
	}
	what := "read these files and use the application"
	switch {
	case cfg.Application.Type == applicationStatic:
		what = "read these files"
	case cfg.DocumentRoot == "" && len(cfg.URLAliases) == 0:
		what = "use the application"
	}
	return "everybody on the network can " + what + "; --host 127.0.0.1 is for this machine alone"
}

// networkAddrs returns the addresses of this machine that others can use: no
// loopback and no link-local ones. It returns nil when they cannot be found out.
func networkAddrs() []netip.Addr {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var found []netip.Addr
	for _, a := range addrs {
		prefix, err := netip.ParsePrefix(a.String())
		if err != nil {
			continue
		}
		if ip := prefix.Addr().Unmap(); ip.IsGlobalUnicast() {
			found = append(found, ip)
		}
	}
	return found
}
