package fallthru

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/valyala/fasthttp"
)

func TestBackoff(t *testing.T) {
	const ms = time.Millisecond
	want := []time.Duration{0, 250 * ms, 500 * ms, 1000 * ms, 2000 * ms, 4000 * ms, 8000 * ms, 8000 * ms}
	var b backoff
	for i, d := range want {
		if got := b.pause(); got != d {
			t.Errorf("pause after failure %d = %v, want %v", i+1, got, d)
		}
	}
	b.failures = 1 << 40
	if got := b.pause(); got != maxBackoff {
		t.Errorf("pause after very many failures = %v, want %v", got, maxBackoff)
	}
}

// startTimes runs a group for the time of watch and returns when it asked for
// worker processes.
func startTimes(t *testing.T, watch time.Duration, start func(n int, w *fakeWorker) error) []time.Duration {
	t.Helper()
	var got []time.Duration
	synctest.Test(t, func(t *testing.T) {
		starts := &starts{t: t}
		starts.make = func(n int) (Worker, error) {
			w := newFakeWorker(n, nil)
			if err := start(n, w); err != nil {
				return nil, err
			}
			return w, nil
		}
		newTestGroup(t, GroupOptions{Start: starts.start})
		time.Sleep(watch)
		synctest.Wait()
		got = starts.since()
	})
	return got
}

// TestReplacement: how long a place in the group stays empty.
func TestReplacement(t *testing.T) {
	const ms, s = time.Millisecond, time.Second
	tests := []struct {
		name  string
		watch time.Duration
		start func(n int, w *fakeWorker) error
		want  []time.Duration // starts
	}{
		{"one that lives", time.Hour, func(int, *fakeWorker) error { return nil }, []time.Duration{0}},
		{"one that served for a while is replaced at once", 25 * s, func(_ int, w *fakeWorker) error {
			time.AfterFunc(10*s, w.die)
			return nil
		}, []time.Duration{0, 10 * s, 20 * s}},
		{"exactly long enough", 7 * s, func(_ int, w *fakeWorker) error {
			time.AfterFunc(shortLife, w.die)
			return nil
		}, []time.Duration{0, 2 * s, 4 * s, 6 * s}},
		{"not quite long enough", 5*s + 100*ms, func(_ int, w *fakeWorker) error {
			time.AfterFunc(shortLife-ms, w.die)
			return nil
		}, []time.Duration{0, 1999 * ms, 2*1999*ms + 250*ms}},
		{"crash loop", 20 * s, func(_ int, w *fakeWorker) error {
			w.die()
			return nil
		}, []time.Duration{0, 0, 250 * ms, 750 * ms, 1750 * ms, 3750 * ms, 7750 * ms, 15750 * ms}},
		{"cannot be loaded", 20 * s, func(int, *fakeWorker) error { return ErrLoad },
			[]time.Duration{0, 250 * ms, 750 * ms, 1750 * ms, 3750 * ms, 7750 * ms, 15750 * ms}},
		{"crash loop that ends", 40 * s, func(n int, w *fakeWorker) error {
			switch {
			case n < 4:
				w.die()
			case n == 4:
				time.AfterFunc(10*s, w.die)
			case n == 5:
				w.die() // once again, from the beginning
			}
			return nil
		}, []time.Duration{0, 0, 250 * ms, 750 * ms, 10750 * ms, 10750 * ms}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := startTimes(t, tt.watch, tt.start); !slices.Equal(got, tt.want) {
				t.Errorf("starts at %v, want %v", got, tt.want)
			}
		})
	}
}

// TestCrashLoopAnswers: while worker processes end as soon as they start,
// requests do not wait for the queue timeout.
func TestCrashLoopAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		starts := &starts{t: t}
		starts.make = func(n int) (Worker, error) {
			w := newFakeWorker(n, nil)
			w.die()
			return w, nil
		}
		h := newTestHandler(t, Options{Mounts: []Mount{{Path: "/", Group: GroupOptions{Start: starts.start}}}})
		time.Sleep(4 * time.Second)
		ctx, begun := get(t, "/"), time.Now()
		h.Handle(ctx)
		if status, after := ctx.Response.StatusCode(), ctx.Response.Header.Peek("Retry-After"); status != 503 || string(after) != "5" || time.Since(begun) != 0 {
			t.Errorf("status %d, Retry-After %q after %v, want 503 and 5 at once", status, after, time.Since(begun))
		}
	})
}

// TestLoadFailure: the client gets a plain 500 at once, those who wait
// already, too; a request brings the next start forward, but not sooner than
// retryPause after the last one failed.
func TestLoadFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := true
		starts := &starts{t: t}
		starts.make = func(n int) (Worker, error) {
			time.Sleep(100 * time.Millisecond) // imports
			if broken {
				return nil, fmt.Errorf("%w: no module named shop", ErrLoad)
			}
			return newFakeWorker(n, nil), nil
		}
		h := newTestHandler(t, Options{Mounts: []Mount{{Path: "/", Group: GroupOptions{Start: starts.start}}}})
		handle := func(want int, wantTook time.Duration) {
			t.Helper()
			ctx, begun := get(t, "/"), time.Now()
			h.Handle(ctx)
			if status, took := ctx.Response.StatusCode(), time.Since(begun); status != want || took != wantTook {
				t.Errorf("status %d after %v, want %d after %v", status, took, want, wantTook)
			}
			if body := string(ctx.Response.Body()); want == 500 && body != "Internal Server Error" {
				t.Errorf("body %q tells more than it should", body)
			}
		}
		handle(500, 100*time.Millisecond) // it waited for the first start
		handle(500, 0)

		// The starts are at 0, 0.35, 0.95, 2.05, 4.15 and 8.25 s, each for 0.1 s.
		time.Sleep(8*time.Second + 250*time.Millisecond)
		synctest.Wait()
		if n := starts.count(); n != 6 {
			t.Fatalf("%d starts, want 6", n)
		}
		// The next one comes at 16.35 s by itself.
		time.Sleep(retryPause - time.Nanosecond)
		handle(500, 0)
		synctest.Wait()
		if n := starts.count(); n != 6 {
			t.Errorf("a request within retryPause brought a start forward: %d starts", n)
		}
		time.Sleep(time.Nanosecond)
		broken = false
		handle(500, 0)
		synctest.Wait()
		if n := starts.count(); n != 7 {
			t.Errorf("%d starts, want 7: a request after retryPause brings one forward", n)
		}
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		handle(200, 0)
	})
}

// TestRetryIsNotKept: a request that asks for a worker process while one is
// being started has what it wants; when that fails, the pause is whole.
func TestRetryIsNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		starts := &starts{t: t}
		starts.make = func(n int) (Worker, error) {
			time.Sleep(3 * time.Second)
			return nil, ErrLoad
		}
		g := newTestGroup(t, GroupOptions{Start: starts.start})
		time.Sleep(5 * time.Second) // the second start is under way, since 3.25 s
		if _, err := g.acquire(nil); !errors.Is(err, ErrLoad) {
			t.Fatalf("acquire: %v, want ErrLoad", err)
		}
		time.Sleep(1500 * time.Millisecond) // it has failed, at 6.25 s
		synctest.Wait()
		if n := starts.count(); n != 2 {
			t.Errorf("%d starts after 6.5 s, want 2: the third is due at 6.75 s", n)
		}
		time.Sleep(250 * time.Millisecond)
		synctest.Wait()
		if n := starts.count(); n != 3 {
			t.Errorf("%d starts after 6.75 s, want 3", n)
		}
	})
}

// TestOneOfTwoFails: as long as one worker process lives, requests go there.
func TestOneOfTwoFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		starts := &starts{t: t}
		starts.make = func(n int) (Worker, error) {
			if n == 1 {
				return newFakeWorker(n, nil), nil
			}
			return nil, ErrLoad
		}
		h := newTestHandler(t, Options{Mounts: []Mount{{Path: "/", Group: GroupOptions{Start: starts.start, Processes: 2}}}})
		time.Sleep(time.Minute)
		ctx := get(t, "/")
		h.Handle(ctx)
		if status := ctx.Response.StatusCode(); status != 200 {
			t.Errorf("status %d, want 200", status)
		}
		if err := h.Wait(context.Background()); err != nil {
			t.Errorf("Wait: %v", err)
		}
	})
}

// TestLeaving: a worker process that asks to be replaced gets no new request,
// keeps those it has, and is ended when it has answered them.
func TestLeaving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		finish := make(chan struct{})
		served := map[int]int{}
		starts := &starts{t: t}
		starts.make = func(n int) (Worker, error) {
			return newFakeWorker(n, func(*fasthttp.RequestCtx, *Request) error {
				served[n]++
				if n == 1 {
					<-finish
				}
				return nil
			}), nil
		}
		h := newTestHandler(t, Options{Mounts: []Mount{{Path: "/", Group: GroupOptions{Start: starts.start}}}})
		synctest.Wait()
		held := get(t, "/held")
		done := make(chan struct{})
		go func() {
			h.Handle(held)
			close(done)
		}()
		synctest.Wait()
		first := starts.worker(1)
		first.leaving <- "SIGTERM"
		time.Sleep(DefaultGracefulTimeout - 1)
		for range 10 {
			ctx := get(t, "/")
			h.Handle(ctx)
			if status := ctx.Response.StatusCode(); status != 200 {
				t.Fatalf("status %d, want 200", status)
			}
		}
		if served[1] != 1 || served[2] != 10 {
			t.Errorf("requests by worker process: %v, want 1 and 10", served)
		}
		if n := first.stops.Load(); n != 0 {
			t.Error("it was told to stop with a request in its hands")
		}
		close(finish)
		<-done
		synctest.Wait()
		if status, n := held.Response.StatusCode(), first.stops.Load(); status != 200 || n != 1 {
			t.Errorf("the request it had: %d; told to stop %d times; want 200 and once", status, n)
		}
		if n := starts.count(); n != 2 {
			t.Errorf("%d starts, want 2", n)
		}
	})
}

// TestStartupTimeout: a start ends exactly when the option says, with a reason.
func TestStartupTimeout(t *testing.T) {
	tests := []struct {
		name  string
		takes time.Duration
		err   bool
	}{
		{"just in time", 7*time.Second - time.Nanosecond, false},
		{"for ever", time.Hour, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := func(ctx context.Context) (Worker, error) {
					select {
					case <-time.After(tt.takes):
						return newFakeWorker(1, nil), nil
					case <-ctx.Done():
						return nil, context.Cause(ctx)
					}
				}
				g := newTestGroup(t, GroupOptions{Start: start, StartupTimeout: 7 * time.Second})
				begun := time.Now()
				err := g.wait(context.Background())
				if !tt.err {
					if err != nil || time.Since(begun) != tt.takes {
						t.Errorf("wait: %v after %v", err, time.Since(begun))
					}
					return
				}
				if time.Since(begun) != 7*time.Second || !errors.Is(err, ErrNoWorker) || !strings.Contains(err.Error(), "startup timeout of 7s") {
					t.Errorf("wait: %v after %v, want the startup timeout after 7s", err, time.Since(begun))
				}
			})
		})
	}
}

// TestWait: what the program learns of the first start.
func TestWait(t *testing.T) {
	slow := func(ctx context.Context) (Worker, error) { <-ctx.Done(); return nil, context.Cause(ctx) }
	gone := errors.New("gone")
	tests := []struct {
		name  string
		start Starter
		act   func(h *Handler, cancel context.CancelCauseFunc)
		want  error
	}{
		{"ready", always(t, nil).start, nil, nil},
		{"not loaded", func(context.Context) (Worker, error) { return nil, ErrLoad }, nil, ErrLoad},
		{"ctx ends first", slow, func(_ *Handler, cancel context.CancelCauseFunc) { cancel(gone) }, gone},
		{"the group ends first", slow, func(h *Handler, _ context.CancelCauseFunc) { h.Stop(context.Background()) }, ErrStopping},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newTestHandler(t, Options{Mounts: []Mount{{Path: "/", Group: GroupOptions{Start: tt.start}}}})
				ctx, cancel := context.WithCancelCause(context.Background())
				defer cancel(nil)
				if tt.act != nil {
					time.AfterFunc(time.Second, func() { tt.act(h, cancel) })
				}
				if err := h.Wait(ctx); !errors.Is(err, tt.want) {
					t.Errorf("Wait: %v, want %v", err, tt.want)
				}
			})
		})
	}
}

// TestWaitForEveryMount: the first mount that has no worker process is named.
func TestWaitForEveryMount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		late := func(context.Context) (Worker, error) {
			time.Sleep(3 * time.Second)
			return newFakeWorker(1, nil), nil
		}
		h := newTestHandler(t, Options{Mounts: []Mount{
			{Path: "/", Group: GroupOptions{Start: always(t, nil).start}},
			{Path: "/late", Group: GroupOptions{Start: late}},
		}})
		begun := time.Now()
		if err := h.Wait(context.Background()); err != nil || time.Since(begun) != 3*time.Second {
			t.Errorf("Wait: %v after %v, want nil after 3s", err, time.Since(begun))
		}
	})
}

type traceback struct{ error }

func (traceback) Traceback() string { return "line 1\nline 2" }

// TestStartFailureInTheLog: the log has the traceback, however it is wrapped.
func TestStartFailureInTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		start := func(context.Context) (Worker, error) {
			return nil, fmt.Errorf("start: %w", traceback{ErrLoad})
		}
		g, err := newGroup(GroupOptions{Start: start, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		g.end(context.Background())
		if got := log.String(); !strings.Contains(got, `traceback="line 1\nline 2"`) || !strings.Contains(got, "level=ERROR") {
			t.Errorf("log: %s", got)
		}
	})
}
