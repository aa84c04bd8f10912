package fallthru

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/valyala/fasthttp"
)

// TestNothingIsLeft: no goroutine outlives Stop, whatever was going on.
func TestNothingIsLeft(t *testing.T) {
	waitForever := func(ctx context.Context) (Worker, error) { <-ctx.Done(); return nil, context.Cause(ctx) }
	mounts := func() []Mount {
		return []Mount{
			{Path: "/", Group: GroupOptions{Start: always(t, nil).start, Processes: 3}},
			{Path: "/broken", Group: GroupOptions{Start: func(context.Context) (Worker, error) { return nil, ErrLoad }}},
			{Path: "/slow", Group: GroupOptions{Start: waitForever}},
		}
	}
	before := runtime.NumGoroutine()
	for i := range 50 {
		opts := Options{Path: pathOf, Logger: quiet, Mounts: mounts()}
		for i := range opts.Mounts {
			opts.Mounts[i].Group.Logger = quiet
		}
		h, err := New(opts)
		if err != nil {
			t.Fatal(err)
		}
		var handlers sync.WaitGroup
		for _, path := range []string{"/", "/broken", "/slow"} {
			ctx := get(t, path)
			handlers.Go(func() { h.Handle(ctx) })
		}
		if i%2 == 0 {
			waitFor(t, "a worker process", func() bool { idle, _ := slotsIn(h.mounts[2].group); return idle > 0 })
		}
		h.Stop(context.Background())
		handlers.Wait()
	}
	waitFor(t, "every goroutine has ended", func() bool { return runtime.NumGoroutine() <= before })
}

// TestEveryRequestIsAnswered: worker processes that die, leave and lie, under
// load, and not one request is lost or answered twice; at the end every thread
// is free. Made for the race detector.
func TestEveryRequestIsAnswered(t *testing.T) {
	var n atomic.Int64
	starts := &starts{t: t}
	starts.make = func(number int) (Worker, error) {
		var w *fakeWorker
		w = newFakeWorker(number, func(ctx *fasthttp.RequestCtx, _ *Request) error {
			select {
			case <-w.done:
				return ErrNotHandedOver
			default:
			}
			switch n.Add(1) % 97 {
			case 13:
				w.die()
				return ErrWorkerGone
			case 41:
				select {
				case w.leaving <- "enough":
				default:
				}
			}
			ctx.SetStatusCode(200)
			return nil
		})
		return w, nil
	}
	h := newTestHandler(t, Options{Mounts: []Mount{{Path: "/", Group: GroupOptions{
		Start: starts.start, Processes: 3, Threads: 2, QueueBacklog: 1000,
	}}}})
	const clients, requests = 16, 60
	var counts [600]atomic.Int64
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for range requests {
				ctx := new(fasthttp.RequestCtx)
				ctx.Init(new(fasthttp.Request), nil, nil)
				ctx.Request.SetRequestURI("/")
				h.Handle(ctx)
				counts[ctx.Response.StatusCode()].Add(1)
			}
		})
	}
	all.Wait()
	ok, gone, none := counts[200].Load(), counts[502].Load(), counts[503].Load()
	if ok+gone+none != clients*requests || ok == 0 || gone == 0 {
		t.Errorf("%d answered 200, %d 502 and %d 503, of %d", ok, gone, none, clients*requests)
	}
	if want := int64(clients*requests) / 97; gone > want+1 {
		t.Errorf("%d requests were lost with a worker process, want %d: those that it had", gone, want)
	}
	waitFor(t, "every place is filled and every thread free", func() bool {
		idle, busy := slotsIn(h.mounts[0].group)
		return idle == 6 && busy == 0
	})
}
