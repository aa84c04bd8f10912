package fallthru

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/valyala/fasthttp"
)

// served counts requests by worker process.
func served(counts []atomic.Int32) func(n int) (Worker, error) {
	return func(n int) (Worker, error) {
		return newFakeWorker(n, func(*fasthttp.RequestCtx, *Request) error {
			counts[n].Add(1)
			return nil
		}), nil
	}
}

// TestMaximumRequests: no worker process serves more requests than it may, each
// request is answered, and the successor is asked for before the last one.
func TestMaximumRequests(t *testing.T) {
	for _, limit := range []int{1, 2, 5, 50} {
		synctest.Test(t, func(t *testing.T) {
			counts := make([]atomic.Int32, 1000)
			starts := &starts{t: t, make: served(counts)}
			h := newTestHandler(t, Options{Mounts: []Mount{{Path: "/", Group: GroupOptions{Start: starts.start, MaximumRequests: limit}}}})
			const requests = 400
			for range requests {
				ctx := get(t, "/")
				h.Handle(ctx)
				if status := ctx.Response.StatusCode(); status != 200 {
					t.Fatalf("limit %d: status %d, want 200", limit, status)
				}
			}
			synctest.Wait()
			total := 0
			for n := range counts {
				total += int(counts[n].Load())
				if got := int(counts[n].Load()); got > limit {
					t.Errorf("limit %d: worker process %d served %d", limit, n, got)
				}
			}
			if total != requests {
				t.Errorf("limit %d: %d requests served, want %d", limit, total, requests)
			}
			if n := starts.count(); n < requests/limit || n > requests/max(limit-limit/10-1, 1)+2 {
				t.Errorf("limit %d: %d starts for %d requests", limit, n, requests)
			}
			for n := 1; n < starts.count()-1; n++ {
				if stops := starts.worker(n).stops.Load(); stops != 1 {
					t.Errorf("limit %d: worker process %d was stopped %d times, want once", limit, n, stops)
				}
			}
		})
	}
}

// TestLimitWithoutSuccessor: when no successor starts, the old worker process
// goes on past its limit, since nobody else would answer.
func TestLimitWithoutSuccessor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		counts := make([]atomic.Int32, 10)
		good := served(counts)
		starts := &starts{t: t}
		starts.make = func(n int) (Worker, error) {
			if n > 1 {
				return nil, errors.New("no memory")
			}
			return good(n)
		}
		h := newTestHandler(t, Options{Mounts: []Mount{{Path: "/", Group: GroupOptions{Start: starts.start, MaximumRequests: 5}}}})
		synctest.Wait()
		for range 20 {
			ctx := get(t, "/")
			h.Handle(ctx)
			synctest.Wait()
			if status := ctx.Response.StatusCode(); status != 200 {
				t.Fatalf("status %d, want 200", status)
			}
		}
		if got := counts[1].Load(); got != 20 {
			t.Errorf("the first worker process served %d of 20", got)
		}
	})
}

// TestEndWithoutSuccessor: a worker process that ends while its successor does
// not start is given no request any more, and the place is filled again.
func TestEndWithoutSuccessor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fail := make(chan struct{})
		starts := &starts{t: t}
		starts.make = func(n int) (Worker, error) {
			if n == 2 {
				<-fail
				return nil, errors.New("no memory")
			}
			var w *fakeWorker
			w = newFakeWorker(n, func(*fasthttp.RequestCtx, *Request) error {
				select {
				case <-w.done:
					return ErrNotHandedOver
				default:
					return nil
				}
			})
			return w, nil
		}
		h := newTestHandler(t, Options{Mounts: []Mount{{Path: "/", Group: GroupOptions{Start: starts.start, MaximumRequests: 5}}}})
		synctest.Wait()
		for range 4 { // then it asks for its successor
			h.Handle(get(t, "/"))
		}
		synctest.Wait()
		first := starts.worker(1)
		first.die()
		ctx := get(t, "/")
		answered := make(chan struct{})
		go func() {
			defer close(answered)
			h.Handle(ctx)
		}()
		synctest.Wait() // it waits in the queue
		close(fail)
		<-answered
		if status := ctx.Response.StatusCode(); status != 200 {
			t.Errorf("status %d, want 200", status)
		}
		if n := first.freed.Load(); n > 5 {
			t.Errorf("%d requests for the worker process that ended, want at most 5", n)
		}
	})
}

// TestUsageLimits: age, CPU time and memory each have a worker process replaced
// at the limit and not before it.
func TestUsageLimits(t *testing.T) {
	tests := []struct {
		name          string
		opts          GroupOptions
		below, beyond func(w *fakeWorker) // make the worker process just spare or reach the limit
	}{
		{"restart interval", GroupOptions{RestartInterval: time.Minute},
			func(*fakeWorker) { time.Sleep(time.Minute - 2*checkInterval) },
			func(*fakeWorker) { time.Sleep(2 * checkInterval) }},
		{"CPU time", GroupOptions{CPUTimeLimit: time.Minute},
			func(w *fakeWorker) { w.cpu.Store(int64(time.Minute - 1)) },
			func(w *fakeWorker) { w.cpu.Store(int64(time.Minute)) }},
		{"memory", GroupOptions{MemoryLimit: 1 << 20},
			func(w *fakeWorker) { w.memory.Store(1<<20 - 1) },
			func(w *fakeWorker) { w.memory.Store(1 << 20) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				starts := always(t, nil)
				tt.opts.Start = starts.start
				newTestGroup(t, tt.opts)
				synctest.Wait()
				first := starts.worker(1)
				tt.below(first)
				time.Sleep(checkInterval + checkInterval/2)
				if n := starts.count(); n != 1 {
					t.Fatalf("%d starts below the limit, want 1", n)
				}
				tt.beyond(first)
				time.Sleep(checkInterval + checkInterval/2)
				synctest.Wait()
				if n := starts.count(); n != 2 {
					t.Fatalf("%d starts at the limit, want 2", n)
				}
				if first.stops.Load() != 1 {
					t.Error("the first worker process was not stopped")
				}
			})
		})
	}
}

// TestGracefulTimeout: a worker process that is replaced may finish for so
// long, and is stopped with what it has then.
func TestGracefulTimeout(t *testing.T) {
	for _, tt := range []struct{ timeout, want time.Duration }{
		{10 * time.Second, 10 * time.Second},
		{0, DefaultGracefulTimeout},
		{-1, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			starts := &starts{t: t}
			hold := make(chan struct{})
			defer close(hold)
			starts.make = func(n int) (Worker, error) {
				return newFakeWorker(n, func(*fasthttp.RequestCtx, *Request) error { <-hold; return nil }), nil
			}
			h := newTestHandler(t, Options{Mounts: []Mount{{Path: "/", Group: GroupOptions{Start: starts.start, GracefulTimeout: tt.timeout}}}})
			synctest.Wait()
			go h.Handle(get(t, "/"))
			synctest.Wait()
			first := starts.worker(1)
			begun := time.Now()
			first.leaving <- "SIGTERM"
			for first.stops.Load() == 0 && time.Since(begun) < time.Minute {
				time.Sleep(time.Millisecond)
			}
			if got := time.Since(begun); got < tt.want || got > tt.want+time.Millisecond {
				t.Errorf("GracefulTimeout %v: stopped after %v, want %v", tt.timeout, got, tt.want)
			}
		})
	}
}

// TestInactivity: idle worker processes end down to ProcessesMin, and the next
// request that needs one starts it.
func TestInactivity(t *testing.T) {
	tests := []struct {
		name             string
		processes, least int
		left             int // members when all have been idle
	}{
		{"scale to zero", 1, 0, 0},
		{"one stays", 3, 1, 1},
		{"all stay", 2, 2, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				starts := always(t, nil)
				h := newTestHandler(t, Options{Mounts: []Mount{{Path: "/", Group: GroupOptions{
					Start: starts.start, Processes: tt.processes, Threads: 1,
					InactivityTimeout: time.Minute, ProcessesMin: tt.least,
				}}}})
				g := h.mounts[0].group
				members := func() int {
					g.mu.Lock()
					defer g.mu.Unlock()
					return len(g.members)
				}
				time.Sleep(time.Minute - 2*checkInterval)
				if n := members(); n != tt.processes {
					t.Fatalf("%d worker processes before the timeout, want %d", n, tt.processes)
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				if n := members(); n != tt.left {
					t.Fatalf("%d worker processes after the timeout, want %d", n, tt.left)
				}
				before := starts.count()
				ctx := get(t, "/")
				h.Handle(ctx)
				if status := ctx.Response.StatusCode(); status != 200 {
					t.Fatalf("status %d, want 200", status)
				}
				want := before
				if tt.left == 0 {
					want++
				}
				if n := starts.count(); n != want {
					t.Errorf("%d starts after the request, want %d", n, want)
				}
			})
		})
	}
}

// TestWakeOnce: requests that come together while their worker process is started do
// not have the place filled once more when that has been idle again.
func TestWakeOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		starts := always(t, nil)
		g := newTestGroup(t, GroupOptions{Start: starts.start, Processes: 1, Threads: 3, InactivityTimeout: time.Minute})
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		waiters := make([]*waiter, 3)
		g.mu.Lock()
		for i := range waiters {
			waiters[i] = g.newWaiter(nil, time.Now())
			g.queue.push(waiters[i])
		}
		g.mu.Unlock()
		for _, w := range waiters {
			<-w.turn
			w.slot.free()
		}
		if n := starts.count(); n != 2 {
			t.Fatalf("%d starts, want one more than the first", n)
		}
		time.Sleep(10 * time.Minute)
		if n := starts.count(); n != 2 {
			t.Errorf("%d starts after ten minutes without a request, want 2", n)
		}
	})
}
