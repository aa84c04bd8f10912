package main

import (
	"cmp"
	"os"
	"sync"
	"time"
)

// A connection of HTTPS that is silent for a while between two requests is parked: it waits
// without what fasthttp needs to serve it, its buffers and its stack, which is two thirds of what
// an idle one takes. Those of plain HTTP wait in event loops, where they take even less.

// parkAfter is how long a connection waits with everything at hand.
const parkAfter = time.Second

// errParked ends the read of a connection that is to be parked. fasthttp takes it for
// the end of an idle connection. For crypto/tls it is one that passes: anything else
// would end every later read, too.
var errParked error = parkedError{}

type parkedError struct{}

func (parkedError) Error() string   { return "connection is parked" }
func (parkedError) Timeout() bool   { return true }
func (parkedError) Temporary() bool { return true }

// parking is where connections are parked. The zero value is ready.
type parking struct {
	mu      sync.Mutex
	conns   map[*tlsConnection]struct{}
	stopped bool
}

// await waits until a request has come on c, and reports whether it has.
func (p *parking) await(c *tlsConnection) bool {
	p.mu.Lock()
	if p.conns == nil {
		p.conns = make(map[*tlsConnection]struct{})
	}
	p.conns[c] = struct{}{}
	if p.stopped {
		c.inner.stopping.Store(true)
	}
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.conns, c)
	}()
	return c.awaitRequest()
}

// stop gives each connection that is parked, or will be, its last call.
func (p *parking) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
	for c := range p.conns {
		c.inner.stopping.Store(true)
		_ = c.inner.Conn.SetReadDeadline(time.Unix(1, 0))
	}
}

// count returns how many connections are parked.
func (p *parking) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.conns)
}

// awaitRequest waits, as long as keepAlive allows, for the first byte of a request, which
// the next Read returns. It reports whether there is one.
func (c *tlsConnection) awaitRequest() bool {
	for c.inner.awaitInput() {
		// What has come need not be part of a request: TLS has records of its own.
		n, err := c.Conn.Read(c.first[:])
		if n == 1 {
			c.hasFirst = true
			return true
		}
		if err != errParked {
			return false
		}
	}
	return false
}

// readFirst returns the byte that awaitRequest has read.
func (c *tlsConnection) readFirst(p []byte) int {
	if len(p) == 0 {
		return 0
	}
	c.hasFirst = false
	return copy(p, c.first[:])
}

// awaitInput waits until there is something to read, without a buffer to read it into, or until
// Read has to decide what comes next. It returns false when keepAlive is over.
func (c *connection) awaitInput() bool {
	var deadline time.Duration
	if limit := c.timeouts.keepAlive; limit > 0 {
		deadline = c.since + limit
	}
	for {
		c.armRead(deadline)
		if c.stopping.Load() {
			return true
		}
		err := awaitReadable(c.Conn)
		switch {
		case err == nil || c.stopping.Load():
			return true
		case !os.IsTimeout(err) || deadline == 0 || c.timeouts.clock() >= deadline:
			return false
		}
	}
}

// mayPark reports whether the wait for the next request goes on elsewhere after parkAfter.
func (c *connection) mayPark() bool {
	limit := c.timeouts.keepAlive
	return c.parks && c.phase == phaseIdle && (limit <= 0 || limit > c.timeouts.parkAfter())
}

func (t *timeouts) parkAfter() time.Duration { return cmp.Or(t.park, parkAfter) }
