package http2

import (
	"io"
	"os"
	"time"
)

// take takes the next part of the body. It reports whether that fits what the client has
// announced (RFC 9113 section 8.1.1). c.mu must be held.
func (st *Stream) take(p []byte, end bool) bool {
	if st.left >= 0 {
		if st.left -= int64(len(p)); st.left < 0 || end && st.left > 0 {
			st.left = 0
			return false
		}
	}
	if st.at > 0 && len(st.body)+len(p) > cap(st.body) {
		st.body = st.body[:copy(st.body, st.body[st.at:])]
		st.at = 0
	}
	st.body = append(st.body, p...)
	if end {
		st.receivedAll = true
		if st.sentAll {
			st.end()
		}
	}
	st.cond.Broadcast()
	return true
}

// keptBody is how much memory a body keeps when all that came has been read.
const keptBody = 64 << 10

// Read reads the body of the request. It fails with os.ErrDeadlineExceeded at the time that
// SetReadDeadline has set, and with ErrReset or ErrClosed when the rest will not come.
// One goroutine at a time may call it; it invites the body of a client that waits for that
// ("100 Continue").
func (st *Stream) Read(p []byte) (int, error) {
	c := st.c
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		switch {
		case st.lost != nil:
			return 0, st.lost
		case len(p) == 0:
			return 0, nil
		case st.at < len(st.body):
			n := copy(p, st.body[st.at:])
			if st.at += n; st.at == len(st.body) {
				st.at, st.body = 0, st.body[:0]
				if cap(st.body) > keptBody {
					st.body = nil
				}
			}
			c.giveBack(st, n)
			c.flush(false)
			return n, nil
		case st.receivedAll:
			return 0, io.EOF
		}
		st.invite()
		if !st.wait(st.readBy) {
			return 0, os.ErrDeadlineExceeded
		}
	}
}

// SetReadDeadline sets when Read gives up, also one that is waiting; zero means never.
func (st *Stream) SetReadDeadline(t time.Time) {
	st.c.mu.Lock()
	defer st.c.mu.Unlock()
	st.readBy = t
	st.cond.Broadcast()
}

// invite says "100 Continue" to who waits for it. c.mu must be held.
func (st *Stream) invite() {
	if !st.expects || st.headSent || st.sentAll {
		return
	}
	st.expects = false
	c := st.c
	c.outgoing(smallHead)
	at := len(c.out)
	c.out = c.encoder.begin(appendFrameHead(c.out, 0, frameHeaders, flagEndHeaders, st.id), 100)
	c.patch(at)
	c.flush(false)
}
