package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"overlay/eventloop"

	"github.com/valyala/fasthttp"
)

// timeouts bounds how long a client may keep a connection waiting. Zero or less
// means no bound.
type timeouts struct {
	// header runs from the first byte of a request to the end of its fields. On a
	// new connection it also bounds the wait for that first byte, and then the time
	// from the first byte of a TLS handshake to the end of the first fields.
	header time.Duration
	// headerRate extends header by a second for so many bytes received, up to
	// headerMaximum; see transferRate.
	headerRate    int64
	headerMaximum time.Duration
	// body bounds how slowly a body may come, beside the silence in socket.
	body transferRate
	// keepAlive is the longest silence between two requests.
	keepAlive time.Duration
	// socket is the longest silence within a body or a response. A transfer that
	// moves, however slowly, is never cut.
	socket time.Duration
	// response takes its place within a response, unless it is zero.
	response time.Duration

	// Tests alone set these. step is the time between two looks at the progress of a
	// response, an eighth of that when zero; last replaces lastCall, stay returnAfter, and now clock.
	step time.Duration
	last time.Duration
	stay time.Duration
	now  func() time.Duration
}

// silence is how long a client may take nothing of a response.
func (t *timeouts) silence() time.Duration { return cmp.Or(t.response, t.socket) }

func (t *timeouts) clock() time.Duration {
	if t.now != nil {
		return t.now()
	}
	return clock()
}

// epoch is the zero of the clock of connections: a reading of the monotonic clock
// alone costs half of time.Now.
var epoch = time.Now()

func clock() time.Duration { return time.Since(epoch) }

// phase says what a connection waits for when it reads.
type phase uint8

const (
	phaseNew   phase = iota // accepted; nothing has been read
	phaseIdle               // between two requests
	phaseHead               // within request line and fields
	phaseBody               // within a body
	phaseOwner              // SetDeadline was called: whoever did that keeps the time
)

// errBodyCut takes the place of io.EOF within a body. fasthttp 1.74 would take the end
// of the connection for the end of the body, and a cut upload for a complete one.
var errBodyCut = fmt.Errorf("client closed the connection within a body: %w", io.ErrUnexpectedEOF)

// errWouldBlock ends a read that must not wait and finds nothing.
var errWouldBlock = errors.New("nothing to read without waiting")

// connection is one client connection that keeps the timeouts.
//
// Deadlines of the net package cost more than 100 ns a change, so none is set for
// each request. One is armed at a moment that is certainly not later than the true
// deadline, and left alone; when it fires, the true deadline is looked at, and a
// read or write that has time left goes on. A busy connection pays one clock
// reading for each read, nothing for each write, and one change of deadline per timeout.
//
// All fields but linger belong to the goroutine that serves the connection, those of
// reading to the one that reads the body.
type connection struct {
	net.Conn
	timeouts *timeouts

	phase    phase
	nowait   bool          // a read finds what is there or errWouldBlock
	since    time.Duration // when the wait of this phase began, 0: with the next read
	received int64         // bytes in this phase
	began    time.Duration // when a body began, 0: with the next read
	armed    time.Duration // the read deadline set in Conn, 0: none

	// Of a connection from an event loop, see connection_loop.go; nil and empty otherwise.
	handover *eventloop.Handover
	input    []byte // was read before, and comes first
	goesBack bool   // the next request is for the loop
	fromFile bool   // the response under way is one that a loop could give the next time
	inARow   int    // such responses since the last other one
	patience int    // so many of them send the connection back
	sealed   bool   // TLS lies above: what passes here is no response

	whereabouts atomic.Int32 // see detach
	socket      socket

	writer writeWatch
	raw    rawConnection // see SyscallConn
	body   requestBody
	hold   continueHold

	onClose func() // called once, by the first Close that is not left to Read; see hijacked

	// linger asks Close to let the client read the last response first.
	linger atomic.Bool

	// waiting is true while Read waits for the first byte of a request, and until fasthttp knows of it:
	// TLS may need more than one Read, and time. stopping asks that Read to wait for lastCall at
	// most, and to end the connection then.
	waiting, stopping atomic.Bool

	// heard is true once a byte has come; dismissed asks Read to end as stopping does, see
	// newcomers.
	heard, dismissed atomic.Bool
}

// connectionListener wraps what it accepts into connections.
type connectionListener struct {
	net.Listener
	timeouts *timeouts
}

// listenConnections gives listener's connections the bounds limits.
func listenConnections(listener net.Listener, limits timeouts) net.Listener {
	return &connectionListener{Listener: listener, timeouts: &limits}
}

func (l *connectionListener) Accept() (net.Conn, error) {
	inner, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return newConnection(inner, l.timeouts), nil
}

func newConnection(inner net.Conn, limits *timeouts) *connection {
	return &connection{Conn: inner, timeouts: limits, since: limits.clock()}
}

// connectionOf returns the connection below c, nil if there is none. TLS is found only
// if it is a tlsConnection: what is said about bodies has to pass above it.
func connectionOf(c net.Conn) *connection {
	switch c := c.(type) {
	case *connection:
		return c
	case *tlsConnection:
		return c.inner
	}
	return nil
}

// connectionState is the ConnState callback of the server: it tells a connection
// where in the exchange it stands. The step from head to body comes by SetReadDeadline.
func connectionState(c net.Conn, state fasthttp.ConnState) {
	inner := connectionOf(c)
	if inner == nil || inner.phase == phaseOwner {
		return
	}
	switch state {
	case fasthttp.StateActive:
		inner.waiting.Store(false)
		// fasthttp calls a new connection active before it reads: that one stays new.
		if inner.phase != phaseNew {
			inner.enter(phaseHead)
		}
	case fasthttp.StateIdle:
		inner.enter(phaseIdle)
		inner.answered()
	}
}

func (c *connection) enter(p phase) {
	c.phase, c.since, c.received, c.began = p, 0, 0, 0
}

// Read reads within the bound of the phase.
func (c *connection) Read(p []byte) (int, error) {
	if c.phase == phaseBody {
		return c.readBody(p)
	}
	return c.readWithin(p)
}

func (c *connection) readWithin(p []byte) (n int, err error) {
	if len(c.input) > 0 {
		return c.readInput(&c.input, p), nil
	}
	if c.nowait {
		return readNow(c.Conn, p)
	}
	if c.phase == phaseOwner {
		return c.readSocket(p)
	}
	if c.goesBack && c.phase == phaseIdle && c.detach(false) { // not in the middle of a pipelined request
		return 0, errDetached
	}
	deadline := c.readDeadline()
	waits := c.phase == phaseIdle || c.phase == phaseNew
	if waits {
		c.waiting.Store(true)
		defer func() {
			if err != nil || c.phase != phaseIdle {
				c.waiting.Store(false)
			}
		}()
	}
	for {
		if waits && c.stopping.Load() || c.dismissed.Load() {
			return c.readLast(p)
		}
		if c.armed == 0 && deadline > 0 || c.armed > deadline {
			c.armRead(deadline)
			if waits && c.stopping.Load() || c.dismissed.Load() {
				continue // armRead may have undone the deadline that Close set
			}
		}
		if c.phase == phaseBody && c.body.interrupted.Load() {
			return 0, errInterrupted
		}
		n, err := c.readSocket(p)
		c.firstBytes(n)
		c.received += int64(n)
		if err == nil || n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, c.readError(err)
		}
		if deadline > 0 && c.timeouts.clock() >= deadline {
			// What has arrived by now was late because this process was: on a busy
			// machine a deadline passes before the read is even tried.
			if n, nowErr := readNow(c.Conn, p); nowErr != errWouldBlock {
				return n, c.readError(nowErr)
			}
			if c.phase != phaseIdle || c.handover == nil {
				return 0, err
			}
			if c.detach(true) {
				return 0, errDetached
			}
			if deadline = c.readDeadline(); c.timeouts.clock() >= deadline && deadline > 0 {
				return 0, err
			}
		}
		c.armRead(deadline) // it was armed for an earlier wait
	}
}

// readError returns err, or errBodyCut when err is the end of input within a body.
func (c *connection) readError(err error) error {
	if err == io.EOF && c.phase == phaseBody {
		return errBodyCut
	}
	return err
}

// readDeadline returns the end of the current wait, 0 for none.
func (c *connection) readDeadline() time.Duration {
	var limit time.Duration
	switch c.phase {
	case phaseNew, phaseHead:
		rate := transferRate{c.timeouts.header, c.timeouts.headerRate, c.timeouts.headerMaximum}
		limit = rate.limit(c.received)
	case phaseIdle:
		limit = c.idleLimit()
	case phaseBody:
		limit, c.since = c.timeouts.socket, 0 // every byte starts the wait anew
	}
	if limit <= 0 {
		return 0
	}
	if c.since == 0 {
		c.since = c.timeouts.clock()
	}
	deadline := c.since + limit
	if c.phase != phaseBody {
		return deadline
	}
	if c.began == 0 {
		c.began = c.since
	}
	if limit := c.timeouts.body.limit(c.received); limit > 0 {
		deadline = min(deadline, c.began+limit)
	}
	return deadline
}

// armRead sets the read deadline of Conn, 0 for none. An error is left to the read
// that follows: the connection is closed then.
func (c *connection) armRead(deadline time.Duration) {
	c.armed = deadline
	if deadline == 0 {
		_ = c.Conn.SetReadDeadline(time.Time{})
		return
	}
	_ = c.Conn.SetReadDeadline(epoch.Add(deadline))
}

// SetReadDeadline is how fasthttp says that the head of a request is complete and
// its body comes next (hygiene.headerReceived asks for the call). The time itself is
// ignored: the connection keeps its own.
func (c *connection) SetReadDeadline(t time.Time) error {
	if c.phase == phaseOwner {
		return c.Conn.SetReadDeadline(t)
	}
	c.enter(phaseBody)
	c.body.ahead = true
	c.body.interrupted.Store(false)
	return nil
}

// SetWriteDeadline takes the time from here on: crypto/tls bounds its last alert so.
func (c *connection) SetWriteDeadline(t time.Time) error {
	c.writer.off.Store(true) // HTTP/2 closes a connection while another goroutine writes
	return c.Conn.SetWriteDeadline(t)
}

// SetDeadline hands the keeping of time to the caller, for good: a connection that
// leaves HTTP/1 (HTTP/2, an upgrade) has other waits than those known here.
func (c *connection) SetDeadline(t time.Time) error {
	c.phase = phaseOwner
	c.writer.off.Store(true)
	return c.Conn.SetDeadline(t)
}

// How long Close lets a client that still sends read the last response: at most
// lingerTotal, and lingerSilence without a byte from it.
const (
	lingerTotal   = 5 * time.Second
	lingerSilence = 2 * time.Second
)

// Close closes the connection. After closeAfterResponse it first says that no more
// will be sent, and drops what the client sends until that one closes as well: a
// close with bytes unread resets the connection, and the reset may reach the client
// before it has read the response (RFC 9112 section 9.6).
//
// fasthttp closes idle connections from another goroutine when the server stops. A
// request may have arrived by then, may even have been read: so that none is lost,
// the Read that waits for it decides, and the server closes what it ends.
func (c *connection) Close() error {
	if c.waiting.Load() {
		c.stopping.Store(true)
		return c.Conn.SetReadDeadline(time.Unix(1, 0))
	}
	if f := c.onClose; f != nil {
		c.onClose = nil
		defer f()
	}
	if c.linger.CompareAndSwap(true, false) {
		if half, ok := c.Conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
			c.dropInput()
		}
	}
	return c.Conn.Close()
}

func (c *connection) dropInput() {
	buffer := drainBuffers.Get().(*[8 << 10]byte)
	defer drainBuffers.Put(buffer)
	for end := time.Now().Add(lingerTotal); ; {
		silence := time.Now().Add(lingerSilence)
		if silence.After(end) {
			silence = end
		}
		if c.Conn.SetReadDeadline(silence) != nil {
			return
		}
		if _, err := c.Conn.Read(buffer[:]); err != nil {
			return
		}
	}
}
