package main

import (
	"bytes"
	"flag"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

// golden compares got with testdata/name, which -update rewrites.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	gotLines, wantLines := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
	for i := range max(len(gotLines), len(wantLines)) {
		if i >= len(gotLines) || i >= len(wantLines) {
			t.Fatalf("%s: got %d lines, want %d; go test -update rewrites it", path, len(gotLines), len(wantLines))
		}
		if gotLines[i] != wantLines[i] {
			t.Fatalf("%s, line %d (go test -update rewrites it):\n got %q\nwant %q", path, i+1, gotLines[i], wantLines[i])
		}
	}
}

func TestBanner(t *testing.T) {
	tcp := func(ip string, port int) net.Addr { return &net.TCPAddr{IP: net.ParseIP(ip), Port: port} }
	static := config{
		DocumentRoot: "/srv/htdocs", Application: applicationConfig{Type: applicationStatic},
		HeaderTimeout: 15 * time.Second, SocketTimeout: time.Minute, KeepAliveTimeout: 75 * time.Second, GracefulTimeout: 15 * time.Second,
	}
	full := static
	full.URLAliases = []urlAlias{{"/media", "/srv/uploads"}, {"/favicon.ico", "/srv/icon.ico"}}
	full.Application = applicationConfig{Type: applicationModule, EntryPoint: "mysite.wsgi", CallableObject: "app", MountPoint: "/api"}
	full.Processes, full.Threads, full.QueueBacklog, full.QueueTimeout = 2, 5, 100, 45*time.Second
	full.LimitRequestBody, full.KeepAliveTimeout, full.GracefulTimeout = 10<<20, 0, 500*time.Millisecond
	script := full
	script.DocumentRoot, script.URLAliases = "", nil
	script.Application = applicationConfig{Type: applicationScript, EntryPoint: "/srv/\x1b[31mhello.wsgi", CallableObject: "application", MountPoint: "/"}
	script.Processes, script.Threads, script.QueueBacklog = 1, 1, 1
	noQueue := script
	noQueue.QueueBacklog = 0
	python := bannerInfo{HTTP: tcp("127.0.0.1", 8000), PythonPath: "/usr/bin/python3", PythonVersion: "CPython 3.11.2"}
	network := []netip.Addr{netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8::7")}

	fullTLS := python
	fullTLS.HTTPS = tcp("127.0.0.1", 8443)
	everywhere := python
	everywhere.HTTP, everywhere.Network = tcp("::", 8000), network

	for _, test := range []struct {
		golden string
		cfg    config
		info   bannerInfo
	}{
		{"banner_static.golden", static, bannerInfo{HTTP: tcp("127.0.0.1", 8000)}},
		{"banner_static_public.golden", static, bannerInfo{HTTP: tcp("0.0.0.0", 8000), Network: network}},
		{"banner_script_public.golden", script, everywhere},
		{"banner_no_queue.golden", noQueue, python},
		{"banner_full.golden", full, fullTLS},
		{"banner_full_one_address.golden", full, bannerInfo{HTTP: tcp("2001:db8::7", 80), PythonPath: "/p", PythonVersion: "PyPy 3.11.13"}},
	} {
		t.Run(test.golden, func(t *testing.T) {
			var out bytes.Buffer
			test.cfg.LogFormat = "text"
			banner(&out, &test.cfg, test.info)
			golden(t, test.golden, withoutVersion(out.Bytes()))
		})
	}
	t.Run("json", func(t *testing.T) {
		var out bytes.Buffer
		full.LogFormat, full.LogLevel = "json", slog.LevelError // the banner is no matter of levels
		banner(&out, &full, everywhere)
		golden(t, "banner_json.golden", regexp.MustCompile(`"time":"[^"]*"`).ReplaceAll(withoutVersion(out.Bytes()), []byte(`"time":"…"`)))
	})
}

// withoutVersion replaces the version, which depends on the build.
func withoutVersion(text []byte) []byte {
	return bytes.ReplaceAll(text, []byte(overlayVersion()), []byte("VERSION"))
}

func TestNetworkAddrs(t *testing.T) {
	for _, addr := range networkAddrs() {
		if addr.IsLoopback() || addr.IsLinkLocalUnicast() || addr.IsUnspecified() {
			t.Errorf("%v is not an address for others", addr)
		}
	}
}
