package fallthru

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/valyala/fasthttp"
)

// TestReload: every worker process is replaced, and at no moment fewer of them
// take requests than before.
func TestReload(t *testing.T) {
	for _, rolling := range []bool{false, true} {
		t.Run(fmt.Sprintf("rolling %v", rolling), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var starting, most atomic.Int32
				starts := &starts{t: t}
				starts.make = func(n int) (Worker, error) {
					most.Store(max(most.Load(), starting.Add(1)))
					time.Sleep(time.Second)
					starting.Add(-1)
					return newFakeWorker(n, nil), nil
				}
				h := newTestHandler(t, Options{Mounts: []Mount{{Path: "/", Group: GroupOptions{Start: starts.start, Processes: 4, Rolling: rolling}}}})
				if err := h.Wait(t.Context()); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				most.Store(0)
				g := h.mounts[0].group
				stop := make(chan struct{})
				go func() {
					for {
						select {
						case <-stop:
							return
						case <-time.After(10 * time.Millisecond):
						}
						g.mu.Lock()
						n := len(g.members)
						g.mu.Unlock()
						if n < 4 {
							t.Errorf("%d worker processes take requests, want 4 at least", n)
							return
						}
					}
				}()
				if err := h.Reload(t.Context()); err != nil {
					t.Fatal(err)
				}
				close(stop)
				synctest.Wait()
				if n := starts.count(); n != 8 {
					t.Errorf("%d starts, want 8", n)
				}
				want := int32(3) // the first alone, then the others
				if rolling {
					want = 1
				}
				if n := most.Load(); n != want {
					t.Errorf("%d started at once, want %d", n, want)
				}
				for n := 1; n <= 4; n++ {
					if starts.worker(n).stops.Load() != 1 {
						t.Errorf("worker process %d was not stopped", n)
					}
				}
			})
		})
	}
}

// TestReloadBroken: when the new code does not load, one start is all that
// happens, and the old worker processes go on.
func TestReloadBroken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var broken atomic.Bool
		starts := &starts{t: t}
		starts.make = func(n int) (Worker, error) {
			if broken.Load() {
				return nil, fmt.Errorf("%w: SyntaxError", ErrLoad)
			}
			return newFakeWorker(n, func(ctx *fasthttp.RequestCtx, _ *Request) error {
				ctx.SetBodyString("old")
				return nil
			}), nil
		}
		h := newTestHandler(t, Options{Mounts: []Mount{{Path: "/", Group: GroupOptions{Start: starts.start, Processes: 3}}}})
		synctest.Wait()
		broken.Store(true)
		for range 10 {
			if err := h.Reload(t.Context()); err == nil {
				t.Fatal("Reload of broken code succeeded")
			}
			ctx := get(t, "/")
			h.Handle(ctx)
			if body := string(ctx.Response.Body()); body != "old" {
				t.Fatalf("body %q, want that of the old code", body)
			}
		}
		if n := starts.count(); n != 3+10 {
			t.Errorf("%d starts, want the first 3 and one for each reload", n)
		}
		broken.Store(false)
		if err := h.Reload(t.Context()); err != nil {
			t.Fatalf("Reload of repaired code: %v", err)
		}
	})
}

// TestReloadAfterFailure: a reload while nothing loads starts the repaired code
// at once instead of after the pause.
func TestReloadAfterFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var broken atomic.Bool
		broken.Store(true)
		starts := &starts{t: t}
		starts.make = func(n int) (Worker, error) {
			if broken.Load() {
				return nil, ErrLoad
			}
			return newFakeWorker(n, nil), nil
		}
		h := newTestHandler(t, Options{Mounts: []Mount{{Path: "/", Group: GroupOptions{Start: starts.start}}}})
		time.Sleep(time.Minute)
		synctest.Wait()
		broken.Store(false)
		if err := h.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		ctx := get(t, "/")
		h.Handle(ctx)
		if status := ctx.Response.StatusCode(); status != 200 {
			t.Errorf("status %d after the reload, want 200", status)
		}
	})
}

// TestReloadEnds: a reload whose worker process hangs ends with its context,
// and one of a group that ends, with the group.
func TestReloadEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		starts := &starts{t: t}
		starts.make = func(n int) (Worker, error) {
			if n > 1 {
				time.Sleep(10 * time.Second)
			}
			return newFakeWorker(n, nil), nil
		}
		h := newTestHandler(t, Options{Mounts: []Mount{{Path: "/", Group: GroupOptions{Start: starts.start}}}})
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := h.Reload(ctx); err == nil {
			t.Error("Reload outlived its context")
		}
		go h.Stop(t.Context())
		synctest.Wait()
		if err := h.Reload(t.Context()); err == nil {
			t.Error("Reload of a stopped handler succeeded")
		}
	})
}
