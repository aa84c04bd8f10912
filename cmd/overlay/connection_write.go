package main

import (
	"errors"
	"os"
	"sync/atomic"
	"time"
)

// writeWatch cuts a client that takes nothing of a response for the socket timeout, that of responses if there is one.
//
// A deadline is armed a fraction of the timeout ahead. Each time it fires, it is
// seen whether anything has moved since the last time: bytes handed to the kernel,
// or bytes in the kernel's queue that the client acknowledged. The second matters:
// the queue of a slow client holds megabytes, and takes nothing new for minutes while
// the client reads on.
type writeWatch struct {
	off    atomic.Bool
	armed  bool
	queued int           // bytes in the kernel's queue when something moved last
	moved  time.Duration // when something moved last, 0: not waiting
}

// stepsPerTimeout is how often in a timeout a waiting write looks for progress.
const stepsPerTimeout = 8

// arm sets the write deadline of c unless one is set that has not fired yet.
func (w *writeWatch) arm(c *connection) {
	if w.armed || w.off.Load() || c.timeouts.silence() <= 0 {
		return
	}
	w.armed = true
	step := c.timeouts.step
	if step == 0 {
		step = max(c.timeouts.silence()/stepsPerTimeout, time.Millisecond)
	}
	now := c.timeouts.clock()
	if w.moved > 0 {
		step = min(step, max(w.moved+c.timeouts.silence()-now, 0))
	}
	_ = c.Conn.SetWriteDeadline(epoch.Add(now + step))
}

// goesOn judges the error err of a write that has handed n bytes to the kernel: it
// reports whether the write is to be continued after a new arm.
func (w *writeWatch) goesOn(c *connection, n int64, err error) bool {
	if w.off.Load() || !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	w.armed = false
	now, queued := c.timeouts.clock(), outputQueue(c.Conn)
	if n > 0 || w.moved == 0 || queued < w.queued {
		w.moved, w.queued = now, queued
		return true
	}
	return now < w.moved+c.timeouts.silence()
}

// Write writes all of p, or fails once the client has taken nothing for the socket timeout.
func (c *connection) Write(p []byte) (written int, err error) {
	if c.hold.on {
		return c.hold.write(c, p)
	}
	if c.records() && !c.sealed {
		c.handover.Recorder.Write(p)
	}
	for {
		c.writer.arm(c)
		n, err := c.writeSocket(p[written:])
		written += n
		if err == nil {
			c.writer.moved = 0
			return written, nil
		}
		if !c.writer.goesOn(c, int64(n), err) {
			return written, err
		}
	}
}
