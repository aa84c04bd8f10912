package workerapi

import (
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"overlay/tests/e2e/program"
)

// TestFacts: what the process is, and that asking costs a request nothing.
func TestFacts(t *testing.T) {
	each(t, "quiet", func(t *testing.T, s *server) {
		type facts struct {
			Version          string
			ProcessGroup     string `json:"process_group"`
			MaximumProcesses int    `json:"maximum_processes"`
			Threads          int    `json:"threads_per_process"`
			Software         string
			Timeout          []string
		}
		got := ask[facts](t, s, "/facts")
		if got.Version == "" || got.Software != "overlay/"+got.Version {
			t.Errorf("version %q, SERVER_SOFTWARE %q", got.Version, got.Software)
		}
		if got.ProcessGroup != "/" || got.MaximumProcesses != 1 || got.Threads != 3 {
			t.Errorf("facts %+v, want /, 1 process, 3 threads", got)
		}
		if want := []string{"RequestTimeout", "BaseException", "object"}; !slices.Equal(got.Timeout, want) {
			t.Errorf("RequestTimeout is %q, want %q", got.Timeout, want)
		}
		loaded := ask[[]string](t, s, "/loaded")
		if slices.Contains(loaded, "_overlay.observe") || slices.Contains(loaded, "_overlay.metrics") {
			t.Errorf("requests are watched and nobody has asked for it: %q", loaded)
		}
		help := ask[map[string]string](t, s, "/help")
		if !strings.HasPrefix(help["doc"], "The server that runs") || !strings.HasPrefix(help["source"], "def subscribe_events") {
			t.Errorf("help is %q", help)
		}
	})
}

// TestTimes: the keys of the environ are floats, in order, and of this moment.
func TestTimes(t *testing.T) {
	each(t, "quiet", func(t *testing.T, s *server) {
		before := seconds(time.Now())
		got := ask[struct {
			Now   float64
			Times map[string]float64
			Types []string
			Dict  bool
		}](t, s, "/times")
		if !got.Dict || !slices.Equal(got.Types, []string{"float"}) {
			t.Errorf("environ is a dict: %v, times are %q", got.Dict, got.Types)
		}
		// The clocks of two processes, and of perf_counter and the day, differ by less.
		const slack = 0.1
		last := before - slack
		for _, name := range []string{"request_start", "queue_start", "daemon_start", "application_start"} {
			ours, theirs := got.Times["overlay."+name], got.Times["mod_wsgi."+name]
			if ours != theirs {
				t.Errorf("%s: %v under our name, %v under theirs", name, ours, theirs)
			}
			if name == "daemon_start" && s.host.embedded {
				if ours != 0 {
					t.Errorf("daemon_start %v in embedded mode, want 0.0", ours)
				}
				continue
			}
			if ours < last-slack || ours > got.Now+slack {
				t.Errorf("%s: %v, want between %v and %v", name, ours, last, got.Now)
			}
			last = ours
		}
		if len(got.Times) != 8 {
			t.Errorf("times %v, want 8", got.Times)
		}
	})
}

func seconds(t time.Time) float64 { return float64(t.UnixMicro()) / 1e6 }

// TestRequestData: also in the request that asks first, and nowhere else.
func TestRequestData(t *testing.T) {
	each(t, "quiet", func(t *testing.T, s *server) {
		for range 3 {
			got := ask[struct {
				Data    map[string]string
				Outside []string
			}](t, s, "/data")
			if len(got.Data) != 1 || got.Data["key"] != "value" {
				t.Errorf("request_data() = %v, want one key", got.Data)
			}
			if len(got.Outside) != 1 {
				t.Errorf("outside of a request: %q, want a RuntimeError", got.Outside)
			}
		}
	})
}

// TestActiveRequests counts the request that asks, seen from its beginning or not.
func TestActiveRequests(t *testing.T) {
	each(t, "quiet", func(t *testing.T, s *server) {
		for range 3 {
			got := ask[map[string]int](t, s, "/active")
			if len(got) != 1 {
				t.Errorf("active_requests() = %v, want one", got)
			}
			for id, thread := range got {
				if id == "" || thread < 1 || thread > 3 {
					t.Errorf("request %q on thread %d, want 1 to 3", id, thread)
				}
			}
		}
	})
}

// TestMetrics of overlay itself: the first call begins to record.
func TestMetrics(t *testing.T) {
	each(t, "quiet", func(t *testing.T, s *server) {
		type figures struct {
			PID          int
			RequestCount int     `json:"request_count"`
			Active       int     `json:"active_requests"`
			RSS          float64 `json:"memory_rss"`
			CPU          float64 `json:"cpu_time"`
			Running      float64 `json:"running_time"`
			Threads      []struct {
				ID int `json:"thread_id"`
				N  int `json:"request_count"`
			}
		}
		ask[figures](t, s, "/metrics") // not counted: it was not watched
		ask[[]string](t, s, "/loaded")
		var got figures
		// A request is over for its client a moment before it is for the thread.
		for deadline := time.Now().Add(time.Minute); got.RequestCount < 2 && time.Now().Before(deadline); {
			got = ask[figures](t, s, "/metrics")
		}
		sum := 0
		for _, thread := range got.Threads {
			sum += thread.N
		}
		if got.RequestCount < 2 || sum != got.RequestCount || got.Active < 1 || got.PID == 0 || got.RSS < 1<<20 || got.CPU <= 0 {
			t.Errorf("process_metrics() = %+v", got)
		}
		window := ask[map[string]any](t, s, "/window")
		if n, _ := window["request_count"].(float64); n < 2 {
			t.Errorf("request_metrics() counts %v requests", window["request_count"])
		}
		again := ask[map[string]any](t, s, "/window")
		if n, _ := again["request_count"].(float64); n != 1 || again["start_time"] != window["stop_time"] {
			t.Errorf("the next window begins at %v with %v requests, want %v and the one that asked before", again["start_time"], n, window["stop_time"])
		}
	})
}

// TestNoModWSGIModule: the option takes one module away, and the other stays.
func TestNoModWSGIModule(t *testing.T) {
	each(t, "quiet", func(t *testing.T, s *server) {
		if got := ask[string](t, s, "/mod_wsgi"); !strings.Contains(got, "mod_wsgi") {
			t.Errorf("import mod_wsgi: %q, want an ImportError", got)
		}
		ask[map[string]any](t, s, "/facts")
	}, "--no-mod-wsgi-module")
	each(t, "quiet", func(t *testing.T, s *server) {
		if got := ask[[]int](t, s, "/mod_wsgi"); len(got) != 3 || got[0] != 6 {
			t.Errorf("mod_wsgi.version = %v, want 6.x.x", got)
		}
	})
}

// TestOwnModule: a module overlay of the application's own is the one it gets,
// and the express package below mod_wsgi can still be imported.
func TestOwnModule(t *testing.T) {
	for _, h := range hosts(t)[:1] {
		dir := t.TempDir()
		files := map[string]string{
			"overlay.py":                    "mine = 'own module'\n",
			"mod_wsgi/__init__.py":          "raise RuntimeError('not this one')\n",
			"mod_wsgi/express/__init__.py":  "there = 'express package'\n",
			"space/overlay/no_package.data": "",
			"app.wsgi": `import overlay, mod_wsgi.express
def application(environ, start_response):
    start_response('200 OK', [])
    return [(overlay.mine + ', ' + mod_wsgi.express.there + ', ' + str(callable(mod_wsgi.subscribe_events))).encode()]
`,
		}
		write(t, dir, files)
		s := &server{theProgram.Start(t, program.Config{Args: program.Patient("--python", h.python, "app.wsgi"), Dir: dir}), h}
		if status, body := s.get(t, "/"); status != 200 || body != "own module, express package, True" {
			t.Errorf("status %d, %q\n%s", status, body, s.Log())
		}

		// A folder of that name is no module.
		plain := t.TempDir()
		write(t, plain, map[string]string{
			"overlay/readme.txt": "",
			"app.wsgi":           "import overlay\ndef application(e, s):\n    s('200 OK', [])\n    return [str(overlay.threads_per_process).encode()]\n",
		})
		s = &server{theProgram.Start(t, program.Config{Args: program.Patient("--python", h.python, "app.wsgi"), Dir: plain}), h}
		if status, body := s.get(t, "/"); status != 200 || body != "5" {
			t.Errorf("with a folder overlay: status %d, %q\n%s", status, body, s.Log())
		}
	}
}

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := dir + "/" + name
		if err := os.MkdirAll(path[:strings.LastIndexByte(path, '/')], 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestStopReasons: process_stopping says what ended the worker process.
func TestStopReasons(t *testing.T) {
	h := hosts(t)[0]
	tests := []struct {
		name string
		args []string
		act  func(t *testing.T, s *server)
		want string
	}{
		{"the server stops", nil, func(_ *testing.T, s *server) { s.Signal(syscall.SIGTERM) }, "shutdown_signal"},
		{"reload", nil, func(_ *testing.T, s *server) { s.Signal(syscall.SIGHUP) }, "script_reload"},
		{"SIGUSR1 to the worker process", nil, func(t *testing.T, s *server) { kill(t, s, syscall.SIGUSR1) }, "graceful_signal"},
		{"SIGTERM to the worker process", nil, func(t *testing.T, s *server) { kill(t, s, syscall.SIGTERM) }, "shutdown_signal"},
		{"maximum requests", []string{"--maximum-requests", "5"}, func(t *testing.T, s *server) {
			for range 5 {
				s.get(t, "/plain")
			}
		}, "maximum_requests"},
		{"restart interval", []string{"--restart-interval", "1"}, nil, "restart_interval"},
		{"inactivity", []string{"--inactivity-timeout", "1", "--processes-min", "0"}, nil, "inactivity_timeout"},
		{"memory", []string{"--memory-limit", "1M"}, nil, "memory_limit"},
		{"CPU time", []string{"--cpu-time-limit", "0.01"}, nil, "cpu_time_limit"}, // it takes more to start
		{"a request that cannot be interrupted", []string{"--request-timeout", "0.2", "--interrupt-timeout", "0.2"}, func(t *testing.T, s *server) {
			if status, _ := s.get(t, "/hangs"); status != 504 {
				t.Errorf("status %d, want 504", status)
			}
		}, "request_timeout"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel() // it waits for the second in which limits are looked at
			s := h.start(t, "watched", tt.args...)
			if tt.act != nil {
				tt.act(t, s)
			}
			s.waitLog(t, `told of process_stopping (\w+)`, tt.want)
		})
	}
	t.Run("embedded mode", func(t *testing.T) {
		for _, h := range hosts(t) {
			if h.embedded {
				s := h.start(t, "watched")
				s.Signal(syscall.SIGTERM)
				s.waitLog(t, `told of process_stopping (\w+)`, "shutdown_signal")
				return
			}
		}
		t.Skip("no interpreter with a shared library")
	})
}

// TestSignals: subscribers are told of SIGUSR2 and SIGHUP to their process, which lives on; in
// embedded mode signals are the server's, and the log says so.
func TestSignals(t *testing.T) {
	each(t, "watched", func(t *testing.T, s *server) {
		if s.host.embedded {
			s.waitLog(t, `(signals are the server's)`, "signals are the server's")
			return
		}
		kill(t, s, syscall.SIGUSR2)
		s.waitLog(t, `told of process_signal (\{.*"signame": "SIGUSR2", "signum": 12\})`, `{"signame": "SIGUSR2", "signum": 12}`)
		kill(t, s, syscall.SIGHUP)
		s.waitLog(t, `told of process_signal (\{.*"signame": "SIGHUP", "signum": 1\})`, `{"signame": "SIGHUP", "signum": 1}`)
		if status, body := s.get(t, "/plain"); status != 200 {
			t.Errorf("after that status %d, %q", status, body)
		}
	})
}

// kill sends a signal to the worker process that answers.
func kill(t *testing.T, s *server, sig syscall.Signal) {
	t.Helper()
	figures := ask[struct{ Process struct{ PID int } }](t, s, "/metrics")
	if figures.Process.PID == 0 {
		t.Fatal("no process")
	}
	if err := syscall.Kill(figures.Process.PID, sig); err != nil {
		t.Fatal(err)
	}
}

// waitLog waits until the log matches; the first group has to be want.
func (s *server) waitLog(t *testing.T, expression, want string) {
	t.Helper()
	re := regexp.MustCompile(expression)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if found := re.FindStringSubmatch(s.Log()); found != nil {
			if found[1] != want {
				t.Errorf("got %q, want %q", found[0], want)
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s\n%s", expression, s.Log())
		}
	}
}

// near reports whether two numbers of a sum are the same.
func near(a, b float64) bool { return math.Abs(a-b) < 1e-6 }
