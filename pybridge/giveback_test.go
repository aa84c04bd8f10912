package pybridge

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
)

// blockingApplication blocks in /block until the file at path is there. It says so
// when that has gone on for so long that the watch of its process sleeps.
func blockingApplication(path string) string {
	return `
import os, time
from _overlay import host

def application(environ, start_response):
    if environ["PATH_INFO"] == "/block":
        pool = host.this._running.__self__
        while pool.watching and not os.path.exists(` + strconv.Quote(path) + `):
            time.sleep(0.002)
        print("asleep")
        while not os.path.exists(` + strconv.Quote(path) + `):
            time.sleep(0.002)
    start_response("200 OK", [])
    return [b"done"]
`
}

// TestGiveBack: a request for which there is no thread comes back at once, also when
// it is handed over long after every thread has begun to wait: the server process may
// still think that this one is quick.
func TestGiveBack(t *testing.T) {
	release := filepath.Join(t.TempDir(), "go on")
	for _, threads := range []int{1, 3} {
		t.Run(strconv.Itoa(threads), func(t *testing.T) {
			defer func() { _ = os.Remove(release) }()
			w, rec := startScript(t, blockingApplication(release), func(o *Options) { o.Threads = threads })
			f := serveFront(t, w)
			// What waits makes the worker hand its turn on before it calls the application.
			for range threads {
				f.send("GET /block HTTP/1.1\r\nHost: h\r\n\r\n")
			}
			waitFor(t, "the watch sleeps", func() bool {
				asleep := 0
				for _, line := range rec.printed() {
					if line == "stdout: asleep" {
						asleep++
					}
				}
				return asleep == threads
			})
			for range 3 { // and again after it
				f.send(getRequest)
				if err := receive(t, "the request comes back", f.errors); !errors.Is(err, ErrGivenBack) {
					t.Fatalf("Serve = %v, want ErrGivenBack", err)
				}
			}
			if n := f.freed.Load(); n != 0 {
				t.Errorf("%d threads were said to be free", n)
			}
			if err := os.WriteFile(release, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			for range threads {
				if err := receive(t, "a blocked request ends", f.errors); err != nil {
					t.Error(err)
				}
			}
			if got := read(f.send(getRequest), "GET"); got.body != "done" {
				t.Errorf("after that got %+v", got)
			}
			if lines := rec.printed(); slices.Contains(lines, "stderr: Traceback (most recent call last):") {
				t.Errorf("the worker process says %q", lines)
			}
		})
	}
}

// TestGiveBackOfSlowReader: a thread that waits for its client reads what comes, and
// what it cannot run comes back. It used to keep the thread from ever hearing that
// its client had read on.
func TestGiveBackOfSlowReader(t *testing.T) {
	const blocks = 256 // of 128 KiB: more than the buffers of both sides take
	w, rec := startScript(t, `
import threading, time
from _overlay import host

def tell(pool):
    while pool.right or pool.watching:
        time.sleep(0.002)
    print("asleep")

def application(environ, start_response):
    start_response("200 OK", [])
    if environ["PATH_INFO"] != "/big":
        return [b"small"]
    threading.Thread(target=tell, args=(host.this._running.__self__,), daemon=True).start()
    return (b"x" * 131072 for _ in range(`+strconv.Itoa(blocks)+`))
`, func(o *Options) { o.Threads, o.ResponseBuffer = 1, minResponseBuffer })
	f := serveFront(t, w)
	conn := f.send("GET /big HTTP/1.1\r\nHost: h\r\n\r\n")
	if err := receive(t, "the response begins", f.errors); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the watch sleeps", func() bool { return slices.Contains(rec.printed(), "stdout: asleep") })
	f.send(getRequest)
	if err := receive(t, "the request comes back", f.errors); !errors.Is(err, ErrGivenBack) {
		t.Fatalf("Serve = %v, want ErrGivenBack", err)
	}
	done := make(chan reply, 1)
	go func() { done <- read(conn, "GET") }()
	if got := receive(t, "the rest of the response", done); got.err != nil || len(got.body) != blocks*131072 {
		t.Errorf("got %d bytes, %v, want %d", len(got.body), got.err, blocks*131072)
	}
}
