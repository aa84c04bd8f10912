package http2

import (
	"errors"
	"os"
	"time"
)

// lingerTime is how long a connection is still read after the last that is said on it. A
// close with bytes unread resets it, and the reset may overtake what was said.
const lingerTime = time.Second

// fill reads more, so that need bytes are there, or some of them. Before that it writes
// what there is, and lets others take the role meanwhile: a client that writes much may
// not read before somebody has read that.
func (c *Conn) fill(need int) error {
	c.mu.Lock()
	for len(c.out) > 0 && !c.writing && c.flushers == 0 && c.err == nil {
		lent := c.lend()
		c.flush(false)
		if !c.reclaim(lent) {
			c.mu.Unlock()
			return errLost
		}
	}
	if b := c.in.bytes(); c.headSince == 0 && len(b) > 3 && (frameType(b[3]) == frameHeaders || frameType(b[3]) == frameContinuation) {
		c.headSince = c.server.now()
	}
	room := c.in.room(need, c.open > 0)
	for {
		if c.err != nil {
			c.mu.Unlock()
			return c.err
		}
		c.arm()
		c.mu.Unlock()
		n, err := c.nc.Read(room)
		if c.in.w += n; n > 0 || err == nil {
			return nil
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		c.mu.Lock()
		c.armed = -1
		if err := c.expired(); err != nil {
			c.mu.Unlock()
			return err
		}
	}
}

// arm sets a read deadline no later than the next time at which something is over, if there
// is none yet. It may come too early: then expired finds nothing. A busy connection
// changes its deadline once in a timeout. c.mu must be held.
func (c *Conn) arm() {
	at := c.deadline()
	if c.armed < 0 && at == 0 {
		c.armed = 0
		_ = c.nc.SetReadDeadline(time.Time{})
	}
	if c.armed < 0 || at != 0 && (c.armed == 0 || c.armed > at) {
		c.armed = at
		_ = c.nc.SetReadDeadline(c.server.epoch.Add(at)) // a connection that is closed says so when it is read
	}
}

// deadline returns when something is over that the reader has to end, 0 for never.
// c.mu must be held.
func (c *Conn) deadline() (at time.Duration) {
	first := func(t time.Duration) {
		if at == 0 || t < at {
			at = t
		}
	}
	if c.idle() {
		if c.away {
			first(c.drain)
		} else if limit := c.server.opts.IdleTimeout; limit > 0 && c.settled {
			first(c.idleSince + limit)
		}
	}
	if limit := c.server.opts.HeaderTimeout; limit > 0 && c.headSince != 0 {
		first(c.headSince + limit)
	}
	if c.nested != nil && c.nested.sendBy != 0 {
		first(c.nested.sendBy)
	}
	return at
}

// expired does what is due now. c.mu must be held.
func (c *Conn) expired() error {
	now := c.server.now()
	switch limit := c.server.opts; {
	case c.err != nil:
		return c.err
	case c.nested != nil && c.nested.sendBy != 0 && now >= c.nested.sendBy:
		return errSlowClient
	case limit.HeaderTimeout > 0 && c.headSince != 0 && now >= c.headSince+limit.HeaderTimeout:
		return errSlow
	case !c.idle():
	case c.away && now >= c.drain:
		return errDone
	case !c.away && limit.IdleTimeout > 0 && c.settled && now >= c.idleSince+limit.IdleTimeout:
		c.goAway()
		c.flush(false)
	}
	return nil
}

// idle reports whether nothing is under way. c.mu must be held.
func (c *Conn) idle() bool { return c.open == 0 && c.running == 0 }

// rest is called when something has ended: it may have been the last. c.mu must be held.
func (c *Conn) rest() {
	if !c.idle() {
		return
	}
	c.idleSince = c.server.now()
	if c.away {
		c.drain = c.idleSince + lingerTime
	}
	if c.armed >= 0 {
		c.arm() // the reader may be waiting
	}
}

// GoAway tells the client that no more requests are taken on the connection; those under
// way are answered, and then it ends.
func (c *Conn) GoAway() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.goAway()
	c.flush(false)
}

// lastCall is GoAway, but that requests are still taken for d, of which the client is told that it
// had better not send them (RFC 9113 section 6.8).
func (c *Conn) lastCall(d time.Duration) {
	if d <= 0 {
		c.GoAway()
		return
	}
	time.AfterFunc(d, c.GoAway)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.away || c.err != nil {
		return
	}
	c.outgoing(frameHeadLen + 8)
	c.out = appendGoAway(c.out, maxStreamID, codeNone)
	c.flush(false)
}

// Last is GoAway without a hurry: the response that follows takes it along.
func (st *Stream) Last() {
	st.c.mu.Lock()
	defer st.c.mu.Unlock()
	st.c.goAway()
}

// goAway says GOAWAY, once (RFC 9113 section 6.8). c.mu must be held.
func (c *Conn) goAway() {
	if c.away || c.err != nil {
		return
	}
	c.away = true
	c.outgoing(frameHeadLen + 8)
	c.out = appendGoAway(c.out, c.lastID, codeNone)
	c.rest()
}

// fail gives the connection up. c.mu must be held.
func (c *Conn) fail(err error) {
	if c.err != nil {
		return
	}
	c.err = err
	c.loseAll()
	c.room.Broadcast()
	_ = c.nc.SetReadDeadline(time.Unix(1, 0)) // whoever reads finds c.err
	c.armed = -1
}

// loseAll tells all streams that nobody is there any more. c.mu must be held.
func (c *Conn) loseAll() {
	for _, st := range c.streams {
		st.lose(ErrClosed)
	}
}

// finish ends the connection, because of err.
func (c *Conn) finish(err error) {
	c.mu.Lock()
	c.loseAll()
	code, says := codeNone, err == errSlow
	if e, ok := err.(connError); ok {
		code, says = e.code, true
	}
	if says && c.err == nil {
		// What the client takes of this within a second, it takes.
		_ = c.nc.SetWriteDeadline(time.Now().Add(lingerTime))
		c.away = true
		c.outgoing(frameHeadLen + 8)
		c.out = appendGoAway(c.out, c.lastID, code) // it may be the second, and then says why
		c.flush(false)
	}
	c.mu.Unlock()
	if says {
		if c.server.opts.Failed != nil {
			c.server.opts.Failed(c.nc, err)
		}
		c.dropInput()
	}
	c.mu.Lock()
	c.fail(err)
	c.mu.Unlock()
	_ = c.nc.Close()
	c.in.release()
	c.mu.Lock()
	c.ended = true
	last := c.running == 0
	c.mu.Unlock()
	if last {
		c.leave()
	}
}

// dropInput reads until the client closes, for lingerTime at most.
func (c *Conn) dropInput() {
	_ = c.nc.SetReadDeadline(time.Now().Add(lingerTime))
	for left := 1 << 20; left > 0; {
		n, err := c.nc.Read(c.in.buffer())
		if err != nil {
			return
		}
		left -= n
	}
}
