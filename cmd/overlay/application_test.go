package main

import (
	"io"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"overlay/fallthrough"
	"overlay/pybridge"
)

// TestOptionsReachTheApplication: what an option says of worker processes and of their requests
// is what the packages that do it are told.
func TestOptionsReachTheApplication(t *testing.T) {
	dir := newTestFolder(t)
	type group = fallthru.GroupOptions
	type bridge = pybridge.Options
	for _, test := range []struct {
		args   string
		change any // func(*group) or func(*bridge): what differs from the defaults
	}{
		{"", nil},
		{"--processes 3", func(g *group) { g.Processes = 3 }},
		{"--processes 3", func(b *bridge) { b.Processes, b.Multiprocess = 3, true }},
		{"--threads 7", func(g *group) { g.Threads = 7 }},
		{"--threads 7", func(b *bridge) { b.Threads = 7 }},
		{"--queue-backlog 9", func(g *group) { g.QueueBacklog = 9 }},
		{"--queue-backlog 0", func(g *group) { g.QueueBacklog = -1 }},
		{"--queue-timeout 9", func(g *group) { g.QueueTimeout = 9 * time.Second }},
		{"--startup-timeout 9", func(g *group) { g.StartupTimeout = 9 * time.Second }},
		{"--graceful-timeout 9", func(g *group) { g.GracefulTimeout = 9 * time.Second }},
		{"--graceful-timeout 0", func(g *group) { g.GracefulTimeout = -1 }},
		{"--shutdown-timeout 9", func(g *group) { g.ShutdownTimeout = 9 * time.Second }},
		{"--maximum-requests 9", func(g *group) { g.MaximumRequests = 9 }},
		{"--restart-interval 9", func(g *group) { g.RestartInterval = 9 * time.Second }},
		{"--cpu-time-limit 9", func(g *group) { g.CPUTimeLimit = 9 * time.Second }},
		{"--memory-limit 9M", func(g *group) { g.MemoryLimit = 9 << 20 }},
		{"--inactivity-timeout 9", func(g *group) { g.InactivityTimeout = 9 * time.Second }},
		{"--processes 3 --inactivity-timeout 9 --processes-min 2", func(g *group) {
			g.Processes, g.InactivityTimeout, g.ProcessesMin = 3, 9*time.Second, 2
		}},
		{"--inactivity-timeout 9 --processes-min 0", func(g *group) { g.InactivityTimeout, g.ProcessesMin = 9*time.Second, 0 }},
		{"--processes 3 --rolling", func(g *group) { g.Processes, g.Rolling = 3, true }},
		{"--request-timeout 9", func(b *bridge) { b.RequestTimeout = 9 * time.Second }},
		{"--request-timeout 0", func(b *bridge) { b.RequestTimeout = 0 }},
		{"--interrupt-timeout 9", func(b *bridge) { b.InterruptTimeout = 9 * time.Second }},
		{"--deadlock-timeout 9", func(b *bridge) { b.DeadlockTimeout = 9 * time.Second }},
		{"--deadlock-timeout 0", func(b *bridge) { b.DeadlockTimeout = 0 }},
		{"--response-buffer-size 9M", func(b *bridge) { b.ResponseBuffer = 9 << 20 }},
		{"--response-spool-size 9M", func(b *bridge) { b.ResponseSpool = 9 << 20 }},
		{"--response-spool-size 0", func(b *bridge) { b.ResponseSpool = 0 }},
		{"--no-mod-wsgi-module", func(b *bridge) { b.NoModWSGI = true }},
		{"--setenv A b", func(b *bridge) { b.SetEnv = []pybridge.Variable{{Name: "A", Value: "b"}} }},
		{"--callable-object app", func(b *bridge) { b.Application.Callable = "app" }},
		{"--mount-point /m", func(b *bridge) { b.ProcessGroup = "/m" }},
		{"--document-root htdocs", func(b *bridge) {
			b.Environ = append(b.Environ, pybridge.Variable{Name: "DOCUMENT_ROOT", Value: dir + "/htdocs"})
		}},
	} {
		t.Run(test.args, func(t *testing.T) {
			cfg, err := parseConfig(dir, append(strings.Fields(test.args), "hello.wsgi")...)
			if err != nil {
				t.Fatal(err)
			}
			gotGroup := groupOptions(cfg, nil, slog.New(slog.NewTextHandler(io.Discard, nil)))
			gotBridge := pythonOptions(cfg, &cfg.Application, "/python")
			if gotGroup.ClientGone == nil || gotBridge.ClientGone == nil || gotGroup.Logger == nil {
				t.Error("nobody asks whether clients are gone, or there is no log")
			}
			gotGroup.ClientGone, gotGroup.Logger, gotBridge.ClientGone = nil, nil, nil
			wantGroup := fallthru.GroupOptions{
				Processes: 1, Threads: 5, QueueBacklog: 100, QueueTimeout: 45 * time.Second,
				StartupTimeout: 15 * time.Second, GracefulTimeout: 15 * time.Second, ShutdownTimeout: 5 * time.Second, ProcessesMin: 1,
			}
			wantBridge := pybridge.Options{
				Python:      "/python",
				Application: pybridge.Application{Script: true, EntryPoint: dir + "/hello.wsgi", Callable: "application", Directory: dir},
				Threads:     5, Processes: 1, Version: overlayVersion(), ProcessGroup: "/",
				RequestTimeout: time.Minute, InterruptTimeout: 5 * time.Second, DeadlockTimeout: time.Minute,
				ResponseBuffer: 1 << 20, ResponseSpool: 128 << 20,
				Environ: []pybridge.Variable{{Name: "SERVER_SOFTWARE", Value: "overlay/" + overlayVersion()}},
			}
			switch change := test.change.(type) {
			case func(*group):
				change(&wantGroup)
				if !reflect.DeepEqual(gotGroup, wantGroup) {
					t.Errorf("the process group is told %+v, want %+v", gotGroup, wantGroup)
				}
			case func(*bridge):
				change(&wantBridge)
				if !reflect.DeepEqual(gotBridge, wantBridge) {
					t.Errorf("the worker process is told %+v, want %+v", gotBridge, wantBridge)
				}
			default:
				if !reflect.DeepEqual(gotGroup, wantGroup) || !reflect.DeepEqual(gotBridge, wantBridge) {
					t.Errorf("by default told %+v and %+v, want %+v and %+v", gotGroup, gotBridge, wantGroup, wantBridge)
				}
			}
		})
	}
}
