package main

import (
	"errors"
	"time"

	"overlay/eventloop"
)

// returnAfter is how long a connection that came from an event loop waits here for its
// next request, with a goroutine and buffers of its own, before it waits there.
const returnAfter = time.Second

// errDetached ends the read of a connection that goes back to its event loop. fasthttp
// takes it for the end of an idle connection.
var errDetached = errors.New("connection waits in the event loop")

// newHandedOver returns the connection of h, with what the loop has read of it.
func newHandedOver(h *eventloop.Handover, limits *timeouts) *connection {
	c := newConnection(h.Conn, limits)
	c.handover, c.input = h, h.Input
	h.Input = nil // it would be held as long as the connection
	if c.patience = patienceWithOther; h.Recorder.Wants() {
		c.patience = patienceWithPlain
	}
	if h.New {
		c.since -= time.Since(h.Since)
	} else {
		c.enter(phaseIdle)
	}
	return c
}

// readInput returns what the loop has read.
func (c *connection) readInput(p []byte) int {
	n := copy(p, c.input)
	if c.input = c.input[n:]; len(c.input) == 0 {
		c.input = nil
	}
	if c.phase == phaseNew {
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
// does not it stays for good: the server is stopping, or short of descriptors.
func (c *connection) detach(waited bool) bool {
	c.goesBack = false
	if c.handover.Detach(waited) {
		return true
	}
	c.handover = nil
	return false
}

// idleLimit is how long to wait for the next request: until the connection goes back,
// if it can and would not time out before, or until it is parked.
func (c *connection) idleLimit() time.Duration {
	if c.mayPark() {
		return c.timeouts.parkAfter()
	}
	if limit := c.timeouts.keepAlive; c.handover == nil || limit > 0 && limit <= returnAfter {
		return limit
	}
	return returnAfter
}
