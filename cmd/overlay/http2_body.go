package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"overlay/http2"
)

// http2Body is the body of a request. Each read must bring something within the
// silence that is allowed, and all of it must come at the least rate. The stream sends
// "100 Continue" with the first read that has to wait.
type http2Body struct {
	stream   *http2.Stream
	silence  time.Duration
	rate     transferRate
	began    time.Time
	rest     time.Time // when the last Read returned; the client's time stands still until the next
	received int64

	interrupted atomic.Bool
}

// newHTTP2Body returns the body of the request of stream. It is not used again: who
// reads it may interrupt it late.
func newHTTP2Body(stream *http2.Stream, server *http2Server) *http2Body {
	return &http2Body{stream: stream, silence: server.silence.socket, rate: server.rate}
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
	b.stream.SetReadDeadline(deadline)
	if b.interrupted.Load() { // after the deadline was set, which may have undone that of Interrupt
		return 0, errInterrupted
	}
	n, err := b.stream.Read(p)
	b.received += int64(n)
	b.rest = time.Now()
	switch {
	case err == nil, err == io.EOF, errors.Is(err, os.ErrDeadlineExceeded):
		return n, err
	}
	return n, fmt.Errorf("%w: %w", errBodyCut, err) // the stream was reset, or the connection is gone
}

// Share implements fallthru.Arriving: reading and answering are independent here.
func (b *http2Body) Share() {}

// Interrupt ends a Read that waits for the client, and each one after it. It may be
// called from any goroutine.
func (b *http2Body) Interrupt() {
	b.interrupted.Store(true)
	b.stream.SetReadDeadline(time.Unix(1, 0))
}
