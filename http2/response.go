package http2

import (
	"os"
	"slices"
	"time"
)

// HeadField is one field of a response. The name is in lower case.
type HeadField struct {
	Name  string
	Value []byte
}

// smallHead is more than the head of most responses takes.
const smallHead = 1 << 10

// SetSilence sets how long Write waits for a client that opens no window; zero means for
// ever. It is the time for the next silencePiece bytes, not for the next one.
func (st *Stream) SetSilence(d time.Duration) { st.silence = d }

const silencePiece = 32 << 10

// WriteHead sends the head of the response, with a Date unless fields has one. With end there is no body.
// Nothing is kept of fields.
func (st *Stream) WriteHead(status int, fields []HeadField, end bool) error {
	c := st.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.awaitRoom(); st.lost != nil {
		return st.lost
	}
	if st.headSent {
		return errHeadSent
	}
	st.headSent = true
	c.outgoing(smallHead)
	at := len(c.out)
	b := c.encoder.begin(appendFrameHead(c.out, 0, frameHeaders, flagEndHeaders, st.id), status)
	dated := false
	for i := range fields {
		b = c.encoder.field(b, fields[i].Name, fields[i].Value)
		dated = dated || fields[i].Name == "date"
	}
	if !dated {
		b = c.encoder.field(b, "date", c.server.dateValue())
	}
	c.out = b
	if end {
		c.out[at+4] |= flagEndStream
	}
	c.patch(at)
	if end {
		st.finishSending()
	}
	return nil
}

// patch completes the HEADERS frame that begins at and ends with c.out, in pieces if it
// is longer than the client takes. c.mu must be held.
func (c *Conn) patch(at int) {
	n := len(c.out) - at - frameHeadLen
	first := min(n, c.maxFrame)
	head := c.out[at:]
	head[0], head[1], head[2] = byte(first>>16), byte(first>>8), byte(first)
	if first == n {
		return
	}
	head[4] &^= flagEndHeaders
	rest := slices.Clone(c.out[at+frameHeadLen+first:])
	stream := uint32(head[5])<<24 | uint32(head[6])<<16 | uint32(head[7])<<8 | uint32(head[8])
	c.out = c.out[:at+frameHeadLen+first]
	for len(rest) > 0 {
		n := min(len(rest), c.maxFrame)
		flags := uint8(0)
		if n == len(rest) {
			flags = flagEndHeaders
		}
		c.out = append(appendFrameHead(c.out, n, frameContinuation, flags, stream), rest[:n]...)
		rest = rest[n:]
	}
}

// Write sends a part of the body, or keeps it for a moment: Flush, the end of the response and a
// full buffer send it. It waits for the client to open its windows.
func (st *Stream) Write(p []byte) (written int, err error) {
	c := st.c
	c.mu.Lock()
	defer c.mu.Unlock()
	defer st.release()
	st.sendBy, st.piece = 0, 0
	for len(p) > 0 {
		n, err := st.await(len(p))
		if err != nil {
			return written, err
		}
		c.outgoing(frameHeadLen + n)
		at := len(c.out)
		c.out = append(appendFrameHead(c.out, n, frameData, 0, st.id), p[:n]...)
		c.tail, c.tailAt = st, at
		st.use(n)
		c.earnData(n, n < len(p))
		if st.piece += n; st.piece >= silencePiece {
			st.sendBy, st.piece = 0, 0
		}
		written += n
		p = p[n:]
	}
	return written, nil
}

// await waits until some of want bytes may be sent, and returns how many. c.mu must be held.
func (st *Stream) await(want int) (int, error) {
	c := st.c
	for {
		switch {
		case st.lost != nil:
			return 0, st.lost
		case st.sentAll:
			return 0, errEnded
		case !st.headSent:
			return 0, errNoHead
		}
		if len(c.out) >= outputLimit {
			c.awaitRoom()
			continue
		}
		if n := c.mayHave(st); n > 0 {
			return min(want, int(n), c.maxFrame, largeOutput-frameHeadLen-len(c.out)), nil
		}
		if st.sendWindow > 0 {
			st.queue()
		} else {
			st.release()
		}
		if len(c.out) > 0 {
			c.flush(true) // the client has to have it before it opens the window
			continue
		}
		if err := st.awaitWindow(); err != nil {
			return 0, err
		}
	}
}

// awaitWindow waits for something to change. The goroutine that has lent the reader's role
// takes it back and reads: what it waits for comes from the client, so that a download
// needs no other goroutine. c.mu must be held.
func (st *Stream) awaitWindow() error {
	c := st.c
	if st.sendBy == 0 && st.silence > 0 {
		st.sendBy = c.server.now() + st.silence
	}
	if st.inline && c.reclaim(st.lent) {
		c.nested = st
		c.mu.Unlock()
		err := c.step(st)
		c.mu.Lock()
		if c.nested == st {
			c.nested = nil
		}
		if err == errLost {
			st.inline, st.shared = false, true
			return nil
		}
		if err != nil && err != errSlowClient {
			c.fatal = err
			c.loseAll()
		}
		st.lent = c.lend()
		if err == errSlowClient {
			return os.ErrDeadlineExceeded
		}
		return nil
	}
	if st.inline {
		st.inline, st.shared = false, true
	}
	var deadline time.Time
	if st.sendBy != 0 {
		deadline = c.server.epoch.Add(st.sendBy)
	}
	if !st.wait(deadline) {
		return os.ErrDeadlineExceeded
	}
	return nil
}

// Flush sends what has been written.
func (st *Stream) Flush() error {
	c := st.c
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flush(true)
	return st.lost
}

// End ends the response.
func (st *Stream) End() error {
	c := st.c
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case st.lost != nil:
		return st.lost
	case !st.headSent:
		return errNoHead
	case st.sentAll:
		return nil
	}
	if c.tail == st {
		c.out[c.tailAt+4] |= flagEndStream
	} else {
		c.outgoing(frameHeadLen)
		c.out = appendFrameHead(c.out, 0, frameData, flagEndStream, st.id)
	}
	st.finishSending()
	return nil
}

// finishSending is called when END_STREAM is said. c.mu must be held.
func (st *Stream) finishSending() {
	st.sentAll = true
	if st.receivedAll {
		st.end()
	}
}
