package http2

import (
	"sync"
	"sync/atomic"
	"time"
)

// Stream is a request and its response. Its methods, but for Gone, Read and SetReadDeadline, are
// for the goroutine of the handler alone.
type Stream struct {
	Request
	c  *Conn
	id uint32

	// Of the handler's goroutine.
	inline   bool   // it has lent the reader's role, and nobody has taken it, as far as it knows
	lent     uint64 // see reclaim
	shared   bool   // it has been known to others, and is not used again
	piece    int    // bytes that were sent since sendBy was set
	silence  time.Duration
	tooLarge bool // the head is beyond its limit

	gone atomic.Bool // lost is not nil

	// Guarded by c.mu.
	cond     sync.Cond
	lost     error // the client has given up, or is gone
	over     bool  // out of c.streams
	timer    *time.Timer
	timerAt  time.Time // zero when it is not running
	headSent bool
	sentAll  bool
	sendBy   time.Duration // when to give up on a client that opens no window, 0: not waiting

	sendWindow int64
	waits      bool  // is in c.waiting
	granted    int64 // of the window of the connection, for this stream alone

	body          []byte // received, and not read before at
	at            int
	left          int64 // bytes of the body that are to come by Content-Length, negative if it is not known
	receivedAll   bool
	receiveWindow int64
	owed          int64
	readBy        time.Time
}

func newStream(c *Conn) *Stream {
	st := &Stream{c: c}
	st.cond.L = &c.mu
	return st
}

// State returns what Serve was given.
func (st *Stream) State() any { return st.c.state }

// Conn returns the connection of the stream.
func (st *Stream) Conn() *Conn { return st.c }

// Gone reports whether the client has given up on the response or is gone itself. It
// may be called from any goroutine, and later than the handler has returned if Detach
// was called.
func (st *Stream) Gone() bool { return st.gone.Load() }

// Shared reports whether the stream is known to others than the goroutine that has read it. If it is
// not, it serves for another request after this one.
func (st *Stream) Shared() bool { return st.shared }

// begin begins to answer the request whose head has come.
func (c *Conn) begin(id uint32, nested *Stream) error {
	c.mu.Lock()
	if err := c.err; err != nil {
		// It was read together with one whose answer has found the client gone. fail has told all
		// streams that there were, and would not tell this one: it would wait for ever.
		c.mu.Unlock()
		return err
	}
	if limit := int(c.server.opts.MaxStreams); c.open >= limit || c.running >= 2*limit {
		c.mu.Unlock()
		return streamError{id, codeRefused}
	}
	st := c.spare
	c.spare = nil
	st.id = id
	st.left = st.ContentLength
	st.sendWindow, st.receiveWindow = c.initialWindow, streamWindow
	st.receivedAll = c.block.end
	c.streams[id] = st
	c.open++
	c.running++
	c.mu.Unlock()
	st.tooLarge = c.block.tooLarge
	if !st.receivedAll || nested != nil {
		st.shared = true
		go c.answerAlone(st)
		return nil
	}
	st.inline = true
	st.lent = c.lend()
	c.answer(st)
	if !st.inline {
		return errLost
	}
	st.reset()
	c.spare = st
	return nil
}

// answerAlone is answer on a goroutine of its own.
func (c *Conn) answerAlone(st *Stream) {
	defer c.cut()
	c.answer(st)
}

// answer calls the handler. A panic of that ends its stream alone.
func (c *Conn) answer(st *Stream) {
	defer c.handled(st)
	defer func() {
		if cause := recover(); cause != nil && c.server.opts.Panicked != nil {
			c.server.opts.Panicked(cause)
		}
	}()
	switch o := &c.server.opts; {
	case !st.tooLarge:
		o.Handler(st)
	case o.TooLarge != nil:
		o.TooLarge(st)
	default:
		_ = st.WriteHead(431, nil, true) // who is gone needs no answer
	}
}

// handled is called when the handler has returned.
func (c *Conn) handled(st *Stream) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case st.lost != nil:
	case !st.sentAll:
		c.reset(st.id, codeInternal) // cut short, and never to be taken for complete
	case !st.receivedAll:
		c.reset(st.id, codeNone) // RFC 9113 section 8.1: the rest is not wanted
	}
	if st.lost == nil {
		c.earn(gainAnswered)
	}
	st.end()
	st.drop()
	if st.timer != nil {
		st.timer.Stop()
	}
	if st.inline && !c.reclaim(st.lent) {
		st.inline, st.shared = false, true
	}
	if !st.inline {
		c.flush(true) // else it leaves with what the next frames bring
	}
	c.running--
	c.rest()
	if c.ended && c.running == 0 {
		c.leave()
	}
}

// reset prepares st for another request.
func (st *Stream) reset() {
	clear(st.Fields)
	fields := st.Fields[:0]
	*st = Stream{c: st.c, Request: Request{Fields: fields}}
	st.cond.L = &st.c.mu
}

// lose says that nobody is there for the response. c.mu must be held.
func (st *Stream) lose(err error) {
	if st.lost == nil {
		st.lost = err
		st.gone.Store(true)
		st.cond.Broadcast()
	}
}

// end says that nothing more comes or goes on the stream. c.mu must be held.
func (st *Stream) end() {
	if st.over {
		return
	}
	st.over = true
	c := st.c
	delete(c.streams, st.id)
	c.open--
	if st.lost != nil {
		st.drop()
	}
}

// drop gives up what was received and not read. c.mu must be held.
func (st *Stream) drop() {
	if n := len(st.body) - st.at; n > 0 {
		st.body, st.at = nil, 0
		st.c.giveBack(nil, n)
	}
}

// Detach has another goroutine read the connection, if this one would. A handler that is
// about to wait for something else than its client calls it.
func (st *Stream) Detach() {
	st.shared = true
	if st.inline {
		st.inline = false
		if st.c.reclaim(st.lent) {
			go st.c.read()
		}
	}
}

// wait waits until something happens, or until deadline, zero for none. It reports
// whether there was time. c.mu must be held, and is not meanwhile.
func (st *Stream) wait(deadline time.Time) bool {
	if !deadline.IsZero() {
		left := time.Until(deadline)
		if left <= 0 {
			return false
		}
		// A timer that comes too early wakes for nothing, and is set anew.
		if st.timer == nil {
			st.timer = time.AfterFunc(left, st.wake)
			st.timerAt = deadline
		} else if st.timerAt.IsZero() || st.timerAt.After(deadline) {
			st.timer.Reset(left)
			st.timerAt = deadline
		}
	}
	st.cond.Wait()
	return true
}

func (st *Stream) wake() {
	st.c.mu.Lock()
	defer st.c.mu.Unlock()
	st.timerAt = time.Time{}
	st.cond.Broadcast()
}
