package main

import (
	"net"
	"sync"
)

// corkedConn gathers the records of a large write over TLS. crypto/tls hands each record
// to the connection by itself, and a write of 16 KiB costs the kernel much more than a
// fourth of one of 64 KiB.
type corkedConn struct {
	net.Conn
	mu sync.Mutex // guards the fields below, and the order of what is written
	on bool
	b  *[corkBuffer]byte // nil while it is off
	n  int               // bytes of b
	// err is the first error of Conn, and of each write after it: the client may have part of
	// a record, behind which no other makes sense to it. crypto/tls does not know, for it was
	// told that its records have been written.
	err error
}

// corkBuffer has room for what 64 KiB become, the most that package static writes at
// once: five records at most, with their heads and tags.
const corkBuffer = 64<<10 + 5*64

// corkFrom is the size of the smallest write that is worth it: more than one record.
const corkFrom = 16<<10 + 1

var corkBuffers = sync.Pool{New: func() any { return new([corkBuffer]byte) }}

// over changes what is below.
func (c *corkedConn) over(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.Conn = conn
}

// Write writes p, or keeps it while the cork is on.
func (c *corkedConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return 0, c.err
	}
	if !c.on {
		return c.pass(p)
	}
	if len(p) > corkBuffer-c.n {
		if err := c.flush(); err != nil {
			return 0, err
		}
		if len(p) > corkBuffer {
			return c.pass(p)
		}
	}
	c.n += copy(c.b[c.n:], p)
	return len(p), nil
}

// pass writes p to Conn. c.mu must be held.
func (c *corkedConn) pass(p []byte) (n int, err error) {
	n, err = c.Conn.Write(p)
	c.err = err
	return n, err
}

// gather calls write and then writes what it wrote.
func (c *corkedConn) gather(write func([]byte) (int, error), p []byte) (int, error) {
	c.mu.Lock()
	c.on, c.b = true, corkBuffers.Get().(*[corkBuffer]byte)
	c.mu.Unlock()
	n, err := write(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	if flushErr := c.flush(); flushErr != nil {
		n, err = 0, flushErr
	}
	corkBuffers.Put(c.b)
	c.on, c.b = false, nil
	return n, err
}

// flush writes what was kept. c.mu must be held.
func (c *corkedConn) flush() error {
	if c.err == nil {
		_, _ = c.pass(c.b[:c.n]) // notes the error
	}
	c.n = 0
	return c.err
}
