package main

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// http2Pipe is what net/http writes the frames of one connection to. net/http flushes
// whenever it has no frame at hand: the head of a response leaves before its body,
// and a long body in pieces of a quarter of a frame and three quarters. Each would
// be a TLS record of its own, with a system call of its own. So frames are held for
// a moment when it is known that more follows at once, and leave together.
//
// It is a net.Conn without the method ConnectionState: net/http takes the server's
// own connections of TLS as they are, and lets nobody stand between.
type http2Pipe struct {
	net.Conn // TLS

	// heads is how many responses are about to send a head that their body follows
	// at once; bulks, how many are in the middle of writing one.
	heads, bulks atomic.Int32

	mu     sync.Mutex // guards what follows
	frames http2Frames
	held   []byte                // the first bytes of buffer
	buffer *[http2HoldBytes]byte // nil while nothing is held
	timer  *time.Timer           // sends what is held; nil until something was
	err    error                 // of a write that nobody was told of
}

// Bounds of what is held.
const (
	http2HoldBytes = 64 << 10
	http2HoldTime  = time.Millisecond // for a client whose window is full, or an application that is slow
)

// expectHead says that a response sends a head next, and its body right behind.
func (c *http2Pipe) expectHead() { c.heads.Add(1) }

// bulk says that a body is being written, or (-1) that its writer stops to wait.
func (c *http2Pipe) bulk(n int32) { c.bulks.Add(n) }

// Write takes p, and sends it at once or soon. An error is that of this write or of
// an earlier one.
func (c *http2Pipe) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return 0, c.err
	}
	c.frames.read(p)
	more := c.more() && len(p) <= http2HoldBytes
	if len(c.held) > 0 && len(c.held)+len(p) > http2HoldBytes {
		if c.send(); c.err != nil {
			return 0, c.err
		}
	}
	if len(c.held) == 0 {
		if !more {
			return c.Conn.Write(p)
		}
		c.hold()
	}
	c.held = append(c.held, p...)
	if !more {
		c.send()
	}
	if c.err != nil {
		return 0, c.err
	}
	return len(p), nil
}

// more reports whether something follows at once what has been written by now.
func (c *http2Pipe) more() bool {
	f := &c.frames
	switch {
	case !f.complete():
		return true // net/http is in the middle of writing a frame
	case f.ends():
		return false
	case f.kind == http2FrameHeaders:
		return c.takeHead()
	case f.kind == http2FrameData:
		return c.bulks.Load() > 0
	}
	return false
}

// takeHead reports whether a body is expected, and that it is now. It may be that of
// another response: then this one waits for http2HoldTime at most.
func (c *http2Pipe) takeHead() bool {
	for {
		n := c.heads.Load()
		if n <= 0 {
			return false
		}
		if c.heads.CompareAndSwap(n, n-1) {
			return true
		}
	}
}

var http2Buffers = sync.Pool{New: func() any { return new([http2HoldBytes]byte) }}

// hold begins to hold. c.mu must be held.
func (c *http2Pipe) hold() {
	c.buffer = http2Buffers.Get().(*[http2HoldBytes]byte)
	c.held = c.buffer[:0]
	if c.timer == nil {
		c.timer = time.AfterFunc(http2HoldTime, c.expire)
		return
	}
	c.timer.Reset(http2HoldTime)
}

func (c *http2Pipe) expire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.held) > 0 {
		c.send()
	}
}

// send sends what is held. c.mu must be held.
func (c *http2Pipe) send() {
	c.timer.Stop()
	if c.err == nil {
		_, c.err = c.Conn.Write(c.held)
	}
	http2Buffers.Put(c.buffer)
	c.held, c.buffer = nil, nil
}

// SetWriteDeadline does nothing: the connection below watches writes by itself, and
// goes on where a client is slow and not dead.
func (c *http2Pipe) SetWriteDeadline(time.Time) error { return nil }

// Kinds and flags of frames (RFC 9113 section 6).
const (
	http2FrameData      = 0x0
	http2FrameHeaders   = 0x1
	http2FrameEndStream = 0x1
	http2FrameHead      = 9 // bytes before the payload
)

// http2Frames follows frames as they are written, in whatever pieces.
type http2Frames struct {
	head    [http2FrameHead]byte
	n       int // bytes of head that are known
	payload int // bytes of the payload that are to come
	kind    byte
	flags   byte
}

// read takes note of p.
func (f *http2Frames) read(p []byte) {
	for len(p) > 0 {
		if f.payload > 0 {
			n := min(f.payload, len(p))
			f.payload -= n
			p = p[n:]
			continue
		}
		n := copy(f.head[f.n:], p)
		p = p[n:]
		if f.n += n; f.n == http2FrameHead {
			f.n = 0
			f.payload = int(f.head[0])<<16 | int(f.head[1])<<8 | int(f.head[2])
			f.kind, f.flags = f.head[3], f.head[4]
		}
	}
}

// complete reports whether nothing of a frame is missing.
func (f *http2Frames) complete() bool { return f.n == 0 && f.payload == 0 }

// ends reports whether the last frame ends its stream.
func (f *http2Frames) ends() bool {
	return f.flags&http2FrameEndStream != 0 && (f.kind == http2FrameData || f.kind == http2FrameHeaders)
}
