package main

import (
	"context"
	"io"
	"sync"

	"github.com/valyala/fasthttp"
)

// A response to HTTP/1.0 whose length nobody knows ends with its connection.
// fasthttp cannot send one: pybridge takes the connection over (Hijack), and what
// fasthttp does for every other response is done here.

// KeepTime bounds writes by the socket timeout again, after SetDeadline: fasthttp
// calls that when it lets a connection go.
func (c *connection) KeepTime() { c.writer = writeWatch{} }

// Abort ends the connection so that the client sees that the response is not
// complete: it is reset. The client may lose bytes that it has not read yet.
func (c *connection) Abort() {
	_ = c.SetLinger(0) // at worst the connection ends politely
	_ = c.Conn.Close()
}

// KeepTime does what it does for the connection below.
func (c *tlsConnection) KeepTime() { c.inner.KeepTime() }

// Abort ends the connection without the alert that says that all has been sent.
func (c *tlsConnection) Abort() { c.inner.Abort() }

// hijacked counts the connections that fasthttp has let go and that are still
// open: its own count, and so its shutdown, forgets them. The zero value is ready.
type hijacked struct{ open sync.WaitGroup }

// watch returns a handler that counts the connections that next takes over.
func (h *hijacked) watch(next fasthttp.RequestHandler) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		next(ctx)
		if !ctx.Hijacked() {
			return
		}
		if c := connectionOf(ctx.Conn()); c != nil && c.onClose == nil {
			h.open.Add(1)
			// When fasthttp cannot send what lies before the response, to a client that has left,
			// it does not call who has taken the connection over. The response must end all the same.
			body, _ := ctx.Response.BodyStream().(io.Closer)
			c.onClose = func() {
				defer h.open.Done()
				if body != nil {
					_ = body.Close() // once more in the usual course, which does nothing
				}
			}
		}
	}
}

// wait returns when all of them are closed, or why it did not wait any longer. No
// request may begin meanwhile.
func (h *hijacked) wait(ctx context.Context) error {
	closed := make(chan struct{})
	go func() {
		h.open.Wait()
		close(closed)
	}()
	select {
	case <-closed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
