package pybridge

import (
	"net"
	"sync/atomic"
	"testing"
	"time"
)

// TestEndBeforeItIsActedOn: a request that ends between the look at its deadline
// or its client and what is done about that passes nothing on to the next one.
func TestEndBeforeItIsActedOn(t *testing.T) {
	for name, tt := range map[string]struct {
		due func(w *Worker, gone *atomic.Bool) *exchange
		act func(w *Worker, x *exchange)
	}{
		"late": {
			func(w *Worker, _ *atomic.Bool) *exchange {
				w.mu.Lock()
				w.table[0].since.Store(-int64(2 * time.Hour))
				w.mu.Unlock()
				if _, late := w.lookAtAll(); len(late) == 1 {
					return late[0]
				}
				return nil
			},
			func(w *Worker, x *exchange) { w.overdue(x) },
		},
		"client gone": {
			func(w *Worker, gone *atomic.Bool) *exchange {
				gone.Store(true)
				defer gone.Store(false)
				if gone, _ := w.lookAtAll(); len(gone) == 1 {
					return gone[0]
				}
				return nil
			},
			func(_ *Worker, x *exchange) { x.abandon() },
		},
	} {
		t.Run(name, func(t *testing.T) {
			var gone atomic.Bool
			p := startPeer(t, func(o *Options) {
				o.RequestTimeout = time.Hour
				o.ClientGone = func(net.Conn) bool { return gone.Load() }
			})
			w := p.worker
			f := serveFront(t, w)
			conn := f.send(getRequest)
			id := p.request().request
			x := tt.due(w, &gone)
			if x == nil {
				t.Fatal("the request was not found")
			}
			p.ok(id, "first")
			if got := read(conn, "GET"); got.status != 200 {
				t.Fatalf("the first request: %+v, want status 200", got)
			}
			if err := receive(t, "the end of Serve", f.errors); err != nil {
				t.Fatal(err)
			}
			waitFor(t, "the thread is given back", func() bool { return f.freed.Load() == 1 })

			conn = f.send(getRequest)
			next := p.request().request
			tt.act(w, x)
			x.release()
			p.ok(next, "second")
			if got := read(conn, "GET"); got.status != 200 || got.body != "second" {
				t.Errorf("the next request: %+v, want status 200", got)
			}
		})
	}
}
