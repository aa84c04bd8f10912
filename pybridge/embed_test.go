//go:build cgo

package pybridge

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// embeddedVariable names the interpreter that a process of this test binary is
// to embed: there can be one in a process.
const embeddedVariable = "OVERLAY_TEST_EMBEDDED"

// embeddable returns the interpreters with a shared library: those that
// ./test prepare has made environments for, or the usual one.
func embeddable(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob("../.cache/python/cpython-*/bin/python")
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		found = []string{requirePython(t).Path}
	}
	var list []string
	for _, path := range found {
		path, err := filepath.Abs(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Library(t.Context(), path); err != nil {
			t.Logf("left out: %v", err)
			continue
		}
		list = append(list, path)
	}
	if len(list) == 0 {
		t.Skip("no interpreter with a shared library")
	}
	return list
}

// TestEmbedded runs TestInEmbedded in a process for each interpreter, and in
// one without a locale.
func TestEmbedded(t *testing.T) {
	list := embeddable(t)
	for i, python := range list {
		name := filepath.Base(filepath.Dir(filepath.Dir(python)))
		t.Run(name, func(t *testing.T) { runInside(t, python, "LC_ALL=C.UTF-8", "PYTHONHOME=/nowhere") })
		if i == len(list)-1 {
			t.Run(name+" without a locale", func(t *testing.T) { runInside(t, python, "LC_ALL=", "LANG=", "LC_CTYPE=C") })
			t.Run(name+" in the C locale", func(t *testing.T) { runInside(t, python, "LC_ALL=C") })
			t.Run(name+" with UTF-8 mode", func(t *testing.T) { runInside(t, python, "LC_ALL=C.UTF-8", "PYTHONUTF8=1") })
		}
	}
}

func runInside(t *testing.T, python string, environment ...string) {
	t.Parallel() // it waits for deadlines, mostly
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestInEmbedded$", "-test.v")
	cmd.Env = append(append(os.Environ(), embeddedVariable+"="+python), environment...)
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: TestInEmbedded")) {
		t.Errorf("%v\n%s", err, out)
	}
}

// inside is an embedded interpreter behind a server.
type inside struct {
	*record
	e       *Embedded
	address string
	errs    chan error // of Serve
}

// TestInEmbedded is run by TestEmbedded, in a process of its own.
func TestInEmbedded(t *testing.T) {
	python := os.Getenv(embeddedVariable)
	if python == "" {
		t.Skip("run by TestEmbedded")
	}
	s := startInside(t, python)
	for _, test := range []struct {
		name string
		run  func(*testing.T, *inside)
	}{
		{"interpreter", testInterpreter},
		{"environ", testEnviron},
		{"body", testBody},
		{"blocks", testBlocks},
		{"back pressure", testBackPressure},
		{"failures", testFailures},
		{"threading.local", testThreadLocal},
		{"output", testOutput},
		{"signals", testSignals},
		{"start_response after the end", testKept},
		{"processes", testProcesses},
		{"request timeout", testTimeout},
		{"deadlock", testDeadlock},
		{"files", testFiles},
		{"recursion", testRecursion},
		{"turns", testTurns},
		{"on threads of Go", testOnGo},
		{"leaks", testLeaks},
		{"stop", testStop},
	} {
		if !t.Run(test.name, func(t *testing.T) { test.run(t, s) }) {
			t.Fatalf("log:\n%s\noutput:\n%s", s.logged(), strings.Join(s.printed(), "\n"))
		}
	}
}

func startInside(t *testing.T, python string) *inside {
	s := &inside{record: new(record), errs: make(chan error, 100)}
	source, err := os.ReadFile("testdata/embedded.py")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "app.wsgi")
	opts := Options{
		Python:         python,
		Application:    Application{Script: true, EntryPoint: path, Directory: dir},
		Threads:        4,
		ResponseBuffer: minResponseBuffer,
		RequestTimeout: 2 * time.Second,

		DeadlockTimeout: 300 * time.Millisecond,
		Output:          s.output,
		Logger:          s.logger(),
	}
	// The first application is broken; who repairs it need not start again.
	writeFile(t, path, "import nowhere\n")
	var load *LoadError
	if _, err := StartEmbedded(t.Context(), opts); !errors.As(err, &load) || !strings.Contains(load.Text, "nowhere") || strings.Contains(load.Text, "<overlay>") {
		t.Fatalf("StartEmbedded with a broken application = %v, want a LoadError with its traceback", err)
	}
	writeFile(t, path, string(source))
	if s.e, err = StartEmbedded(t.Context(), opts); err != nil {
		t.Fatalf("%v\n%s", err, s.logged())
	}
	if _, err := StartEmbedded(t.Context(), opts); !errors.Is(err, ErrAlreadyEmbedded) {
		t.Errorf("a second StartEmbedded = %v, want ErrAlreadyEmbedded", err)
	}
	s.serve(t)
	return s
}

func writeFile(t testing.TB, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// serve serves the application on a free port.
func (s *inside) serve(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.address = l.Addr().String()
	slots := make(chan struct{}, 4)
	server := &fasthttp.Server{CloseOnShutdown: true, Logger: log.New(io.Discard, "", 0), Handler: func(ctx *fasthttp.RequestCtx) {
		slots <- struct{}{}
		body := ctx.PostBody()
		r := &Request{
			Path: ctx.Path(), Body: body, HasBody: len(body) > 0,
			VariableNames: []byte("SSL_TEST\x00HTTP_X_GUARDED"), VariableValues: []byte("CN=t\u00e9st\x00ours"),
		}
		if len(body) > 1000 {
			file, err := os.CreateTemp("", "body")
			if err != nil {
				panic(err)
			}
			defer closeAll(file)
			_ = os.Remove(file.Name())
			_, _ = file.Write(body)
			_, _ = file.Seek(0, io.SeekStart)
			r.Body, r.File, r.BodySize = nil, file, int64(len(body))
		}
		err := s.e.Serve(ctx, r, func() { <-slots })
		for errors.Is(err, ErrGivenBack) { // on a busy machine; the slot is still this request's
			if r.File != nil {
				_, _ = r.File.Seek(0, io.SeekStart)
			}
			time.Sleep(time.Millisecond)
			err = s.e.Serve(ctx, r, func() { <-slots })
		}
		if err != nil {
			s.errs <- err
			ctx.Response.Reset()
			ctx.Error("failed", 500)
		}
	}}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = server.ShutdownWithContext(ctx)
	})
}

// get returns status and body; body is "cut" at the end when it is not complete.
func (s *inside) get(t testing.TB, target string) (int, string) {
	t.Helper()
	return s.do(t, "GET", target, nil)
}

func (s *inside) do(t testing.TB, method, target string, body []byte) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+s.address+target, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", method, target, err, s.logged())
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return resp.StatusCode, string(text) + "cut"
	}
	return resp.StatusCode, string(text)
}

// json decodes the answer of a view.
func (s *inside) json(t testing.TB, target string, v any) {
	t.Helper()
	status, text := s.get(t, target)
	if status != 200 {
		t.Fatalf("GET %s: %d %s\n%s", target, status, text, s.logged())
	}
	if err := json.Unmarshal([]byte(text), v); err != nil {
		t.Fatalf("GET %s: %q: %v", target, text, err)
	}
}

// testInterpreter: the same Python as when it is run as a program.
func testInterpreter(t *testing.T, s *inside) {
	var got, want map[string]any
	s.json(t, "/about", &got)
	const program = `import json, locale, sys
print(json.dumps({"executable": sys.executable, "prefix": sys.prefix, "utf8_mode": sys.flags.utf8_mode,
    "encodings": [sys.getfilesystemencoding(), locale.getpreferredencoding(False)],
    "path": [entry for entry in sys.path if "site-packages" in entry], "main thread": True, "ctypes": True, "home": None}))`
	cmd := exec.Command(os.Getenv(embeddedVariable), "-c", program)
	out, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(out, &want)
	}
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("in this process %v,\nas a program     %v", got, want)
	}
	var global bool
	if s.json(t, "/symbols", &global); !global {
		t.Error("the functions of Python are not those of the program: libpython was not loaded with RTLD_GLOBAL")
	}
	about := s.e.Interpreter()
	if about.Implementation != "CPython" || about.Prefix != want["prefix"] {
		t.Errorf("Interpreter() = %+v", about)
	}
}

func testEnviron(t *testing.T, s *inside) {
	var got map[string]string
	s.json(t, "/plain?a=%20b", &got)
	for key, want := range map[string]string{
		"SSL_TEST": "CN=t\u00c3\u00a9st", "HTTP_X_GUARDED": "ours",
		"REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": "/plain", "QUERY_STRING": "a=%20b",
		"SERVER_PROTOCOL": "HTTP/1.1", "wsgi.url_scheme": "http", "HTTP_HOST": s.address, "HTTP_USER_AGENT": "Go-http-client/1.1",
	} {
		if got[key] != want {
			t.Errorf("%s: got %q, want %q", key, got[key], want)
		}
	}
	for range 2 { // the second time the names are known
		var foreign []string
		if s.json(t, "/interned", &foreign); len(foreign) > 0 {
			t.Errorf("keys of the environ that are not interned: %q", foreign)
		}
	}
	// More sets of names than a thread remembers, and each is right.
	for i := range 300 {
		req, _ := http.NewRequest("GET", "http://"+s.address+"/plain", nil)
		name := fmt.Sprintf("X-Field-%d", i)
		req.Header.Set(name, "value \xe9")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		clear(got)
		key := fmt.Sprintf("HTTP_X_FIELD_%d", i)
		if err := json.Unmarshal(text, &got); err != nil || got[key] != "value \u00e9" {
			t.Fatalf("%s: got %q, %v", key, got[key], err)
		}
	}
}

func testBody(t *testing.T, s *inside) {
	for _, size := range []int{1, 999, 1001, 300_000} { // in memory; in a file
		body := bytes.Repeat([]byte("0123456789"), size/10+1)[:size]
		if status, text := s.do(t, "POST", "/echo", body); status != 200 || text != string(body) {
			t.Errorf("echo of %d bytes: %d, %d bytes", size, status, len(text))
		}
	}
	if status, text := s.get(t, "/large"); status != 200 || text != strings.Repeat("0123456789", 200_000) {
		t.Errorf("a list of 2 MB: %d, %d bytes", status, len(text))
	}
	if status, text := s.do(t, "HEAD", "/hello", nil); status != 200 || text != "" {
		t.Errorf("HEAD: %d %q", status, text)
	}
}

// testBlocks: each block arrives while the application waits for that.
func testBlocks(t *testing.T, s *inside) {
	for _, view := range []string{"blocks", "written"} {
		base := filepath.Join(t.TempDir(), view)
		resp, err := http.Get("http://" + s.address + "/" + view + "?" + base)
		if err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReader(resp.Body)
		for i := range 3 {
			line, err := r.ReadString('\n')
			if line != fmt.Sprintf("block %d\n", i) {
				t.Fatalf("%s: got %q, %v", view, line, err)
			}
			writeFile(t, fmt.Sprintf("%s%d", base, i), "")
		}
		if rest, err := io.ReadAll(r); len(rest) > 0 || err != nil {
			t.Errorf("%s: got %q, %v at the end", view, rest, err)
		}
		resp.Body.Close()
	}
}

// testBackPressure: the application waits for a client that does not read, and
// is closed when that goes.
func testBackPressure(t *testing.T, s *inside) {
	conn, err := net.Dial("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "GET /endless HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	var state struct {
		Produced int
		Closed   []string
	}
	before := -1
	waitFor(t, "the application stops producing", func() bool {
		time.Sleep(50 * time.Millisecond) // two looks with the same result
		s.json(t, "/state", &state)
		same := state.Produced == before && before > 0
		before = state.Produced
		return same
	})
	if bytes := state.Produced * 65536; bytes > 32<<20 {
		t.Errorf("the application is %d bytes ahead of a client that reads nothing", bytes)
	}
	closeAll(conn)
	waitFor(t, "close() of the iterable", func() bool {
		s.json(t, "/state", &state)
		return len(state.Closed) == 1
	})
}

func testFailures(t *testing.T, s *inside) {
	for _, tt := range []struct{ view, log string }{
		{"raises", "LookupError: only for the log"},
		{"exits", "SystemExit: leaving"},
	} {
		status, text := s.get(t, "/"+tt.view)
		if err := receive(t, "the error of Serve", s.errs); status != 500 || text != "failed" || !errors.Is(err, ErrApplication) {
			t.Errorf("%s: %d %q, Serve = %v", tt.view, status, text, err)
		}
		if log := s.logged(); !strings.Contains(log, tt.log) || strings.Contains(log, "<overlay>") {
			t.Errorf("%s: the log lacks %q, or has overlay's own frames:\n%s", tt.view, tt.log, log)
		}
	}
	// Cut, or a plain error when it failed before the head was on its way.
	switch status, text := s.get(t, "/cut"); {
	case status == 500 && text == "failed":
		receive(t, "the error of Serve", s.errs)
	case status != 200 || text != "a beginningcut" && text != "cut":
		t.Errorf("cut: %d %q", status, text)
	}
}

// testThreadLocal: a thread of the operating system is the same thread of Python for ever.
func testThreadLocal(t *testing.T, s *inside) {
	seen := map[int64]int{}
	for range 200 {
		var got [2]int64
		s.json(t, "/count", &got)
		seen[got[0]]++
		if int64(seen[got[0]]) != got[1] {
			t.Fatalf("thread %d: local says %d, it has had %d requests", got[0], got[1], seen[got[0]])
		}
	}
	if len(seen) > 100 {
		t.Errorf("%d threads for 200 requests, one after the other", len(seen))
	}
}

func testOutput(t *testing.T, s *inside) {
	s.get(t, "/prints")
	for _, want := range []string{"stdout: to stdout", "stderr: to stderr", "stderr: to wsgi.errors, \u00e9, without an end"} {
		waitFor(t, want, func() bool { return strings.Contains("\n"+strings.Join(s.printed(), "\n")+"\n", "\n"+want+"\n") })
	}
}

func testSignals(t *testing.T, s *inside) {
	var got struct {
		Same   bool
		Broken string
	}
	s.json(t, "/signals", &got)
	if !got.Same || got.Broken != "BrokenPipeError" {
		t.Errorf("handlers are the same: %v; write to a closed socket: %s", got.Same, got.Broken)
	}
	if log := s.logged(); !strings.Contains(log, "signals are the server's") || !strings.Contains(log, "app.wsgi:") {
		t.Errorf("the log does not say that signal.signal was refused, and where:\n%s", log)
	}
}

func testKept(t *testing.T, s *inside) {
	s.get(t, "/keep")
	var got []string
	s.json(t, "/use_kept", &got)
	if len(got) != 2 || got[0] == "" {
		t.Errorf("got %q, want a write() that is refused", got)
	}
	if status, text := s.get(t, "/hello"); status != 200 || text != "Hello world\n" {
		t.Errorf("hello after that: %d %q", status, text)
	}
}

func testProcesses(t *testing.T, s *inside) {
	var status int
	s.json(t, "/forks", &status)
	if status != 70 {
		t.Errorf("a forked process that comes back ends with %d, want 70", status)
	}
	var text string
	s.json(t, "/runs", &text)
	if text != "from a child\n" {
		t.Errorf("a child printed %q", text)
	}
}

func testTimeout(t *testing.T, s *inside) {
	status, _ := s.get(t, "/late")
	if err := receive(t, "the error of Serve", s.errs); status != 500 || !errors.Is(err, ErrTimeout) {
		t.Errorf("%d, Serve = %v, want ErrTimeout", status, err)
	}
	waitFor(t, "RequestTimeout in the thread", func() bool {
		var got []string
		s.json(t, "/was_late", &got)
		return len(got) == 1 && got[0] == "RequestTimeout"
	})
	waitFor(t, "its stack in the log", func() bool {
		log := s.logged()
		return strings.Contains(log, "the application at the request timeout") && strings.Contains(log, "in late")
	})
	for range 20 {
		if status, text := s.get(t, "/hello"); status != 200 {
			t.Fatalf("hello after that: %d %q", status, text)
		}
	}
}

// testDeadlock: the log says that the GIL is held, and the server goes on when it is not.
func testDeadlock(t *testing.T, s *inside) {
	name := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	answered := make(chan int, 1)
	go func() {
		resp, err := http.Get("http://" + s.address + "/holds?" + name)
		if err != nil {
			answered <- 0
			return
		}
		_, _ = io.Copy(io.Discard, resp.Body) // so that the connection is used again
		closeAll(resp.Body)
		answered <- resp.StatusCode
	}()
	fifo, err := os.OpenFile(name, os.O_WRONLY, 0) // waits for its reader
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the log says that nobody gets the GIL", func() bool { return strings.Contains(s.logged(), "deadlock: no Python can run") })
	if _, err := fifo.WriteString("x"); err != nil {
		t.Fatal(err)
	}
	closeAll(fifo)
	if status := receive(t, "the answer", answered); status != 200 {
		t.Errorf("holds: %d", status)
	}
}

func testFiles(t *testing.T, s *inside) {
	name := filepath.Join(t.TempDir(), "file")
	for _, size := range []int{100, 5 << 20} { // read; sent by its descriptor
		text := strings.Repeat("0123456789", size/10)
		writeFile(t, name, text)
		s.get(t, "/hello") // has a connection now
		before := openDescriptors(t)
		if status, got := s.get(t, "/file?"+name); status != 200 || got != text[3:] {
			t.Errorf("file of %d bytes: %d, %d bytes", size, status, len(got))
		}
		waitFor(t, "descriptors are closed", func() bool { return openDescriptors(t) <= before })
	}
}

// testRecursion: a thread has room for as much C stack as the main thread of python.
func testRecursion(t *testing.T, s *inside) {
	if status, text := s.get(t, "/deep"); status != 200 {
		t.Errorf("deep: %d %q", status, text)
	}
}

func testStop(t *testing.T, s *inside) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s.e.Stop(ctx)
	select {
	case <-s.e.Done():
	default:
		t.Error("Done is open after Stop")
	}
	if text := strings.Join(s.printed(), "\n"); !strings.Contains(text, "stdout: exit handler has run") {
		t.Errorf("the exit handler has not run:\n%s", text)
	}
	freed := false
	if err := s.e.Serve(contextOf(t, plainConn, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"), &Request{Path: []byte("/")}, func() { freed = true }); !errors.Is(err, ErrNotSent) || !freed {
		t.Errorf("Serve after Stop = %v, freed %v; want ErrNotSent", err, freed)
	}
}
