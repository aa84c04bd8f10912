package fallthru

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/valyala/fasthttp"
)

func TestGroupOptions(t *testing.T) {
	start := always(t, nil).start
	tests := []struct {
		name string
		opts GroupOptions
		want string // the error; "" for none
	}{
		{"only a starter", GroupOptions{Start: start}, ""},
		{"no starter", GroupOptions{}, "fallthru: GroupOptions.Start is nil"},
		{"negative processes", GroupOptions{Start: start, Processes: -1}, "fallthru: processes -1, threads 5: want at least 1 of each"},
		{"negative threads", GroupOptions{Start: start, Threads: -2}, "fallthru: processes 1, threads -2: want at least 1 of each"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.opts.withDefaults()
			if tt.want != "" {
				if err == nil || err.Error() != tt.want {
					t.Fatalf("withDefaults() = %v, want %q", err, tt.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got.Start, got.Logger = nil, nil
			want := GroupOptions{
				Processes: 1, Threads: 5, QueueBacklog: 100, QueueTimeout: 45 * time.Second,
				StartupTimeout: 15 * time.Second, GracefulTimeout: 15 * time.Second, ShutdownTimeout: 5 * time.Second,
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("withDefaults() = %v, want %v", got, want)
			}
		})
	}
}

// TestLeastBusy: requests go to the worker process that has the fewest, and
// each thread is given out once.
func TestLeastBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newTestGroup(t, GroupOptions{Start: always(t, nil).start, Processes: 3, Threads: 2, QueueBacklog: -1})
		synctest.Wait()
		held := map[*member][]*slot{}
		all := map[*slot]bool{}
		take := func() *slot {
			s, err := g.acquire(nil)
			if err != nil {
				t.Fatal(err)
			}
			held[s.member] = append(held[s.member], s)
			if all[s] {
				t.Fatal("a thread was given out twice")
			}
			all[s] = true
			return s
		}
		for range 3 {
			take()
		}
		if len(held) != 3 {
			t.Fatalf("three requests went to %d of three worker processes", len(held))
		}
		last := take()
		last.free()
		delete(all, last)
		if s := take(); s.member != last.member && len(held[s.member]) != 2 {
			t.Errorf("a request went to a worker process with %d others", len(held[s.member])-1)
		}
		take()
		take()
		if _, err := g.acquire(nil); !errors.Is(err, ErrQueueFull) {
			t.Errorf("seventh request of six threads: %v, want ErrQueueFull", err)
		}
		for s := range all {
			s.free()
		}
	})
}

// slotsIn counts the threads of the group, free and busy.
func slotsIn(g *group) (idle, busy int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, m := range g.members {
		idle += max(m.threads-m.busy, 0)
		busy += m.busy
	}
	return idle, busy
}

// TestSlotGivenBackOnce: whatever becomes of a request, its thread is given
// back once, and afterwards all of them are free.
func TestSlotGivenBackOnce(t *testing.T) {
	outcomes := map[string]struct {
		err    error
		status int
	}{
		"answered":              {nil, 200},
		"application failed":    {errApplication, 500},
		"worker process ended":  {ErrWorkerGone, 502},
		"wrapped":               {fmt.Errorf("x: %w", ErrWorkerGone), 502},
		"unexpected queue full": {ErrQueueFull, 503},
	}
	for name, outcome := range outcomes {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls := 0
				starts := always(t, func(*fasthttp.RequestCtx, *Request) error { calls++; return outcome.err })
				h := newTestHandler(t, Options{Mounts: []Mount{{Path: "/", Group: GroupOptions{Start: starts.start, Threads: 3}}}})
				for i := 1; i <= 10; i++ {
					ctx := get(t, "/")
					h.Handle(ctx)
					if got := ctx.Response.StatusCode(); got != outcome.status {
						t.Fatalf("status %d, want %d", got, outcome.status)
					}
					if calls != i {
						t.Fatalf("request %d was handed over %d times", i, calls)
					}
				}
				if idle, busy := slotsIn(h.mounts[0].group); idle != 3 || busy != 0 {
					t.Errorf("%d threads free and %d busy, want 3 and 0", idle, busy)
				}
			})
		})
	}
}

// TestNotHandedOver: a worker process that has ended before it saw the request
// is passed over, and gets no other one. The next has it.
func TestNotHandedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		served := map[int]int{}
		starts := &starts{t: t}
		starts.make = func(n int) (Worker, error) {
			return newFakeWorker(n, func(*fasthttp.RequestCtx, *Request) error {
				served[n]++
				if n <= 2 {
					return fmt.Errorf("%w: it has just died", ErrNotHandedOver)
				}
				return nil
			}), nil
		}
		h := newTestHandler(t, Options{Mounts: []Mount{{Path: "/", Group: GroupOptions{Start: starts.start, Processes: 3}}}})
		synctest.Wait()
		for range 5 {
			ctx := get(t, "/")
			h.Handle(ctx)
			if status := ctx.Response.StatusCode(); status != 200 {
				t.Fatalf("status %d, want 200", status)
			}
		}
		if served[1] > 1 || served[2] > 1 || served[3] != 5 {
			t.Errorf("requests by worker process: %v, want one at most for 1 and 2, and 5 for 3", served)
		}
		// The keepers notice later, and replace them.
		starts.worker(1).die()
		starts.worker(2).die()
		synctest.Wait()
		if n := starts.count(); n != 3+served[1]+served[2] && n != 5 {
			t.Errorf("%d starts", n)
		}
	})
}

// TestNotHandedOverToTheLast: with no other worker process the request waits
// for the next one.
func TestNotHandedOverToTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		starts := &starts{t: t}
		starts.make = func(n int) (Worker, error) {
			return newFakeWorker(n, func(*fasthttp.RequestCtx, *Request) error {
				if n == 1 {
					time.AfterFunc(50*time.Millisecond, starts.worker(1).die)
					return ErrNotHandedOver
				}
				return nil
			}), nil
		}
		h := newTestHandler(t, Options{Mounts: []Mount{{Path: "/", Group: GroupOptions{Start: starts.start}}}})
		begun, ctx := time.Now(), get(t, "/")
		h.Handle(ctx)
		if status, took := ctx.Response.StatusCode(), time.Since(begun); status != 200 || took != 50*time.Millisecond {
			t.Errorf("status %d after %v, want 200 after 50ms", status, took)
		}
	})
}

// TestWorkerDies: a worker process that ends takes only what it has with it.
func TestWorkerDies(t *testing.T) {
	tests := []struct {
		name string
		busy bool
		want int // status of the request at hand
	}{
		{"while idle", false, 200},
		{"while busy", true, 502},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				starts := &starts{t: t}
				handed := 0
				starts.make = func(n int) (Worker, error) {
					return newFakeWorker(n, func(*fasthttp.RequestCtx, *Request) error {
						handed++
						if n == 1 && tt.busy {
							starts.worker(1).die()
							return ErrWorkerGone
						}
						return nil
					}), nil
				}
				h := newTestHandler(t, Options{Mounts: []Mount{{Path: "/", Group: GroupOptions{Start: starts.start, Threads: 2}}}})
				synctest.Wait()
				if !tt.busy {
					starts.worker(1).die()
					synctest.Wait()
				}
				ctx := get(t, "/")
				h.Handle(ctx)
				if got := ctx.Response.StatusCode(); got != tt.want || handed != 1 {
					t.Errorf("status %d, handed over %d times, want %d and once", got, handed, tt.want)
				}
				synctest.Wait()
				if n := starts.count(); n != 2 {
					t.Errorf("%d starts, want 2: a replacement at once", n)
				}
				ctx = get(t, "/")
				h.Handle(ctx)
				if got := ctx.Response.StatusCode(); got != 200 {
					t.Errorf("status %d afterwards, want 200", got)
				}
				if idle, busy := slotsIn(h.mounts[0].group); idle != 2 || busy != 0 {
					t.Errorf("%d threads free and %d busy, want 2 and 0", idle, busy)
				}
			})
		})
	}
}

// TestGroupEnds: what is queued is refused, what is held may finish, and at
// the end of ctx nobody waits any more.
func TestGroupEnds(t *testing.T) {
	tests := []struct {
		name     string
		needs    time.Duration // of the request that is held
		graceful time.Duration // until ctx ends; 0 is never
		stopFor  time.Duration // of the exit handlers
		took     time.Duration
	}{
		{"nothing held", 0, 0, 0, 0},
		{"held and finished", 3 * time.Second, 10 * time.Second, 0, 3 * time.Second},
		{"exit handlers too", 3 * time.Second, 10 * time.Second, 2 * time.Second, 5 * time.Second},
		{"exit handlers that hang", 3 * time.Second, 10 * time.Second, time.Hour, 3*time.Second + DefaultShutdownTimeout},
		{"held for too long", time.Hour, 10 * time.Second, 0, 10 * time.Second},
		{"held for too long, exit handlers", time.Hour, 10 * time.Second, 2 * time.Second, 12 * time.Second},
	}
	for _, tt := range tests {
		for _, leaving := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, leaving %v", tt.name, leaving), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					testGroupEnd(t, tt.needs, tt.graceful, tt.stopFor, tt.took, leaving)
				})
			})
		}
	}
}

func testGroupEnd(t *testing.T, needs, graceful, stopFor, took time.Duration, leaving bool) {
	starts := &starts{t: t}
	starts.make = func(n int) (Worker, error) {
		var w *fakeWorker
		w = newFakeWorker(n, func(*fasthttp.RequestCtx, *Request) error {
			select {
			case <-time.After(needs):
				return nil
			case <-w.done:
				return ErrWorkerGone
			}
		})
		if n == 1 {
			w.stopFor = stopFor
		}
		return w, nil
	}
	g, err := newGroup(GroupOptions{Start: starts.start, Threads: 1, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	served := make(chan error, 1)
	if needs > 0 {
		s, err := g.acquire(nil)
		if err != nil {
			t.Fatal(err)
		}
		go func() { served <- s.member.worker.Serve(nil, nil, s.free) }()
		synctest.Wait()
	}
	if leaving {
		starts.worker(1).leaving <- "SIGTERM"
		synctest.Wait()
	}
	ctx := context.Background()
	if graceful > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, graceful)
		defer cancel()
	}
	begun := time.Now()
	g.end(ctx)
	if d := time.Since(begun); d != took && !(leaving && needs == 0) {
		t.Errorf("the group ended after %v, want %v", d, took)
	}
	if needs > 0 {
		synctest.Wait()
		select {
		case err := <-served:
			if finished := err == nil; finished != (needs < graceful) {
				t.Errorf("the request that was held: %v", err)
			}
		default:
			t.Error("the request that was held is still there")
		}
	}
	if _, err := g.acquire(nil); !errors.Is(err, ErrStopping) {
		t.Errorf("a request afterwards: %v, want ErrStopping", err)
	}
	for i := range starts.count() {
		w := starts.worker(i + 1)
		if n := w.stops.Load(); n != 1 {
			t.Errorf("worker process %d was told to stop %d times", i+1, n)
		}
	}
}

// TestGroupEndsQueue: requests that wait when the group ends are refused at
// once, and so is one that comes then.
func TestGroupEndsQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, s := busyGroup(t, GroupOptions{})
		waiting := []<-chan result{acquireLater(g), acquireLater(g)}
		ended := make(chan struct{})
		go func() {
			g.end(context.Background())
			close(ended)
		}()
		synctest.Wait()
		for _, w := range append(waiting, acquireLater(g)) {
			if r := <-w; !errors.Is(r.err, ErrStopping) || r.waited != 0 {
				t.Errorf("acquire: %v after %v, want ErrStopping at once", r.err, r.waited)
			}
		}
		s.free()
		<-ended
	})
}
