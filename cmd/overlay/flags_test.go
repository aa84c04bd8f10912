package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// newTestFolder makes the files that the command lines of the tests name, in a
// folder of its own, which becomes the working directory.
func newTestFolder(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"hello.wsgi", "htdocs/index.html", "uploads/a.txt"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := writeCertificate(filepath.Join(dir, "one")); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	return dir
}

// parseConfig does what serving does with a command line, up to the config.
func parseConfig(dir string, args ...string) (*config, error) {
	cli, kctx, err := parse(args)
	if err != nil {
		return nil, err
	}
	return newConfig(&cli.StartServer, given(kctx), dir)
}

func TestConfigDefaults(t *testing.T) {
	dir := newTestFolder(t)
	got, err := parseConfig(dir, "hello.wsgi")
	if err != nil {
		t.Fatal(err)
	}
	want := &config{
		Host: "127.0.0.1", Port: 8000,
		DirectoryIndex: []string{"index.html"},
		Files:          filesConfig{CacheSize: 256 << 20, CacheRevalidate: time.Second, CacheEntries: 32768},
		Application: applicationConfig{
			Type: applicationScript, EntryPoint: filepath.Join(dir, "hello.wsgi"),
			CallableObject: "application", MountPoint: "/", WorkingDirectory: dir,
		},
		Processes: 1, Threads: 5,
		QueueBacklog: 100, QueueTimeout: 45 * time.Second,
		StartupTimeout: 15 * time.Second, GracefulTimeout: 15 * time.Second,
		RequestTimeout: time.Minute, InterruptTimeout: 5 * time.Second, DeadlockTimeout: time.Minute,
		ShutdownTimeout: 5 * time.Second,
		ResponseBuffer:  1 << 20, ResponseSpool: 128 << 20,
		WorkerLimits: workerLimits{ProcessesMin: 1}, Reload: reloadConfig{Script: true},
		LimitRequestBody: 10 << 20,
		SocketTimeout:    60 * time.Second, HeaderTimeout: 15 * time.Second, ResponseSocketTimeout: 60 * time.Second,
		HeaderMaxTimeout: 30 * time.Second, HeaderMinRate: 500, BodyTimeout: 15 * time.Second, BodyMinRate: 500,
		KeepAliveTimeout: 75 * time.Second,
		LogFormat:        "text", AccessLogFormat: "common",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("overlay hello.wsgi:\n got %+v\nwant %+v", got, want)
	}
}

func TestConfig(t *testing.T) {
	dir := newTestFolder(t)
	in := func(name string) string { return filepath.Join(dir, name) }
	for _, test := range []struct {
		name string
		args string
		get  func(*config) any
		want any
	}{
		{"static by document root", "--document-root htdocs", func(c *config) any { return c.Application.Type }, applicationStatic},
		{"static by alias", "--url-alias /u uploads", func(c *config) any { return c.Application.Type }, applicationStatic},
		{"static said", "--application-type static --document-root .", func(c *config) any { return c.DocumentRoot }, dir},
		{"static has no callable", "--document-root .", func(c *config) any { return c.Application.CallableObject }, ""},
		{"script beneath files", "--document-root htdocs hello.wsgi", func(c *config) any { return c.Application.Type }, applicationScript},
		{"options behind the entry point", "hello.wsgi --document-root htdocs", func(c *config) any { return c.DocumentRoot }, in("htdocs")},
		{"words after --", "--port 80 -- hello.wsgi", func(c *config) any { return c.Application.EntryPoint }, in("hello.wsgi")},
		{"explicit command", "start-server hello.wsgi", func(c *config) any { return c.Application.EntryPoint }, in("hello.wsgi")},
		{"entry point as option", "--entry-point hello.wsgi", func(c *config) any { return c.Application.EntryPoint }, in("hello.wsgi")},
		{"entry point twice, the same", "--entry-point hello.wsgi hello.wsgi", func(c *config) any { return c.Application.EntryPoint }, in("hello.wsgi")},
		{"module", "--application-type module mysite.wsgi", func(c *config) any { return c.Application.EntryPoint }, "mysite.wsgi"},
		{"module keeps the default callable", "--application-type module mysite.wsgi", func(c *config) any { return c.Application.CallableObject }, "application"},
		{"module with callable", "--application-type module mysite.wsgi:app", func(c *config) any { return c.Application.EntryPoint + " " + c.Application.CallableObject }, "mysite.wsgi app"},
		{"callable said twice, the same", "--application-type module --callable-object app m:app", func(c *config) any { return c.Application.CallableObject }, "app"},
		{"callable", "--callable-object app hello.wsgi", func(c *config) any { return c.Application.CallableObject }, "app"},
		{"alias in two words", "--url-alias /u uploads", func(c *config) any { return c.URLAliases }, []urlAlias{{"/u", in("uploads")}}},
		{"alias in one word", "--url-alias /u=uploads", func(c *config) any { return c.URLAliases }, []urlAlias{{"/u", in("uploads")}}},
		{"alias in one word behind =", "--url-alias=/u=uploads", func(c *config) any { return c.URLAliases }, []urlAlias{{"/u", in("uploads")}}},
		{"aliases keep their order", "--url-alias /u/ uploads --url-alias /a.txt=uploads/a.txt", func(c *config) any { return c.URLAliases }, []urlAlias{{"/u", in("uploads")}, {"/a.txt", in("uploads/a.txt")}}},
		{"index files", "--document-root . --directory-index a.html,b.html --directory-index c.html", func(c *config) any { return c.DirectoryIndex }, []string{"a.html", "b.html", "c.html"}},
		{"index files of an alias", "--url-alias /u uploads --directory-index a.txt", func(c *config) any { return c.DirectoryIndex }, []string{"a.txt"}},
		{"listing", "--document-root . --directory-listing", func(c *config) any { return c.DirectoryListing }, true},
		{"switch off", "--document-root . --directory-listing=false", func(c *config) any { return c.DirectoryListing }, false},
		{"setenv in two words", "--setenv A b=c hello.wsgi", func(c *config) any { return c.Application.SetEnv }, []envVar{{"A", "b=c"}}},
		{"setenv in one word", "--setenv A=b=c hello.wsgi", func(c *config) any { return c.Application.SetEnv }, []envVar{{"A", "b=c"}}},
		{"setenv, empty value", "--setenv A= hello.wsgi", func(c *config) any { return c.Application.SetEnv }, []envVar{{"A", ""}}},
		{"setenv, value with a dash", "--setenv A -1 hello.wsgi", func(c *config) any { return c.Application.SetEnv }, []envVar{{"A", "-1"}}},
		{"setenv does not expand", "--setenv A $HOME hello.wsgi", func(c *config) any { return c.Application.SetEnv }, []envVar{{"A", "$HOME"}}},
		{"python path keeps commas", "--python-path uploads --python-path htdocs hello.wsgi", func(c *config) any { return c.Application.PythonPath }, []string{in("uploads"), in("htdocs")}},
		{"working directory", "--working-directory uploads hello.wsgi", func(c *config) any { return c.Application.WorkingDirectory }, in("uploads")},
		{"mount point loses its slash", "--mount-point /api/ hello.wsgi", func(c *config) any { return c.Application.MountPoint }, "/api"},
		{"seconds", "--queue-timeout 2 hello.wsgi", func(c *config) any { return c.QueueTimeout }, 2 * time.Second},
		{"parts of a second", "--queue-timeout .5 hello.wsgi", func(c *config) any { return c.QueueTimeout }, 500 * time.Millisecond},
		{"time with a unit", "--queue-timeout 1m30s hello.wsgi", func(c *config) any { return c.QueueTimeout }, 90 * time.Second},
		{"no keep-alive", "--keep-alive-timeout 0 hello.wsgi", func(c *config) any { return c.KeepAliveTimeout }, time.Duration(0)},
		{"stop at once", "--graceful-timeout 0 hello.wsgi", func(c *config) any { return c.GracefulTimeout }, time.Duration(0)},
		{"no request timeout", "--request-timeout 0 hello.wsgi", func(c *config) any { return c.RequestTimeout }, time.Duration(0)},
		{"no deadlock timeout", "--deadlock-timeout 0 hello.wsgi", func(c *config) any { return c.DeadlockTimeout }, time.Duration(0)},
		{"interrupt timeout", "--interrupt-timeout 1 hello.wsgi", func(c *config) any { return c.InterruptTimeout }, time.Second},
		{"responses", "--response-socket-timeout 5 hello.wsgi", func(c *config) any { return c.ResponseSocketTimeout }, 5 * time.Second},
		{"responses as bodies", "--socket-timeout 7 hello.wsgi", func(c *config) any { return c.ResponseSocketTimeout }, 7 * time.Second},
		{"the longest time", "--socket-timeout 24h hello.wsgi", func(c *config) any { return c.SocketTimeout }, 24 * time.Hour},
		{"no queue", "--queue-backlog 0 hello.wsgi", func(c *config) any { return c.QueueBacklog }, 0},
		{"the longest queue", "--queue-backlog 1000000 hello.wsgi", func(c *config) any { return c.QueueBacklog }, maxQueueBacklog},
		{"most processes", "--processes 1024 hello.wsgi", func(c *config) any { return c.Processes }, maxProcesses},
		{"most threads", "--threads 1024 hello.wsgi", func(c *config) any { return c.Threads }, maxThreads},
		{"body in bytes", "--limit-request-body 1 hello.wsgi", func(c *config) any { return c.LimitRequestBody }, int64(1)},
		{"body with a unit", "--limit-request-body 2g hello.wsgi", func(c *config) any { return c.LimitRequestBody }, int64(2 << 30)},
		{"port by the system", "--port 0 hello.wsgi", func(c *config) any { return c.Port }, 0},
		{"highest port", "--port 65535 hello.wsgi", func(c *config) any { return c.Port }, 65535},
		{"IPv6", "--host ::1 hello.wsgi", func(c *config) any { return c.Host }, "::1"},
		{"IPv6 in brackets", "--host [::1] hello.wsgi", func(c *config) any { return c.Host }, "::1"},
		{"host name", "--host localhost hello.wsgi", func(c *config) any { return c.Host }, "localhost"},
		{"HTTPS", "--https-port 8443 --ssl-certificate-file one.crt --ssl-certificate-key-file one.key hello.wsgi", func(c *config) any {
			return []any{c.HTTPS, c.HTTPSPort, c.TLS.Certificates[0].File, c.TLS.Certificates[0].KeyFile}
		}, []any{true, 8443, in("one.crt"), in("one.key")}},
		{"HTTPS by prefix", "--https-port 8443 --ssl-certificate one hello.wsgi", func(c *config) any { return []any{c.TLS.Certificates[0].File, c.TLS.Certificates[0].KeyFile} }, []any{in("one.crt"), in("one.key")}},
		{"HTTPS port by the system", "--https-port 0 --port 0 --ssl-certificate one hello.wsgi", func(c *config) any { return []any{c.HTTPS, c.HTTPSPort} }, []any{true, 0}},
		{"access log", "--access-log --access-log-format json hello.wsgi", func(c *config) any { return []any{c.AccessLog, c.AccessLogFormat} }, []any{true, "json"}},
		{"log", "--log-level debug --log-format json hello.wsgi", func(c *config) any { return []any{c.LogLevel.String(), c.LogFormat} }, []any{"DEBUG", "json"}},
		{"metrics", "--metrics-listen 192.0.2.1:9113 hello.wsgi", func(c *config) any { return c.MetricsListen }, "192.0.2.1:9113"},
		{"metrics, a port alone", "--metrics-listen 9113 hello.wsgi", func(c *config) any { return c.MetricsListen }, "127.0.0.1:9113"},
		{"metrics, a port with a colon", "--metrics-listen :0 hello.wsgi", func(c *config) any { return c.MetricsListen }, "127.0.0.1:0"},
		{"metrics, IPv6", "--metrics-listen [::1]:9113 hello.wsgi", func(c *config) any { return c.MetricsListen }, "[::1]:9113"},
		{"metrics, a name", "--metrics-listen localhost:9113 hello.wsgi", func(c *config) any { return c.MetricsListen }, "localhost:9113"},
		{"metrics, the port of another address", "--port 9113 --metrics-listen 127.0.0.2:9113 hello.wsgi", func(c *config) any { return c.MetricsListen }, "127.0.0.2:9113"},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg, err := parseConfig(dir, strings.Fields(test.args)...)
			if err != nil {
				t.Fatalf("overlay %s: %v", test.args, err)
			}
			if got := test.get(cfg); !reflect.DeepEqual(got, test.want) {
				t.Errorf("overlay %s: got %v, want %v", test.args, got, test.want)
			}
		})
	}
}

func TestPythonIsNotResolved(t *testing.T) {
	dir := newTestFolder(t)
	if err := os.MkdirAll("venv/bin", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("real", []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	// The link is what makes a virtual environment: its target would run without.
	if err := os.Symlink("../../real", "venv/bin/python"); err != nil {
		t.Fatal(err)
	}
	want := filepath.Join(dir, "venv/bin/python")
	t.Setenv("PATH", filepath.Join(dir, "venv/bin"))
	for _, name := range []string{"venv/bin/python", want, "python", "venv", "./venv/"} {
		cfg, err := parseConfig(dir, "--python", name, "hello.wsgi")
		if err != nil {
			t.Fatal(err)
		}
		if cfg.Application.Python != want {
			t.Errorf("--python %s: got %q, want %q", name, cfg.Application.Python, want)
		}
	}
}
