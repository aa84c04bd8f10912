package fallthru

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/valyala/fasthttp"
)

// handleAllocs is how often a request allocates on its way through Handle when
// a thread is free: the constant that issue 2 asks for.
const handleAllocs = 0

// BenchmarkHandle is the way through this package alone: the worker process
// answers at once, with nothing. Allocations: handleAllocs.
func BenchmarkHandle(b *testing.B) {
	h := newTestHandler(b, Options{Mounts: []Mount{
		{Path: "/", Group: GroupOptions{Start: always(b, nil).start, Processes: 2}},
		{Path: "/shop", Group: GroupOptions{Start: always(b, nil).start}},
	}})
	if err := h.Wait(b.Context()); err != nil {
		b.Fatal(err)
	}
	ctx := get(b, "/hello")
	b.ReportAllocs()
	for b.Loop() {
		h.Handle(ctx)
	}
}

// BenchmarkAcquire is a thread taken and given back, by as many goroutines as
// the row says, for 2 × 5 threads: beyond ten of them some wait in the queue.
func BenchmarkAcquire(b *testing.B) {
	for _, clients := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			starts := &starts{t: b, make: func(n int) (Worker, error) {
				return newFakeWorker(n, func(*fasthttp.RequestCtx, *Request) error { return nil }), nil
			}}
			g := newTestGroup(b, GroupOptions{Start: starts.start, Processes: 2, Threads: 5})
			waitFor(b, "both worker processes are ready", func() bool { idle, _ := slotsIn(g); return idle == 10 })
			var left atomic.Int64
			left.Store(int64(b.N))
			done := make(chan error)
			b.ReportAllocs()
			b.ResetTimer()
			for range clients {
				go func() {
					for left.Add(-1) >= 0 {
						s, err := g.acquire(nil)
						if err != nil {
							done <- err
							return
						}
						s.free()
					}
					done <- nil
				}()
			}
			for range clients {
				if err := <-done; err != nil {
					b.Error(err)
				}
			}
		})
	}
}
