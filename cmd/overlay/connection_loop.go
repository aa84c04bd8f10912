package main

import (
	"cmp"
	"net"
	"time"

	"overlay/eventloop"
)

// returnAfter is how long a connection that may wait in an event loop waits here for its
// next request, with a goroutine and buffers of its own, before it waits there.
const returnAfter = time.Second

func (t *timeouts) returnAfter() time.Duration { return cmp.Or(t.stay, returnAfter) }

// errDetached ends the read of a connection that goes on in an event loop. fasthttp takes
// it for the end of an idle connection. For crypto/tls it is an error that passes: any other
// would end every later read, too.
var errDetached error = detachedError{}

type detachedError struct{}

func (detachedError) Error() string   { return "connection waits in the event loop" }
func (detachedError) Timeout() bool   { return true }
func (detachedError) Temporary() bool { return true }

// lend lets a connection that was accepted here go to the loops of keeper. The result is nil if
// it cannot.
func (c *tlsConnection) lend(keeper *eventloop.Keeper) *eventloop.Handover {
	socket, ok := c.inner.Conn.(*net.TCPConn)
	if !ok || keeper == nil {
		return nil
	}
	c.inner.handover, c.inner.patience = keeper.Lend(socket, c.tlsLayer), patienceWithPlain
	return c.inner.handover
}

// newHandedOverTLS is newHandedOver for a connection with TLS. The result reads what the loop has
// read, and inner is for what lies below.
func newHandedOverTLS(h *eventloop.Handover, layer *tlsLayer, limits *timeouts) *tlsConnection {
	inner := newHandedOver(h, limits)
	c := layer.on(inner)
	c.input, inner.input = inner.input, nil
	return c
}

// newHandedOver returns the connection of h, with what the loop has read of it.
func newHandedOver(h *eventloop.Handover, limits *timeouts) *connection {
	c := newConnection(h.Conn, limits)
	c.handover, c.input = h, h.Input
	h.Input = nil // it would be held as long as the connection
	if c.patience = patienceWithOther; h.Recorder.Wants() {
		c.patience = patienceWithPlain
	}
	switch {
	case h.New:
		c.since -= time.Since(h.Since)
	case len(c.input) == 0: // stays new: fasthttp takes the next read for one within a request
	default:
		c.enter(phaseIdle)
	}
	c.stopping.Store(h.Last)
	return c
}

// readInput returns what the loop has read: input, which is c's or that of the TLS above.
func (c *connection) readInput(input *[]byte, p []byte) int {
	n := copy(p, *input)
	if *input = (*input)[n:]; len(*input) == 0 {
		*input = nil
	}
	if c.phase == phaseNew { // not with TLS: that has begun before it goes to a loop
		c.enter(phaseHead)
	}
	c.received += int64(n)
	return n
}

// answered is called when a response was sent: if the loop will give it the next time,
// the connection goes back at once. It also goes back after some answers in a row that the loop could learn:
// to go there and back costs as much as three or four of them.
func (c *connection) answered() {
	if c.handover == nil {
		return
	}
	if c.fromFile {
		c.inARow++
	} else {
		c.inARow = 0
	}
	c.goesBack = c.handover.Recorder.Keep() || c.inARow >= c.patience
	c.fromFile = false
}

// How many answers in a row send a connection back to its loop: few, or many if the
// last request that it had there was one that no loop answers.
const (
	patienceWithPlain = 4
	patienceWithOther = 64
)

// records reports whether the response under way is being taken down.
func (c *connection) records() bool { return c.handover != nil && c.handover.Recorder.Wants() }

// takesDown reports whether all of the response under way must pass through Write, to
// be taken down. A response that the recorder will not keep need not: half of
// one is not taken for the whole.
func (c *connection) takesDown() bool { return c.handover != nil && c.handover.Recorder.Takes() }

// detach lets the connection go back to its loop, and reports whether it does. If it
// does not it stays for good: the server is stopping, or short of descriptors. Whoever closes it from
// another goroutine does so before, and then it stays, or finds that it has left.
func (c *connection) detach(waited bool) bool {
	c.goesBack = false
	if c.whereabouts.CompareAndSwap(stays, left) {
		if c.handover.Detach(waited) {
			return true
		}
		c.whereabouts.Store(stays)
	}
	c.handover = nil
	return false
}

// Whereabouts of a connection.
const (
	stays int32 = iota
	left        // goes on in a loop, with its TLS
	ended       // TLS has been closed
)

// idleLimit is how long to wait for the next request: until the connection goes back,
// if it can and would not time out before.
func (c *connection) idleLimit() time.Duration {
	limit, stay := c.timeouts.keepAlive, c.timeouts.returnAfter()
	if c.handover == nil || limit > 0 && limit <= stay {
		return limit
	}
	return stay
}
