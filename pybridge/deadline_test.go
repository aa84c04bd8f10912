package pybridge

import (
	"errors"
	"net"
	"strings"
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

// TestRequestTimeout: the time of a request counts from byte to byte of its response.
// When it is over, the client is told and the thread interrupted; a thread that does
// not come free means that its process has to go.
func TestRequestTimeout(t *testing.T) {
	for _, tt := range []struct {
		name   string
		before func(p *peer, id uint32)
		err    error // of Serve
	}{
		{"nothing comes", func(*peer, uint32) {}, ErrTimeout},
		{"nothing comes after the head", func(p *peer, id uint32) { p.respond(id, 0, "200 OK", "") }, nil},
		{"nothing comes after the first bytes", func(p *peer, id uint32) { p.respond(id, 0, "200 OK\nContent-Length\n6", "abc") }, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := startPeer(t, func(o *Options) { o.RequestTimeout, o.InterruptTimeout = time.Second, 50*time.Millisecond })
			f := serveFront(t, p.worker)
			conn := f.send(getRequest)
			id := p.request().request
			tt.before(p, id)
			if err := receive(t, "Serve returns", f.errors); !errors.Is(err, tt.err) {
				t.Errorf("Serve = %v, want %v", err, tt.err)
			}
			if got := read(conn, "GET"); tt.err == nil && got.err == nil {
				t.Errorf("a response that stopped looks complete: %+v", got)
			}
			if order := receive(t, "an order to interrupt", p.orders); order.kind != frameInterrupt || order.request != id {
				t.Errorf("got order %d about %d, want to interrupt %d", order.kind, order.request, id)
			}
			receive(t, "the process is to be replaced", p.worker.Leaving())
			if n := f.freed.Load(); n != 0 {
				t.Errorf("the thread was said to be free %d times", n)
			}
		})
	}
}

// TestDeadlineMoves: each frame of a response gives its request its time anew, and so
// does a client that has yet to take what fills the window.
func TestDeadlineMoves(t *testing.T) {
	p := startPeer(t, func(o *Options) { o.RequestTimeout, o.ResponseBuffer = time.Hour, minResponseBuffer })
	w := p.worker
	ctx, served := contextOf(t, plainConn, getRequest), make(chan error, 1)
	go func() { served <- w.Serve(ctx, &Request{Path: []byte("/x")}, func() {}) }()
	id := p.request().request
	deadline := func() time.Duration {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.deadlineOf(w.table[id&exchangeIndex], time.Since(epoch))
	}
	moves := func(what string, act func()) {
		t.Helper()
		before := deadline()
		act()
		waitFor(t, what, func() bool { return deadline() > before })
	}
	moves("the head moves it", func() { p.respond(id, 0, "200 OK", "") })
	if err := receive(t, "Serve returns", served); err != nil {
		t.Fatal(err)
	}
	// Nobody sends the body on: this is a client that takes nothing.
	moves("a byte moves it", func() { p.body(id, 0, "x") })
	moves("more moves it", func() { p.body(id, 0, strings.Repeat("x", w.window-spoolBlock-1)) })
	if before := deadline(); deadline() != before {
		t.Error("it moves although nothing comes and there is room in the window")
	}
	moves("the byte that fills the window moves it", func() { p.body(id, 0, "x") })
	moves("a full window moves it", func() {})
	p.body(id, flagEnd|flagLast, "")
	if err := ctx.Response.CloseBodyStream(); err != nil {
		t.Error(err)
	}
}

// TestDeadlineBehindALaterOne: a request is not late because the next look is at one
// that has more time.
func TestDeadlineBehindALaterOne(t *testing.T) {
	p := startPeer(t, func(o *Options) { o.RequestTimeout, o.InterruptTimeout = 50*time.Millisecond, time.Hour })
	f := serveFront(t, p.worker)
	for range 3 {
		f.send(getRequest)
		p.request()
		if err := receive(t, "Serve returns", f.errors); !errors.Is(err, ErrTimeout) {
			t.Errorf("Serve = %v, want ErrTimeout", err)
		}
	}
}
