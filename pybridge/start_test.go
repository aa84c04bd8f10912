package pybridge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const helloSource = `
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]
`

// ask sends one GET request to w and returns the body of the answer.
func ask(t testing.TB, w *Worker, path string) (string, error) {
	t.Helper()
	ctx := contextOf(t, plainConn, "GET "+path+" HTTP/1.1\r\nHost: h\r\n\r\n")
	done := make(chan error, 1)
	go func() { done <- w.Serve(ctx, &Request{Path: []byte(path)}, func() {}) }()
	err := receive(t, "an answer", done)
	return string(ctx.Response.Body()), err
}

func TestStart(t *testing.T) {
	w, rec := startScript(t, helloSource)
	if body, err := ask(t, w, "/"); err != nil || body != "hello" {
		t.Errorf("got %q, %v", body, err)
	}
	if about, want := w.Interpreter(), requirePython(t); about.Version != want.Version || about.Implementation != want.Implementation {
		t.Errorf("it says it is %v, Inspect said %v", about, want)
	}
	if w.State() != "" || !alive(w.PID()) {
		t.Errorf("state %q of a worker process that lives", w.State())
	}
	w.Stop(t.Context())
	if w.State() != "exit status 0" || alive(w.PID()) {
		t.Errorf("state %q after Stop, want exit status 0\n%s", w.State(), rec.logged())
	}
}

// TestStopLeavesNothing: every interpreter ends cleanly, in the order of Python: nothing
// of overlay's keeps the application alive until no finalizer can run any more.
func TestStopLeavesNothing(t *testing.T) {
	pythons := []string{requirePython(t).Path}
	prepared, err := filepath.Glob("../.cache/python/*/bin/python")
	if err != nil {
		t.Fatal(err)
	}
	for _, python := range append(pythons, prepared...) {
		t.Run(filepath.Base(filepath.Dir(filepath.Dir(python))), func(t *testing.T) {
			w, rec := startScript(t, `
import socket
class Application:
    def __init__(self):
        self.socket = socket.socket()  # whose finalizer warns of it
    def __call__(self, environ, start_response):
        start_response("200 OK", [])
        return [b"hello"]
application = Application()
`, func(o *Options) { o.Python = python })
			if body, err := ask(t, w, "/"); err != nil || body != "hello" {
				t.Errorf("got %q, %v", body, err)
			}
			w.Stop(t.Context())
			if w.State() != "exit status 0" || len(rec.printed()) > 0 {
				t.Errorf("state %q after Stop, printed %q; want exit status 0 and nothing", w.State(), rec.printed())
			}
		})
	}
}

// TestStartFails: an application that cannot be loaded, and what is said of it.
func TestStartFails(t *testing.T) {
	tests := []struct {
		name   string
		source string
		load   bool   // it is a LoadError
		text   string // part of the error
	}{
		{"import error", "import no_such_module_anywhere\n", true, "ModuleNotFoundError: No module named 'no_such_module_anywhere'"},
		{"exception", "def f():\n    raise ValueError('deep down')\nf()\n", true, "ValueError: deep down"},
		{"syntax error", "def application(:\n", true, "SyntaxError"},
		{"no application", "app = print\n", true, "try --callable-object app"},
		{"cannot be called", "application = 42\n", true, "which cannot be called"},
		{"exits", "import sys\nsys.exit(7)\n", true, "SystemExit: 7"},
		{"is gone at once", "import os\nos._exit(9)\n", false, "exit status 9"},
		{"is killed", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n", false, "signal: killed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			opts, rec := scriptOptions(t, tt.source)
			w, err := Start(t.Context(), opts)
			if err == nil {
				w.Kill()
				<-w.Done()
				t.Fatal("Start gave no error")
			}
			var load *LoadError
			if errors.As(err, &load) != tt.load || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("Start: %v, want %q, a LoadError: %v\n%s", err, tt.text, tt.load, rec.logged())
			}
			if tt.load && tt.name == "exception" && !strings.Contains(load.Text, "in f") {
				t.Errorf("the traceback lacks its frames: %s", load.Text)
			}
			if tt.load && strings.Contains(load.Text, "<overlay>") {
				t.Errorf("the traceback shows overlay's own frames: %s", load.Text)
			}
		})
	}
}

// TestLoadErrorIsNotLost: what the application died of is told each time,
// however soon the process has ended after it said so.
func TestLoadErrorIsNotLost(t *testing.T) {
	for i := range 40 {
		p, started := offerPeer(t)
		p.hello(t)
		p.send(p.control, frameHeader{kind: frameFailed}, "Traceback")
		p.exit(3)
		var load *LoadError
		if err := receive(t, "Start returns", started); !errors.As(err, &load) {
			t.Fatalf("start %d: %v, want the LoadError", i, err)
		}
	}
}

func TestStartTimeout(t *testing.T) {
	opts, _ := scriptOptions(t, "import time\ntime.sleep(600)\n")
	reason := errors.New("startup timeout of the test")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 300*time.Millisecond, reason)
	defer cancel()
	if _, err := Start(ctx, opts); !errors.Is(err, reason) {
		t.Errorf("Start: %v, want %v", err, reason)
	}
}

func TestStartOptions(t *testing.T) {
	good := Options{Python: "/python", Application: Application{EntryPoint: "app", Directory: "/"}}
	tests := []struct {
		name   string
		change func(*Options)
		want   string // part of the error; "" for none
	}{
		{"as it is", func(*Options) {}, ""},
		{"as many threads as can be numbered", func(o *Options) { o.Threads = exchangeIndex }, ""},
		{"one more", func(o *Options) { o.Threads = exchangeIndex + 1 }, "threads: got 4096, want 1 to 4095"},
		{"negative threads", func(o *Options) { o.Threads = -1 }, "threads: got -1"},
		{"the smallest buffer", func(o *Options) { o.ResponseBuffer = minResponseBuffer }, ""},
		{"a smaller one", func(o *Options) { o.ResponseBuffer = minResponseBuffer - 1 }, "response buffer: got 262143 bytes, want at least 262144"},
		{"no entry point", func(o *Options) { o.Application.EntryPoint = "" }, "no entry point"},
		{"relative directory", func(o *Options) { o.Application.Directory = "here" }, `working directory: got "here", want an absolute path`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			opts := good
			tt.change(&opts)
			_, err := opts.withDefaults()
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("withDefaults: %v, want %q", err, tt.want)
			}
		})
	}
	opts := good
	opts.Python = filepath.Join(t.TempDir(), "gone")
	if _, err := Start(t.Context(), opts); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), opts.Python) {
		t.Errorf("Start without an interpreter: %v, want its path", err)
	}
}

// TestStopAndKill: Stop runs the exit handlers, Kill does not.
func TestStopAndKill(t *testing.T) {
	const source = helloSource + `
import atexit, os
open(os.path.join(os.path.dirname(__file__), "begun"), "w").close()
atexit.register(lambda: open(os.path.join(os.path.dirname(__file__), "ended"), "w").close())
`
	for _, kill := range []bool{false, true} {
		t.Run(fmt.Sprintf("kill %v", kill), func(t *testing.T) {
			w, _ := startScript(t, source)
			dir := w.opts.Application.Directory
			if kill {
				w.Kill()
				receive(t, "its end", w.Done())
			} else {
				w.Stop(t.Context())
			}
			if _, err := os.Stat(filepath.Join(dir, "begun")); err != nil {
				t.Error(err)
			}
			if _, err := os.Stat(filepath.Join(dir, "ended")); (err == nil) == kill {
				t.Errorf("exit handlers have run: %v", err == nil)
			}
			if want := map[bool]string{false: "exit status 0", true: "signal: killed"}[kill]; w.State() != want {
				t.Errorf("state %q, want %q", w.State(), want)
			}
		})
	}
}

// TestStopRunsSIGTERMHandler: a handler that the application has set for SIGTERM runs when the
// process is stopped, before the exit handlers, whatever becomes of it.
func TestStopRunsSIGTERMHandler(t *testing.T) {
	const source = `
import atexit, signal, sys
atexit.register(print, "exit handler", flush=True)
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]
`
	for name, tt := range map[string]struct {
		handler string
		want    []string
	}{
		"none":      {"", []string{"exit handler"}},
		"returns":   {"lambda number, frame: print('handler', number)", []string{"handler 15", "exit handler"}},
		"exits":     {"lambda number, frame: sys.exit(print('handler', number))", []string{"handler 15", "exit handler"}},
		"raises":    {"lambda number, frame: 1 / 0", []string{"exit handler"}},
		"ignored":   {"signal.SIG_IGN", []string{"exit handler"}},
		"goes on":   {"lambda number, frame, before=signal.getsignal(15): (print('handler'), before(number, frame))", []string{"handler", "exit handler"}},
		"default":   {"signal.SIG_DFL", []string{"exit handler"}},
		"never set": {"signal.getsignal(signal.SIGTERM)", []string{"exit handler"}},
	} {
		t.Run(name, func(t *testing.T) {
			text := source
			if tt.handler != "" {
				text += "signal.signal(signal.SIGTERM, " + tt.handler + ")\n"
			}
			w, rec := startScript(t, text)
			w.Stop(t.Context())
			var got []string
			for _, line := range rec.printed() {
				if line, ok := strings.CutPrefix(line, "stdout: "); ok {
					got = append(got, line)
				}
			}
			if !slices.Equal(got, tt.want) || w.State() != "exit status 0" {
				t.Errorf("printed %q, state %q; want %q and exit status 0\n%s", got, w.State(), tt.want, rec.logged())
			}
			if raised := strings.Contains(strings.Join(rec.printed(), "\n"), "ZeroDivisionError"); raised != (name == "raises") {
				t.Errorf("an exception in the log: %v\n%q", raised, rec.printed())
			}
		})
	}
}

// TestStopHangs: exit handlers that do not end are ended with ctx.
func TestStopHangs(t *testing.T) {
	w, _ := startScript(t, helloSource+"import atexit, time\natexit.register(time.sleep, 600)\n")
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	w.Stop(ctx)
	if w.State() != "signal: killed" {
		t.Errorf("state %q, want signal: killed", w.State())
	}
}

// TestLeavingOnSignals: a signal asks for a replacement, and the process goes
// on until it is stopped.
func TestLeavingOnSignals(t *testing.T) {
	for _, sig := range []struct {
		number syscall.Signal
		name   string
	}{{syscall.SIGTERM, "SIGTERM"}, {syscall.SIGINT, "SIGINT"}, {syscall.SIGUSR1, "SIGUSR1"}} {
		t.Run(sig.name, func(t *testing.T) {
			w, _ := startScript(t, helloSource)
			if err := syscall.Kill(w.PID(), sig.number); err != nil {
				t.Fatal(err)
			}
			if reason := receive(t, "it asks to be replaced", w.Leaving()); !strings.Contains(reason, sig.name) {
				t.Errorf("reason %q, want %s", reason, sig.name)
			}
			if body, err := ask(t, w, "/"); err != nil || body != "hello" {
				t.Errorf("a request afterwards: %q, %v", body, err)
			}
		})
	}
}

// TestOutput: every line arrives whole, from Python, from below it, at the end.
func TestOutput(t *testing.T) {
	w, rec := startScript(t, `
import atexit, os, sys
print("at import")
atexit.register(print, "at exit")
def application(environ, start_response):
    print("out", "of", "pieces")
    print("no end of line", end="")
    print(" until now")
    print("to stderr", file=sys.stderr)
    environ["wsgi.errors"].write("to wsgi.errors\n")
    os.write(1, b"from below\n")
    print("\u20ac and \udcff")
    print("x" * 100000)
    start_response("200 OK", [])
    return [b"hello"]
`)
	if body, err := ask(t, w, "/"); err != nil || body != "hello" {
		t.Fatalf("got %q, %v", body, err)
	}
	w.Stop(t.Context())
	lines := rec.printed()
	for _, want := range []string{
		"stdout: at import", "stdout: out of pieces", "stdout: no end of line until now", "stderr: to stderr",
		"stderr: to wsgi.errors", "stdout: from below", "stdout: \u20ac and \\udcff", "stdout: at exit",
	} {
		if !slices.Contains(lines, want) {
			t.Errorf("the line %q is missing", want)
		}
	}
	long := 0
	for _, line := range lines {
		if strings.HasPrefix(line, "stdout: xxx") {
			long += len(line) - len("stdout: ")
			if len(line) > maxLine+len("stdout: ") {
				t.Errorf("a piece of %d bytes", len(line))
			}
		}
	}
	if long != 100_000 {
		t.Errorf("%d bytes of a line of 100000", long)
	}
}

// TestApplicationMessages: what an application makes overlay say may be long;
// the worker process and its other requests live on.
func TestApplicationMessages(t *testing.T) {
	w, rec := startScript(t, `
def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/exception":
        raise ValueError("x" * 2000000)
    if path == "/head":
        start_response("200 OK", [("X-%d" % i, "y" * 1000) for i in range(2000)])
    elif path == "/name":
        start_response("200 OK", [("n" * 2000000 + " ", "v")])
    else:
        start_response("200 OK", [])
    return [b"hello"]
`)
	for _, path := range []string{"/exception", "/head", "/name"} {
		if _, err := ask(t, w, path); !errors.Is(err, ErrApplication) {
			t.Errorf("%s: %v, want ErrApplication", path, err)
		}
		if body, err := ask(t, w, "/"); err != nil || body != "hello" {
			t.Fatalf("after %s: %q, %v\n%.2000s", path, body, err, rec.logged())
		}
	}
}

// TestSettingsArrive: options reach the application.
func TestSettingsArrive(t *testing.T) {
	extra := t.TempDir()
	w, _ := startScript(t, `
import json, os, sys
def application(environ, start_response):
    start_response("200 OK", [])
    keys = "wsgi.multithread wsgi.multiprocess DOCUMENT_ROOT COLOUR SCRIPT_FILENAME".split()
    return [json.dumps({
        "environ": {key: environ.get(key) for key in keys}, "colour": os.environ.get("COLOUR"),
        "directory": os.getcwd(), "path": sys.path[:2], "argv": sys.argv,
    }).encode()]
`, func(o *Options) {
		o.Threads, o.Multiprocess = 1, true
		o.Environ = []Variable{{"DOCUMENT_ROOT", "/srv"}}
		o.SetEnv = []Variable{{"COLOUR", "blü"}}
		o.Application.Path = []string{extra}
	})
	body, err := ask(t, w, "/")
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Environ   map[string]any
		Colour    string
		Directory string
		Path      []string
		Argv      []string
	}
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	app := w.opts.Application
	if e := got.Environ; e["wsgi.multithread"] != false || e["wsgi.multiprocess"] != true || e["DOCUMENT_ROOT"] != "/srv" || e["COLOUR"] != "blü" || e["SCRIPT_FILENAME"] != app.EntryPoint {
		t.Errorf("environ %v", e)
	}
	if got.Colour != "blü" || got.Directory != app.Directory || !slices.Equal(got.Path, []string{app.Directory, extra}) {
		t.Errorf("COLOUR %q, directory %q, path %q", got.Colour, got.Directory, got.Path)
	}
}

// TestNothingIsLeft: no goroutine, descriptor or process outlives its worker.
func TestNothingIsLeft(t *testing.T) {
	opts, _ := scriptOptions(t, helloSource)
	broken, _ := scriptOptions(t, "raise SystemExit\n")
	missing := opts
	missing.Python = filepath.Join(t.TempDir(), "gone")
	var pids []int
	cycle := func(i int) {
		w, err := Start(t.Context(), opts)
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, w.PID())
		if _, err := ask(t, w, "/"); err != nil {
			t.Error(err)
		}
		if i%2 == 0 {
			w.Stop(t.Context())
		} else {
			w.Kill()
			receive(t, "its end", w.Done())
		}
		for _, o := range []Options{broken, missing} {
			if i%5 == 0 {
				if _, err := Start(t.Context(), o); err == nil {
					t.Error("Start gave no error")
				}
			}
		}
	}
	cycle(0) // what is made once
	runtime.GC()
	descriptors, goroutines := openDescriptors(t), runtime.NumGoroutine()
	for i := range 50 {
		cycle(i)
	}
	waitFor(t, "every goroutine has ended", func() bool { return runtime.NumGoroutine() <= goroutines })
	// No garbage collection here: what only a finalizer closes counts as left.
	if n := openDescriptors(t); n > descriptors {
		t.Errorf("%d descriptors are open, %d were", n, descriptors)
	}
	for _, pid := range pids {
		if alive(pid) {
			t.Errorf("process %d lives", pid)
		}
	}
}

// TestServerKilled: worker processes do not outlive a server process that is
// killed with SIGKILL.
func TestServerKilled(t *testing.T) {
	opts, _ := scriptOptions(t, helloSource)
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(executable)
	cmd.Env = append(os.Environ(), roleVariable+"="+roleServer,
		"OVERLAY_TEST_PYTHON="+opts.Python, "OVERLAY_TEST_SCRIPT="+opts.Application.EntryPoint)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Fscan(stdout, &pid); err != nil || !alive(pid) {
		t.Errorf("worker process %d: %v", pid, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait() // it was killed
	waitFor(t, "worker process "+strconv.Itoa(pid)+" has ended", func() bool { return !alive(pid) })
}

// runServer starts a worker process, says which, and waits to be killed.
func runServer() int {
	script := os.Getenv("OVERLAY_TEST_SCRIPT")
	w, err := Start(context.Background(), Options{
		Python:      os.Getenv("OVERLAY_TEST_PYTHON"),
		Application: Application{Script: true, EntryPoint: script, Directory: filepath.Dir(script)},
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(w.PID())
	<-w.Done()
	return 2
}
