package fallthru

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/valyala/fasthttp"
)

// TestLimitsUnderLoad: with every thread busy all the time, each limit replaces each worker
// process at its time; the successor, which takes a while to start, is ready before, so that
// there are never fewer threads than there should be, and no request is refused.
func TestLimitsUnderLoad(t *testing.T) {
	const (
		processes, threads = 2, 2
		startTime          = 3 * time.Second
		requestTime        = 10 * time.Millisecond
		perSecond          = threads * int(time.Second/requestTime) // requests of one worker process
		limit              = 20 * time.Second
	)
	reach := func(what func(w *fakeWorker)) func(w *fakeWorker) {
		return func(w *fakeWorker) { time.AfterFunc(limit, func() { what(w) }) }
	}
	tests := []struct {
		name  string
		opts  GroupOptions
		ready func(w *fakeWorker) // called when a worker process is ready
	}{
		{"maximum requests", GroupOptions{MaximumRequests: perSecond * int(limit/time.Second)}, func(*fakeWorker) {}},
		{"restart interval", GroupOptions{RestartInterval: limit}, func(*fakeWorker) {}},
		{"CPU time", GroupOptions{CPUTimeLimit: time.Minute}, reach(func(w *fakeWorker) { w.cpu.Store(int64(time.Minute)) })},
		{"memory", GroupOptions{MemoryLimit: 1 << 20}, reach(func(w *fakeWorker) { w.memory.Store(1 << 20) })},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				first, last := map[int]time.Time{}, map[int]time.Time{} // request of each worker process
				starts := &starts{t: t}
				starts.make = func(n int) (Worker, error) {
					time.Sleep(startTime)
					w := newFakeWorker(n, func(*fasthttp.RequestCtx, *Request) error {
						mu.Lock()
						if _, ok := first[n]; !ok {
							first[n] = time.Now()
						}
						last[n] = time.Now()
						mu.Unlock()
						time.Sleep(requestTime)
						return nil
					})
					tt.ready(w)
					return w, nil
				}
				tt.opts.Start, tt.opts.Processes, tt.opts.Threads, tt.opts.HandAhead = starts.start, processes, threads, -1
				h := newTestHandler(t, Options{Mounts: []Mount{{Path: "/", Group: tt.opts}}})
				g := h.mounts[0].group
				time.Sleep(startTime + time.Second)
				var stop atomic.Bool
				var clients sync.WaitGroup
				for range processes * threads {
					clients.Go(func() {
						for !stop.Load() {
							ctx := get(t, "/")
							h.Handle(ctx)
							if status := ctx.Response.StatusCode(); status != 200 {
								t.Errorf("status %d, want 200", status)
							}
						}
					})
				}
				for end := time.Now().Add(5 * limit); time.Now().Before(end); time.Sleep(7 * time.Millisecond) {
					g.mu.Lock()
					ready := 0
					for _, m := range g.members {
						if !m.full() {
							ready += m.threads
						}
					}
					g.mu.Unlock()
					if ready < processes*threads {
						t.Errorf("%d threads take requests, want %d at least", ready, processes*threads)
						break
					}
				}
				stop.Store(true)
				clients.Wait()
				if len(first) < 4*processes {
					t.Errorf("%d worker processes served in five times the limit, want %d", len(first), 4*processes)
				}
				for n := range first {
					// What it may take is up to a tenth less than the limit, and a second until somebody
					// looks, and then its successor is started.
					if served, most := last[n].Sub(first[n]), limit+time.Second+checkInterval+startTime; served > most {
						t.Errorf("worker process %d served for %v, want %v at most", n, served, most)
					}
				}
			})
		})
	}
}

// TestMaximumRequestsSlowStart: where the successor is not ready in time, requests wait for it;
// the limit holds all the same.
func TestMaximumRequestsSlowStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 20
		counts := make([]atomic.Int32, 100)
		good := served(counts)
		starts := &starts{t: t}
		starts.make = func(n int) (Worker, error) {
			time.Sleep(3 * time.Second)
			return good(n)
		}
		h := newTestHandler(t, Options{Mounts: []Mount{{Path: "/", Group: GroupOptions{Start: starts.start, MaximumRequests: limit}}}})
		var clients sync.WaitGroup
		for range 8 {
			clients.Go(func() {
				for range 50 {
					ctx := get(t, "/")
					h.Handle(ctx)
					if status := ctx.Response.StatusCode(); status != 200 {
						t.Errorf("status %d, want 200", status)
					}
				}
			})
		}
		clients.Wait()
		for n := range counts {
			if got := counts[n].Load(); got > limit {
				t.Errorf("worker process %d served %d, want %d at most", n, got, limit)
			}
		}
	})
}
