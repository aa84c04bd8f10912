package http2

import "sync"

// Sizes of the buffers for what is sent, and when a response has to wait for them.
const (
	smallOutput = 4 << 10
	// largeOutput has room for 64 KiB of a body in frames of 16 KiB, the most that is
	// handed over at once, and then some: what is appended to a full one makes it grow.
	largeOutput = outputLimit + 4<<10
	// Answers to frames of the client are beyond this limit; its purse bounds them.
	outputLimit = 64 << 10
)

var (
	smallOutputs = sync.Pool{New: func() any { return new([smallOutput]byte) }}
	largeOutputs = sync.Pool{New: func() any { return new([largeOutput]byte) }}
)

// outgoing makes room for n more bytes behind c.out. It comes before each append to it.
// c.mu must be held.
func (c *Conn) outgoing(n int) {
	c.tail = nil
	need := len(c.out) + n
	switch {
	case need <= cap(c.out):
	case need <= smallOutput:
		c.out = append(smallOutputs.Get().(*[smallOutput]byte)[:0], c.out...)
	case need <= largeOutput:
		old := c.out
		c.out = append(largeOutputs.Get().(*[largeOutput]byte)[:0], old...)
		freeOutput(old)
	}
}

// freeOutput keeps the memory of b for others, unless append made it.
func freeOutput(b []byte) {
	switch cap(b) {
	case smallOutput:
		smallOutputs.Put((*[smallOutput]byte)(b[:smallOutput]))
	case largeOutput:
		largeOutputs.Put((*[largeOutput]byte)(b[:largeOutput]))
	}
}

// flush writes what there is. If another goroutine is writing, that comes first; a caller
// who does not wait leaves the rest to that one, or to those who do wait. Nobody writes for others as long
// as one of them can: it would be at it for as long as they have something to say. c.mu must be
// held, and is not while bytes are written.
func (c *Conn) flush(wait bool) {
	for len(c.out) > 0 && c.err == nil {
		if c.writing {
			if !wait {
				return
			}
			c.flushers++
			c.room.Wait()
			c.flushers--
			continue
		}
		c.writing = true
		b := c.out
		c.out, c.tail = nil, nil
		c.mu.Unlock()
		_, err := c.nc.Write(b)
		freeOutput(b)
		c.mu.Lock()
		c.writing = false
		if err != nil {
			c.fail(err)
		}
		c.room.Broadcast()
		if c.flushers > 0 {
			return
		}
	}
}

// awaitRoom returns when there is room for more of a body, which it may have to make
// itself. c.mu must be held.
func (c *Conn) awaitRoom() {
	for len(c.out) >= outputLimit && c.err == nil {
		c.flush(true)
	}
}
