package http2

import (
	"net"
	"sync"
	"time"

	"golang.org/x/net/http2/hpack"
)

// Conn is one connection. One goroutine at a time has the reader's role: see doc.go.
type Conn struct {
	server *Server
	nc     net.Conn
	state  any
	done   chan struct{} // closed when the connection has ended and no handler runs
	left   sync.Once     // closes it
	turn   turn

	// Of whoever has the reader's role.
	in      input
	preface int // bytes of the client's preface that have come
	settled bool
	block   headerBlock
	decoder *hpack.Decoder
	spare   *Stream // for the next request
	fatal   error   // was met while a handler waited

	mu      sync.Mutex // guards what follows
	err     error      // why the connection is over
	streams map[uint32]*Stream
	open    int // streams on which something may still be sent
	running int // handlers
	ended   bool
	lastID  uint32   // of the client's streams
	resets  []uint32 // streams that were reset from here: what still comes on them is dropped

	away      bool          // GOAWAY was sent
	drain     time.Duration // then: when to stop waiting for the client to close
	armed     time.Duration // the read deadline of nc, 0 for none, negative when it has passed
	headSince time.Duration // when the wait for settings or the rest of a head began, 0 for none
	idleSince time.Duration // when nothing was open any more
	nested    *Stream       // its goroutine reads while it waits for a window

	maxFrame      int   // the longest frame that the client takes
	initialWindow int64 // of its streams
	sendWindow    int64
	receiveWindow int64
	owed          int64 // of the latter, not told yet
	waiting       []*Stream

	out      []byte
	tail     *Stream // the last frame of out is DATA of this stream, tailAt is its head
	tailAt   int
	writing  bool
	room     sync.Cond // a write has ended
	flushers int       // who waits for it to write as well
	encoder  encoder

	purse  int
	owes   int // of change, less than one; negative if it is owed
	filled time.Duration
}

func newConn(s *Server, nc net.Conn, state any) *Conn {
	c := &Conn{
		server: s, nc: nc, state: state, done: make(chan struct{}), streams: map[uint32]*Stream{},
		maxFrame: 16 << 10, initialWindow: initialWindow, sendWindow: initialWindow, receiveWindow: connWindow,
		headSince: s.now(), purse: purseFull,
	}
	c.filled, c.idleSince = c.headSince, c.headSince
	c.room.L = &c.mu
	c.encoder.init()
	c.decoder = hpack.NewDecoder(decoderTable, c.block.field)
	c.block.init(c)
	c.outgoing(smallOutput / 2)
	c.out = appendPreface(c.out, &s.opts)
	return c
}

// read has the reader's role until the connection ends, or another goroutine takes it.
func (c *Conn) read() {
	defer c.cut()
	for {
		switch err := c.step(nil); err {
		case nil, errSlowClient: // that one is for a stream, which sees it
		case errLost:
			return
		default:
			c.finish(err)
			return
		}
	}
}

// cut is deferred by the goroutines of a connection: a panic of this package, a bug, ends
// that connection and nothing else, without ceremony, since what that needs may be broken.
func (c *Conn) cut() {
	cause := recover()
	if cause == nil {
		return
	}
	if c.server.opts.Panicked != nil {
		c.server.opts.Panicked(cause)
	}
	_ = c.nc.Close()
	c.leave()
}

// leave lets Serve return.
func (c *Conn) leave() { c.left.Do(func() { close(c.done) }) }

// step reads one frame and does what it asks for. nested is the stream whose handler is
// waiting meanwhile, nil for none. After errLost, another goroutine reads.
func (c *Conn) step(nested *Stream) error {
	if c.fatal != nil {
		return c.fatal
	}
	f, err := c.next()
	if err == nil {
		err = c.process(&f, nested)
	}
	if e, ok := err.(streamError); ok {
		return c.refuse(e)
	}
	return err
}

// refuse resets a stream whose client has broken the rules.
func (c *Conn) refuse(e streamError) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if st := c.streams[e.stream]; st != nil {
		st.lose(ErrReset)
		st.end()
	}
	c.reset(e.stream, e.code)
	return c.spendLocked(priceReset)
}

// next returns the next frame, and writes what there is before it has to wait for one.
func (c *Conn) next() (f frame, err error) {
	for {
		need := len(clientPreface) - c.preface
		if need == 0 {
			var length int
			if f, length, need, err = parseFrame(c.in.bytes()); err != nil || length > 0 {
				c.in.r += length
				return f, err
			}
		} else if n, err := c.matchPreface(); err != nil || n > 0 {
			if err != nil {
				return f, err
			}
			continue
		}
		if err := c.fill(need); err != nil {
			return f, err
		}
	}
}

// clientPreface is what a client sends first (RFC 9113 section 3.4).
const clientPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

func (c *Conn) matchPreface() (int, error) {
	b := c.in.bytes()
	n := min(len(b), len(clientPreface)-c.preface)
	if string(b[:n]) != clientPreface[c.preface:c.preface+n] {
		return 0, connError{codeProtocol, "the client does not begin with the preface of HTTP/2"}
	}
	c.preface += n
	c.in.r += n
	return n, nil
}
