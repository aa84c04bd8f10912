package http2

import (
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"
)

// brokenConn is a connection whose client takes nothing any more: writes fail from the time
// that broken is set.
type brokenConn struct {
	net.Conn
	broken atomic.Bool
}

var errBroken = errors.New("the client is gone")

func (c *brokenConn) Write(p []byte) (int, error) {
	if c.broken.Load() {
		return 0, errBroken
	}
	return c.Conn.Write(p)
}

// Requests that were read together with one whose answer finds the client gone are not
// begun: nobody is there for them, and there is no window that they could wait for.
func TestRequestsBehindALostOne(t *testing.T) {
	client, inner := tcpPair(t)
	accepted := &brokenConn{Conn: inner}
	var begun atomic.Int32
	p := attach(t, client, accepted, Options{Handler: func(st *Stream) {
		begun.Add(1)
		accepted.broken.Store(true)
		_ = st.WriteHead(200, nil, false)
		if _, err := st.Write(make([]byte, 2*outputLimit)); err == nil {
			t.Error("all was written to a client that is gone")
		}
	}})
	p.begin()
	p.ping()
	var b []byte
	for i := range 5 {
		b = append(b, raw(frameHeaders, flagEndHeaders|flagEndStream, uint32(2*i+1), getBlock)...)
	}
	p.send(b)
	select {
	case <-p.served:
	case <-time.After(patience):
		t.Fatalf("the connection has no end:\n%s", stacks())
	}
	if n := begun.Load(); n != 1 {
		t.Errorf("%d handlers were called, want 1", n)
	}
}

// A client that hears late that its uploads are not wanted goes on with all of them, and ends
// each with trailers. It has done nothing wrong.
func TestUploadsThatEndEarly(t *testing.T) {
	const uploads = DefaultMaxStreams
	p := connect(t, Options{})
	p.begin()
	for i := range uint32(uploads) {
		p.post(2*i+1, "/")
	}
	for i := range uint32(uploads) {
		if code := p.resetCode(2*i + 1); code != codeNone {
			t.Errorf("RST_STREAM %d on stream %d", code, 2*i+1)
		}
	}
	p.mu.Lock()
	p.frames = nil
	p.mu.Unlock()
	for i := range uint32(uploads) {
		p.sendFrame(frameData, 0, 2*i+1, []byte("body"))
		p.sendFrame(frameHeaders, flagEndHeaders|flagEndStream, 2*i+1, p.fields("trailer", "x"))
	}
	p.ping()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range p.frames {
		if f.kind == frameRSTStream || f.kind == frameGoAway {
			t.Fatalf("got %s", describe(p.frames))
		}
	}
}
