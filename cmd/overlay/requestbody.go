package main

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// requestBody is the body of the request that a connection serves. It is read when
// and as far as somebody wants it, and that alone invites it ("100 Continue").
//
// fasthttp would read the first bytes of a body with a length, and so wait for them,
// before it calls the handler. It is told to read one byte (headerReceived), and if
// nothing of the body has arrived it gets one that does not count (feign): its buffer
// is empty then, and the body is read from the connection itself. "100 Continue",
// which it also sends before the handler, is held back (continueHold).
//
// One goroutine reads at a time. After Share that is another one than the handler's.
type requestBody struct {
	conn   net.Conn // as fasthttp has it, TLS on top if there is TLS
	inner  *connection
	stream io.Reader // what fasthttp reads; nil if it has nothing of the body
	left   int64     // then: bytes that have not been read from conn
	err    error     // how reading has ended: io.EOF at the end of the body

	rest time.Duration // when the last Read returned; the client's time stands still until the next

	ahead   bool // fasthttp is about to read, before the handler
	feigned bool // what it has got is not of the body
	failed  bool // a read of the connection has failed within this body

	shared      bool
	ended       atomic.Bool // err is io.EOF
	interrupted atomic.Bool

	mu     sync.Mutex // guards invited, and the write of "100 Continue"
	invite invitation
}

// invitation says what becomes of "100 Continue".
type invitation uint8

const (
	notOwed invitation = iota // not expected, or sent
	owed                      // with the first read
	tooLate                   // the response has begun
)

// errNotInvited: the client waits for "100 Continue" and has got a response instead.
var errNotInvited = errors.New("the response began before the body was asked for")

// errInterrupted: Interrupt was called.
var errInterrupted = errors.New("nobody wants the rest of the body")

// bodyOf returns the body of a request, nil if it has none.
func bodyOf(ctx *fasthttp.RequestCtx) io.Reader {
	if !ctx.Request.IsBodyStream() {
		return nil
	}
	if c := connectionOf(ctx.Conn()); c != nil {
		return &c.body
	}
	return ctx.RequestBodyStream()
}

// begin is called before the handler of a request that has a body.
func (b *requestBody) begin(ctx *fasthttp.RequestCtx, inner *connection) {
	b.conn, b.inner = ctx.Conn(), inner
	b.stream, b.left = ctx.RequestBodyStream(), 0
	if b.feigned {
		b.stream, b.left = nil, int64(ctx.Request.Header.ContentLength())
	}
	b.ahead, b.feigned, b.failed, b.shared = false, false, false, false
	b.err, b.rest, b.invite = nil, 0, notOwed
	b.ended.Store(false)
	b.interrupted.Store(false)
	if holdOf(b.conn).end() {
		b.invite = owed
	}
}

// expect is the ExpectHandler of the server: "100 Continue" is held back from here on.
func (h *hygiene) expect(ctx *fasthttp.RequestCtx) int {
	if hold := holdOf(ctx.Conn()); hold != nil {
		hold.begin()
	}
	return fasthttp.StatusContinue
}

// Read reads from the client. An error stays: what comes after it is out of step.
func (b *requestBody) Read(p []byte) (int, error) {
	if b.err != nil || len(p) == 0 {
		return 0, b.err
	}
	if b.err = b.askFor(); b.err != nil {
		return 0, b.err
	}
	if b.rest != 0 && b.inner.began != 0 {
		b.inner.began += b.inner.timeouts.clock() - b.rest
	}
	n, err := b.read(p)
	b.rest = b.inner.timeouts.clock()
	b.err = err
	b.ended.Store(err == io.EOF)
	return n, err
}

func (b *requestBody) read(p []byte) (int, error) {
	if b.stream != nil {
		n, err := b.stream.Read(p)
		if err == io.EOF && b.failed {
			// fasthttp takes any end for the end of the trailers.
			err = errBodyCut
		}
		return n, err
	}
	n, err := b.conn.Read(p[:min(int64(len(p)), b.left)])
	if b.left -= int64(n); b.left == 0 {
		err = io.EOF
	}
	return n, err
}

// askFor sends "100 Continue" if that is owed.
func (b *requestBody) askFor() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch b.invite {
	case owed:
		b.invite = notOwed
		_, err := b.conn.Write(continueLine)
		return err
	case tooLate:
		return errNotInvited
	}
	return nil
}

// close is called after the handler: from now on it is too late to invite the body.
// It reports whether that was owed.
func (b *requestBody) close() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.invite == owed {
		b.invite = tooLate
	}
	return b.invite == tooLate
}

// Share says that another goroutine reads the body from now on. When the handler returns
// it must have stopped or, if the response has a body stream, when that is closed.
func (b *requestBody) Share() { b.shared = true }

// Interrupt ends a Read that waits for the client, and each one after it. It may be
// called from any goroutine.
func (b *requestBody) Interrupt() {
	b.interrupted.Store(true)
	// Read looks at the flag after it has set its own deadline.
	_ = b.inner.Conn.SetReadDeadline(time.Unix(1, 0))
}

// readBody is Read of a connection within a body.
func (c *connection) readBody(p []byte) (int, error) {
	if len(c.input) == 0 && c.body.feign() {
		p[0] = 0
		return 1, nil
	}
	n, err := c.readWithin(p)
	c.body.failed = c.body.failed || err != nil
	return n, err
}

// feign reports whether the connection returns a byte that is none of the body's.
func (b *requestBody) feign() bool {
	if !b.ahead {
		return false
	}
	b.ahead, b.feigned = false, true
	return true
}
