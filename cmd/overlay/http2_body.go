package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"time"
)

// http2Body is the body of a request. Each read must bring something within the
// silence that is allowed, and all of it must come at the least rate. net/http sends
// "100 Continue" with the first read.
type http2Body struct {
	body     io.Reader
	control  *http.ResponseController
	silence  time.Duration
	rate     transferRate
	began    time.Time
	rest     time.Time // when the last Read returned; the client's time stands still until the next
	received int64
	timer    http2Timer

	interrupted atomic.Bool
}

// reset prepares b for another request.
func (b *http2Body) reset(body io.Reader, control *http.ResponseController, server *http2Server) {
	b.body, b.control, b.silence, b.rate = body, control, server.silence, server.rate
	b.began, b.rest, b.received, b.timer = time.Time{}, time.Time{}, 0, http2Timer{}
	b.interrupted.Store(false)
}

// Read reads from the client.
func (b *http2Body) Read(p []byte) (int, error) {
	now := time.Now()
	if b.began.IsZero() {
		b.began = now
	} else {
		b.began = b.began.Add(now.Sub(b.rest))
	}
	var deadline time.Time
	if b.silence > 0 {
		deadline = now.Add(b.silence)
	}
	if limit := b.rate.limit(b.received); limit > 0 {
		if end := b.began.Add(limit); deadline.IsZero() || end.Before(deadline) {
			deadline = end
		}
	}
	b.timer.arm(deadline, b.control.SetReadDeadline)
	if b.interrupted.Load() { // after arm, which may have undone the deadline of Interrupt
		return 0, errInterrupted
	}
	n, err := b.body.Read(p)
	b.received += int64(n)
	b.rest = time.Now()
	switch {
	case err == nil, err == io.EOF, errors.Is(err, os.ErrDeadlineExceeded):
		return n, err
	}
	// The stream has been reset, or the connection is gone; net/http has no common
	// error for that.
	return n, fmt.Errorf("%w: %w", errBodyCut, err)
}

// Share implements fallthru.Arriving: reading and answering are independent here.
func (b *http2Body) Share() {}

// Interrupt ends a Read that waits for the client, and each one after it. It may be
// called from any goroutine.
func (b *http2Body) Interrupt() {
	b.interrupted.Store(true)
	_ = b.control.SetReadDeadline(time.Unix(1, 0)) // a stream that is over needs none
}
