package pybridge

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// What a process of this test binary is, when it is not the tests.
const (
	roleVariable   = "OVERLAY_TEST_ROLE"
	socketVariable = "OVERLAY_TEST_SOCKET"
	roleServer     = "server" // a server process that is to be killed
	rolePeer       = "peer"   // a worker process that hands its sockets to the test
)

func TestMain(m *testing.M) {
	switch os.Getenv(roleVariable) {
	case rolePeer:
		os.Exit(lendSockets(os.Getenv(socketVariable)))
	case roleServer:
		os.Exit(runServer())
	}
	os.Exit(m.Run())
}

// requirePython returns the interpreter that the tests run, the one that
// overlay would pick. Without one it skips, or fails when
// OVERLAY_TEST_REQUIRED is set, as ./test does.
var inspectOnce = sync.OnceValues(func() (Interpreter, error) {
	path, err := FindPython("")
	if err != nil {
		return Interpreter{}, err
	}
	return Inspect(context.Background(), path)
})

func requirePython(t testing.TB) Interpreter {
	t.Helper()
	python, err := inspectOnce()
	if err == nil {
		return python
	}
	if os.Getenv("OVERLAY_TEST_REQUIRED") != "" {
		t.Fatal(err)
	}
	t.Skipf("no Python to test with: %v", err)
	return python
}

// record collects what a worker process prints and what is logged of it.
type record struct {
	mu    sync.Mutex
	lines []string // "stdout: text"
	log   strings.Builder
}

func (r *record) output(_ int, stream string, line []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, stream+": "+string(line))
}

// Write takes in the log.
func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.Write(p)
}

func (r *record) logged() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.String()
}

func (r *record) printed() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.lines...)
}

func (r *record) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(r, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// scriptOptions describes an application with this source text.
func scriptOptions(t testing.TB, source string) (Options, *record) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "app.wsgi")
	if err := os.WriteFile(path, []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	rec := new(record)
	return Options{
		Python:      requirePython(t).Path,
		Application: Application{Script: true, EntryPoint: path, Directory: dir},
		Output:      rec.output,
		Logger:      rec.logger(),
	}, rec
}

// startScript starts a worker process with an application, and kills it at the
// end of the test.
func startScript(t testing.TB, source string, change ...func(*Options)) (*Worker, *record) {
	t.Helper()
	opts, rec := scriptOptions(t, source)
	for _, f := range change {
		f(&opts)
	}
	w, err := Start(t.Context(), opts)
	if err != nil {
		t.Fatalf("%v\n%s", err, strings.Join(rec.printed(), "\n"))
	}
	t.Cleanup(func() {
		w.Kill()
		<-w.Done()
	})
	return w, rec
}

// waitFor polls until condition holds.
func waitFor(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

// receive takes a value that has to come.
func receive[T any](t testing.TB, what string, from <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(time.Minute):
		t.Fatalf("not within a minute: %s", what)
	}
	return v
}

// openDescriptors counts the descriptors of this process.
func openDescriptors(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc/self/fd here")
	}
	return len(entries)
}

func closeAll(closers ...io.Closer) {
	for _, c := range closers {
		_ = c.Close() // the other end notices in any case
	}
}

// alive reports whether the process pid runs; one that has ended and not been
// waited for does not.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(after, "Z") && !strings.HasPrefix(after, "X")
}
