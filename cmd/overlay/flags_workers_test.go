package main

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestWorkerOptions: each option arrives where it belongs.
func TestWorkerOptions(t *testing.T) {
	dir := newTestFolder(t)
	for _, test := range []struct {
		name   string
		args   string
		limits workerLimits
		reload reloadConfig
	}{
		{"limits", "--maximum-requests 50 --restart-interval 1h --cpu-time-limit 60 --memory-limit 512M",
			workerLimits{MaximumRequests: 50, RestartInterval: time.Hour, CPUTime: time.Minute, Memory: 512 << 20, ProcessesMin: 1}, reloadConfig{Script: true}},
		{"scale to zero", "--inactivity-timeout 60 --processes-min 0",
			workerLimits{InactivityTimeout: time.Minute}, reloadConfig{Script: true}},
		{"reload on changes", "--reload-on-changes --reload-pattern *.html --reload-pattern *.txt",
			workerLimits{ProcessesMin: 1}, reloadConfig{Script: true, Modules: true, Patterns: []string{"*.html", "*.txt"}}},
		{"no reloading", "--disable-reloading", workerLimits{ProcessesMin: 1}, reloadConfig{}},
		{"rolling", "--rolling --processes 2", workerLimits{ProcessesMin: 1}, reloadConfig{Script: true, Rolling: true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg, err := parseConfig(dir, append(strings.Fields(test.args), "hello.wsgi")...)
			if err != nil {
				t.Fatal(err)
			}
			if cfg.WorkerLimits != test.limits {
				t.Errorf("limits %+v, want %+v", cfg.WorkerLimits, test.limits)
			}
			if !reflect.DeepEqual(cfg.Reload, test.reload) {
				t.Errorf("reload %+v, want %+v", cfg.Reload, test.reload)
			}
		})
	}
}

// TestMounts: each --mount is an application of its own; without an entry point
// the first one is the first application.
func TestMounts(t *testing.T) {
	dir := newTestFolder(t)
	if err := os.MkdirAll(filepath.Join(dir, "lib", "package"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args string
		want string
	}{
		{"hello.wsgi", "script hello.wsgi application /"},
		{"--mount /api mysite.wsgi:app hello.wsgi", "script hello.wsgi application /, module mysite.wsgi app /api"},
		{"--mount /a hello.wsgi --mount /b=htdocs.wsgi", "script hello.wsgi application /a, module htdocs.wsgi application /b"},
		{"--mount /a hello.wsgi --mount /b=package.wsgi --python-path lib", "script hello.wsgi application /a, module package.wsgi application /b"},
		{"--mount /a hello.wsgi --mount /b=mysite", "script hello.wsgi application /a, module mysite application /b"},
		{"--mount / mysite.wsgi:app", "module mysite.wsgi app /"},
	} {
		t.Run(test.args, func(t *testing.T) {
			cfg, err := parseConfig(dir, strings.Fields(test.args)...)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, app := range cfg.applications() {
				got = append(got, fmt.Sprintf("%s %s %s %s", app.Type, filepath.Base(app.EntryPoint), app.CallableObject, app.MountPoint))
			}
			if s := strings.Join(got, ", "); s != test.want {
				t.Errorf("applications %s, want %s", s, test.want)
			}
		})
	}
}

// TestWorkerOptionErrors: what cannot take effect is refused, with a hint.
func TestWorkerOptionErrors(t *testing.T) {
	dir := newTestFolder(t)
	for _, test := range []struct{ args, want string }{
		{"--maximum-requests -1", "--maximum-requests: got -1"},
		{"--processes-min 1", "no effect without --inactivity-timeout"},
		{"--inactivity-timeout 60 --processes 2 --processes-min 3", "--processes-min: got 3, want 0 to 2"},
		{"--inactivity-timeout 60 --processes-min -1", "--processes-min: got -1, want 0 to 1"},
		{"--disable-reloading --reload-on-changes", "contradict each other"},
		{"--reload-pattern *.html", "no effect without --reload-on-changes"},
		{"--reload-on-changes --reload-pattern [", "want a pattern of file names"},
		{"--reload-on-changes --reload-pattern a/*.html", "want a pattern of file names"},
		{"--response-buffer-size 262143", "--response-buffer-size: got 262143 bytes, want 262144 to 1073741824"},
		{"--response-buffer-size 1025M", "--response-buffer-size: got 1074790400 bytes"},
		{"--response-spool-size 1025M", "--response-spool-size: got 1074790400 bytes"},
		{"--mount /a missing.wsgi", "--mount /a: "},
		{"--mount /a missing.py", "/missing.py: no such file or directory"},
		{"--mount /a lib/missing", "/lib/missing: no such file or directory"},
		{"--mount /a hello.wsgi --mount /a/ mysite", "two applications at /a"},
		{"--mount a hello.wsgi", "--mount"},
		{"--rolling", "no effect with one worker process"},
	} {
		t.Run(test.args, func(t *testing.T) {
			_, err := parseConfig(dir, append(strings.Fields(test.args), "hello.wsgi")...)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v, want an error with %q", err, test.want)
			}
			if hintOf(err) == "" {
				t.Error("the error has no hint")
			}
		})
	}
}
