package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// lastCall is how long a connection that waits for a request stays open when the server
// stops. A client that was just answered may have sent its next request: it gets an
// answer, which says that it is the last.
const lastCall = 100 * time.Millisecond

// readLast reads what arrives within lastCall, and ends the connection if that is nothing.
func (c *connection) readLast(p []byte) (int, error) {
	_ = c.Conn.SetReadDeadline(time.Now().Add(cmp.Or(c.timeouts.last, lastCall)))
	c.armed = 0 // so that it is set anew for what follows
	n, err := c.Conn.Read(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		if n, err = readNow(c.Conn, p); err == errWouldBlock {
			err = io.EOF
		}
	}
	if n > 0 && c.phase == phaseNew {
		c.enter(phaseHead)
	}
	c.received += int64(n)
	return n, err
}

// farewell has each response say that it is the last of its connection, from a moment
// before fasthttp begins to stop: fasthttp closes the connections of responses that were
// under way at that moment, although they promised to read on. The zero value is ready.
type farewell struct{ begun atomic.Bool }

// watch returns a handler whose responses end their connections once say was called.
func (f *farewell) watch(next fasthttp.RequestHandler) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		next(ctx)
		if f.begun.Load() {
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
