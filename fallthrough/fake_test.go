package fallthru

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// fakeWorker is a worker process without a process: serve says what it does
// with a request.
type fakeWorker struct {
	pid     int
	serve   func(ctx *fasthttp.RequestCtx, r *Request) error
	done    chan struct{}
	leaving chan string
	end     sync.Once

	freed   atomic.Int32 // how many threads have been given back
	stops   atomic.Int32 // calls of Stop
	stopFor time.Duration

	cpu, memory atomic.Int64 // what Usage returns
}

func (w *fakeWorker) usage() Usage {
	return Usage{CPU: time.Duration(w.cpu.Load()), Memory: w.memory.Load()}
}

func newFakeWorker(pid int, serve func(*fasthttp.RequestCtx, *Request) error) *fakeWorker {
	return &fakeWorker{pid: pid, serve: serve, done: make(chan struct{}), leaving: make(chan string, 1)}
}

func (w *fakeWorker) Serve(ctx *fasthttp.RequestCtx, r *Request, free func()) error {
	defer func() {
		w.freed.Add(1)
		free()
	}()
	if w.serve == nil {
		return nil
	}
	return w.serve(ctx, r)
}

func (w *fakeWorker) Usage() (Usage, error)  { return w.usage(), nil }
func (w *fakeWorker) PID() int               { return w.pid }
func (w *fakeWorker) Done() <-chan struct{}  { return w.done }
func (w *fakeWorker) Leaving() <-chan string { return w.leaving }
func (w *fakeWorker) die()                   { w.end.Do(func() { close(w.done) }) }
func (w *fakeWorker) Stop(ctx context.Context) {
	w.stops.Add(1)
	select {
	case <-time.After(w.stopFor):
	case <-ctx.Done():
	case <-w.done:
	}
	w.die()
}

// starts gives out worker processes one after the other, and notes when each
// was asked for.
type starts struct {
	t    testing.TB
	make func(n int) (Worker, error) // n counts from 1

	mu  sync.Mutex
	at  []time.Time
	got []*fakeWorker
}

func (s *starts) start(ctx context.Context) (Worker, error) {
	s.mu.Lock()
	s.at = append(s.at, time.Now())
	n := len(s.at)
	s.mu.Unlock()
	w, err := s.make(n)
	if f, ok := w.(*fakeWorker); ok {
		s.mu.Lock()
		s.got = append(s.got, f)
		s.mu.Unlock()
	}
	return w, err
}

func (s *starts) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.at)
}

// worker returns the worker process with this number, from 1.
func (s *starts) worker(n int) *fakeWorker {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n > len(s.got) {
		s.t.Fatalf("worker process %d has not been started; %d have", n, len(s.got))
	}
	return s.got[n-1]
}

// since returns when each start was asked for, counted from the first.
func (s *starts) since() []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	var d []time.Duration
	for _, at := range s.at {
		d = append(d, at.Sub(s.at[0]))
	}
	return d
}

// always starts worker processes that do as serve says.
func always(t testing.TB, serve func(*fasthttp.RequestCtx, *Request) error) *starts {
	return &starts{t: t, make: func(n int) (Worker, error) { return newFakeWorker(n, serve), nil }}
}

var quiet = slog.New(slog.DiscardHandler)

// newTestGroup makes a group that has its worker processes, and ends it with
// the test.
func newTestGroup(t testing.TB, opts GroupOptions) *group {
	t.Helper()
	opts.Logger = quiet
	g, err := newGroup(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		g.end(ctx)
	})
	return g
}

// newTestHandler makes a handler whose path is the one of the request line.
func newTestHandler(t testing.TB, opts Options) *Handler {
	t.Helper()
	opts.Logger = quiet
	opts.Path = pathOf
	for i := range opts.Mounts {
		opts.Mounts[i].Group.Logger = quiet
	}
	h, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		h.Stop(ctx)
	})
	return h
}

func pathOf(ctx *fasthttp.RequestCtx) []byte { return ctx.Request.Header.RequestURI() }

// get returns the context of a GET request.
func get(t testing.TB, target string) *fasthttp.RequestCtx {
	t.Helper()
	return request(t, "GET "+target+" HTTP/1.1\r\nHost: h\r\n\r\n")
}

// request returns the context of a request, its body a stream as the program
// has it.
func request(t testing.TB, text string) *fasthttp.RequestCtx {
	t.Helper()
	return requestFrom(t, strings.NewReader(text))
}

func requestFrom(t testing.TB, from io.Reader) *fasthttp.RequestCtx {
	t.Helper()
	ctx := new(fasthttp.RequestCtx)
	ctx.Init(new(fasthttp.Request), nil, nil)
	r := bufio.NewReader(from)
	if err := ctx.Request.Header.Read(r); err != nil {
		t.Fatal(err)
	}
	if err := ctx.Request.ContinueReadBodyStream(r, 0, false); err != nil {
		t.Fatal(err)
	}
	return ctx
}

var errApplication = errors.New("the application failed")

// waitFor polls until condition holds: for tests outside a synctest bubble.
func waitFor(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}
