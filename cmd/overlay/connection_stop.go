package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"overlay/eventloop"

	"github.com/valyala/fasthttp"
)

// Every connection has the same time when the server stops, wherever it waits.
const (
	lastCall  = eventloop.LastCall
	firstCall = eventloop.FirstCall
)

// readLast reads what arrives within lastCall, and ends the connection if that is nothing.
func (c *connection) readLast(p []byte) (n int, err error) {
	c.armed = 0 // so that it is set anew for what follows
	for end := time.Now().Add(cmp.Or(c.timeouts.last, lastCall)); ; {
		_ = c.Conn.SetReadDeadline(end)
		if n, err = c.Conn.Read(p); !errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		if time.Now().Before(end) {
			continue // whoever stops this wanted to wake Read, and came late
		}
		if n, err = readNow(c.Conn, p); err == errWouldBlock {
			err = io.EOF
		}
		break
	}
	if n > 0 {
		c.dismissed.Store(false)
	}
	c.firstBytes(n)
	c.received += int64(n)
	return n, err
}

// firstBytes notes that a new connection has received n bytes.
func (c *connection) firstBytes(n int) {
	if n > 0 && c.phase == phaseNew {
		c.heard.Store(true)
		c.enter(phaseHead)
	}
}

// newcomers are connections, of which some have not begun a request. fasthttp takes those
// for busy, and a stop would wait for them as long as the header timeout. The zero value is ready.
type newcomers struct {
	mu    sync.Mutex // guards conns
	conns map[net.Conn]struct{}
}

func (n *newcomers) add(c net.Conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.conns == nil {
		n.conns = make(map[net.Conn]struct{})
	}
	n.conns[c] = struct{}{}
}

func (n *newcomers) remove(c net.Conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.conns, c)
}

// dismiss gives those that have not begun a request their last call.
func (n *newcomers) dismiss() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for c := range n.conns {
		inner := connectionOf(c)
		if inner == nil {
			continue
		}
		heard := &inner.heard
		if c, ok := c.(*tlsConnection); ok {
			heard = &c.heard // a handshake is no request
		}
		if heard.Load() {
			continue
		}
		inner.dismissed.Store(true)
		if heard.Load() {
			inner.dismissed.Store(false)
			continue
		}
		_ = inner.Conn.SetReadDeadline(time.Unix(1, 0))
	}
}

// farewell has each response say that it is the last of its connection, from a moment
// before fasthttp begins to stop: fasthttp closes the connections of responses that were
// under way at that moment, although they promised to read on. The zero value is ready.
type farewell struct{ begun atomic.Bool }

// watch returns a handler whose responses end their connections once say was called.
func (f *farewell) watch(next fasthttp.RequestHandler) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		next(ctx)
		if _, stream := ctx.Conn().(*http2Conn); !stream && f.begun.Load() { // HTTP/2 says it by itself
			ctx.SetConnectionClose()
		}
	}
}

// say lets the responses that promise otherwise be sent, if there are connections, as
// long as ctx and lastCall allow.
func (f *farewell) say(ctx context.Context, connections int) {
	f.begun.Store(true)
	if connections == 0 {
		return
	}
	select {
	case <-time.After(lastCall):
	case <-ctx.Done():
	}
}
