package fallthru

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/valyala/fasthttp"
)

func TestAheadOption(t *testing.T) {
	for _, tt := range []struct {
		name string
		opts GroupOptions
		want int
	}{
		{"default", GroupOptions{Threads: 5}, 15},
		{"default, many threads", GroupOptions{Threads: 100}, maxAhead},
		{"none", GroupOptions{Threads: 5, HandAhead: -1}, 0},
		{"some", GroupOptions{Threads: 5, HandAhead: 2}, 2},
		{"too many", GroupOptions{Threads: 5, HandAhead: maxAhead + 1}, maxAhead},
		{"where none may wait", GroupOptions{Threads: 5, QueueBacklog: -1}, 0},
	} {
		if got := tt.opts.ahead(); got != tt.want {
			t.Errorf("%s: ahead() = %d, want %d", tt.name, got, tt.want)
		}
	}
}

// TestPace: the mean follows the time between answers, and not the pauses without
// a request.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pace{mean: slowPace}
		p.begin()
		for range 500 {
			time.Sleep(100 * time.Microsecond)
			p.answer()
		}
		if p.mean < 95*time.Microsecond || p.mean > 110*time.Microsecond {
			t.Errorf("mean %v after answers each 100µs", p.mean)
		}
		time.Sleep(time.Hour)
		p.begin()
		time.Sleep(100 * time.Microsecond)
		p.answer()
		if p.mean > 110*time.Microsecond {
			t.Errorf("mean %v after an idle hour", p.mean)
		}
	})
}

// TestAheadOnlyWhenQuick: a worker process has no more requests than threads
// until it has shown that it is quick, and again when it is not.
func TestAheadOnlyWhenQuick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var takes time.Duration
		var running, most atomic.Int32
		starts := always(t, func(*fasthttp.RequestCtx, *Request) error {
			most.Store(max(most.Load(), running.Add(1)))
			time.Sleep(takes)
			running.Add(-1)
			return nil
		})
		h := newTestHandler(t, Options{Mounts: []Mount{{Path: "/", Group: GroupOptions{Start: starts.start, Threads: 2}}}})
		synctest.Wait()
		run := func(requests int, each time.Duration) int32 {
			takes = each
			most.Store(0)
			var all sync.WaitGroup
			for range 20 {
				all.Go(func() {
					for range requests {
						h.Handle(get(t, "/"))
					}
				})
			}
			all.Wait()
			return most.Load()
		}
		if n := run(1, 50*time.Millisecond); n != 2 {
			t.Errorf("%d requests at once at first, want 2: one for each thread", n)
		}
		run(50, 50*time.Microsecond) // warms up
		if n := run(20, 50*time.Microsecond); n != 8 {
			t.Errorf("%d requests at once while quick, want 2 and 6 ahead", n)
		}
		run(20, 50*time.Millisecond) // becomes slow
		if n := run(20, 50*time.Millisecond); n != 2 {
			t.Errorf("%d requests at once when slow again, want 2", n)
		}
	})
}

// TestGivenBack: a request that is given back goes to a thread that is free, or
// is the next in the queue, with the deadline it had.
func TestGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		block := make(chan struct{})
		var served atomic.Int32
		starts := &starts{t: t}
		starts.make = func(n int) (Worker, error) {
			return newGivingWorker(n, func(r *Request) error {
				switch string(r.Path) {
				case "/block":
					<-block
				case "/back":
					if served.Add(1) == 1 {
						return ErrGivenBack
					}
				}
				return nil
			}), nil
		}
		h := newTestHandler(t, Options{Mounts: []Mount{{Path: "/", Group: GroupOptions{Start: starts.start, Threads: 1, QueueTimeout: time.Minute}}}})
		synctest.Wait()
		g := h.mounts[0].group

		// As if it were quick: one request is in the application, one handed ahead.
		g.mu.Lock()
		g.members[0].pace.mean = time.Microsecond
		g.mu.Unlock()
		blocked, back := get(t, "/block"), get(t, "/back")
		done := make(chan struct{}, 2)
		go func() { h.Handle(blocked); done <- struct{}{} }()
		synctest.Wait()
		go func() { h.Handle(back); done <- struct{}{} }()
		synctest.Wait()
		g.mu.Lock()
		length, mean := g.queue.length, g.members[0].pace.mean
		g.mu.Unlock()
		if length != 1 || mean != slowPace {
			t.Fatalf("%d waiting, pace %v; want the one given back, and a slow pace", length, mean)
		}
		time.Sleep(time.Minute - time.Millisecond)
		close(block)
		<-done
		<-done
		if status := back.Response.StatusCode(); status != 200 || served.Load() != 2 {
			t.Errorf("status %d after %d hand-overs, want 200 after 2", status, served.Load())
		}
		if idle, busy := slotsIn(g); idle != 1 || busy != 0 {
			t.Errorf("%d threads free and %d busy, want 1 and 0", idle, busy)
		}
	})
}

// TestGivenBackAfterAhead: a request that is in the application by way of the room
// ahead has a thread all the same. One that is given back then waits in the queue,
// and is not handed to the same busy process again and again.
func TestGivenBackAfterAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := make(chan struct{}), make(chan struct{})
		var offered atomic.Int32
		starts := &starts{t: t}
		starts.make = func(n int) (Worker, error) {
			return newGivingWorker(n, func(r *Request) error {
				switch string(r.Path) {
				case "/first":
					<-first
				case "/second":
					<-second
				case "/back":
					select {
					case <-second:
					default:
						if offered.Add(1) < 100 {
							return ErrGivenBack // as often as it is offered while the thread is busy
						}
					}
				}
				return nil
			}), nil
		}
		h := newTestHandler(t, Options{Mounts: []Mount{{Path: "/", Group: GroupOptions{Start: starts.start, Threads: 1}}}})
		synctest.Wait()
		g := h.mounts[0].group
		g.mu.Lock()
		g.members[0].pace.mean = time.Microsecond
		g.mu.Unlock()
		var all sync.WaitGroup
		for _, path := range []string{"/first", "/second"} {
			ctx := get(t, path)
			all.Go(func() { h.Handle(ctx) })
			synctest.Wait()
		}
		close(first) // the thread now runs the one that was handed ahead
		synctest.Wait()
		back := get(t, "/back")
		all.Go(func() { h.Handle(back) })
		synctest.Wait()
		if n := offered.Load(); n > 1 {
			t.Errorf("offered %d times to a process whose one thread is busy, want 1 at most", n)
		}
		close(second)
		all.Wait()
		if status := back.Response.StatusCode(); status != 200 {
			t.Errorf("status %d, want 200", status)
		}
		if idle, busy := slotsIn(g); idle != 1 || busy != 0 {
			t.Errorf("%d threads free and %d busy, want 1 and 0", idle, busy)
		}
	})
}

// TestGivenBackTimeout: time in the worker process counts as time in the queue.
func TestGivenBackTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		starts := &starts{t: t}
		starts.make = func(n int) (Worker, error) {
			return newGivingWorker(n, func(r *Request) error {
				time.Sleep(30 * time.Second)
				if string(r.Path) == "/back" {
					return ErrGivenBack
				}
				time.Sleep(time.Hour)
				return nil
			}), nil
		}
		h := newTestHandler(t, Options{Mounts: []Mount{{Path: "/", Group: GroupOptions{Start: starts.start, Threads: 1, QueueTimeout: time.Minute}}}})
		synctest.Wait()
		g := h.mounts[0].group
		g.mu.Lock()
		g.members[0].pace.mean = time.Microsecond
		g.mu.Unlock()
		blocked := make(chan struct{})
		go func() { h.Handle(get(t, "/block")); close(blocked) }()
		synctest.Wait()
		ctx, begun := get(t, "/back"), time.Now()
		h.Handle(ctx)
		if status, took := ctx.Response.StatusCode(), time.Since(begun); status != 503 || took != time.Minute {
			t.Errorf("status %d after %v, want 503 after the queue timeout", status, took)
		}
		<-blocked
	})
}

// TestGivenBackAtTheEnd: what is given back when nobody can take it is refused at
// once, with the reason, and not at its queue timeout.
func TestGivenBackAtTheEnd(t *testing.T) {
	broken := fmt.Errorf("%w: no module", ErrLoad)
	for _, tt := range []struct {
		name string
		end  func(g *group)
		want error
	}{
		{"the group ends", func(g *group) { g.stopping = true }, ErrStopping},
		{"the worker process has ended, and no other starts", func(g *group) { g.failure = broken }, ErrLoad},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, s := busyGroup(t, GroupOptions{})
				g.giveBack(s)
				g.leave(s.member)
				g.mu.Lock()
				tt.end(g)
				g.mu.Unlock()
				begun := time.Now()
				if _, err := g.reacquire(nil, begun); !errors.Is(err, tt.want) || time.Since(begun) != 0 {
					t.Errorf("reacquire = %v after %v, want %v at once", err, time.Since(begun), tt.want)
				}
			})
		})
	}
}

// givingWorker is a fakeWorker that keeps to the rule that a thread is not free
// when a request is given back.
type givingWorker struct {
	*fakeWorker
	serve func(r *Request) error
}

func newGivingWorker(pid int, serve func(r *Request) error) *givingWorker {
	return &givingWorker{newFakeWorker(pid, nil), serve}
}

func (w *givingWorker) Serve(_ *fasthttp.RequestCtx, r *Request, free func()) error {
	err := w.serve(r)
	if !errors.Is(err, ErrGivenBack) {
		free()
	}
	return err
}
