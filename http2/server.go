package http2

import (
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Options say how a Server serves. Handler is needed; the rest has defaults.
type Options struct {
	// Handler answers one request. It may keep st no longer than it runs.
	Handler func(st *Stream)
	// TooLarge answers a request whose fields are beyond MaxHeaderBytes, in the same way;
	// some of them are missing. Nil answers 431 without a body.
	TooLarge func(st *Stream)
	// Panicked is told of a panic of Handler, whose stream is reset. Nil drops it.
	Panicked func(cause any)
	// Failed is told why a connection has ended if its client has broken the rules.
	Failed func(nc net.Conn, err error)
	// MaxStreams is how many requests a client may have under way on one connection.
	// Zero means DefaultMaxStreams.
	MaxStreams uint32
	// MaxHeaderBytes bounds the fields of a request, counted as RFC 9113 section 6.5.2
	// does. Zero means DefaultMaxHeaderBytes. A request beyond it gets a 431.
	MaxHeaderBytes int
	// HeaderTimeout bounds the time from the start of a connection to its first settings,
	// and that from the first to the last byte of the head of a request. Zero: no bound.
	HeaderTimeout time.Duration
	// IdleTimeout is how long a connection may be without a request. Zero: no bound.
	IdleTimeout time.Duration
	// LastCall is how long requests are still taken after Shutdown: a client may have sent
	// some before it has heard of it. Zero: not at all.
	LastCall time.Duration
}

// Defaults of Options.
const (
	DefaultMaxStreams     = 128
	DefaultMaxHeaderBytes = 16 << 10
)

// Server serves connections. Its methods may be called from any goroutine.
type Server struct {
	opts  Options
	epoch time.Time
	watch watch

	mu     sync.Mutex // guards what follows
	conns  map[*Conn]struct{}
	ending time.Time // end of the last call, zero before Shutdown
	closed bool

	date atomic.Pointer[dateField]
}

// NewServer returns a server with the options o.
func NewServer(o Options) *Server {
	if o.MaxStreams == 0 {
		o.MaxStreams = DefaultMaxStreams
	}
	if o.MaxHeaderBytes == 0 {
		o.MaxHeaderBytes = DefaultMaxHeaderBytes
	}
	return &Server{opts: o, epoch: time.Now(), conns: map[*Conn]struct{}{}}
}

// Serve serves nc until the connection has ended and its handlers have returned.
// state is what Stream.State returns.
func (s *Server) Serve(nc net.Conn, state any) {
	c := newConn(s, nc, state)
	s.mu.Lock()
	closed, ending := s.closed, s.ending
	if !closed {
		s.conns[c] = struct{}{}
	}
	s.mu.Unlock()
	if closed {
		_ = nc.Close()
		return
	}
	if !ending.IsZero() { // it was accepted in time, and made its handshake meanwhile
		c.lastCall(max(time.Until(ending), s.opts.LastCall))
	}
	c.read()
	<-c.done
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
}

// Connections returns how many connections are open.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// Shutdown tells every client that no more requests are to be sent. Those under way, and those
// that come within the last call, are answered, and then the connections end. It does not wait for that.
func (s *Server) Shutdown() {
	s.mu.Lock()
	s.ending = time.Now().Add(s.opts.LastCall)
	s.closed = s.closed || s.opts.LastCall <= 0
	s.mu.Unlock()
	for _, c := range s.every() {
		go c.lastCall(s.opts.LastCall) // who takes nothing does not hold up the others
	}
}

// Close cuts every connection.
func (s *Server) Close() {
	for _, c := range s.last() {
		c.mu.Lock()
		c.fail(ErrClosed)
		c.mu.Unlock()
		go c.nc.Close() // over TLS, it waits for who takes nothing
	}
}

// last returns all connections, and lets no more begin.
func (s *Server) last() []*Conn {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	return s.every()
}

func (s *Server) every() []*Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.conns))
}

// now is the time since the server was made: a reading of the monotonic clock alone
// costs half of time.Now.
func (s *Server) now() time.Duration { return time.Since(s.epoch) + 1 }

// dateField is the value of Date in one second.
type dateField struct {
	second int64
	text   []byte
}

// dateValue returns the value of Date (RFC 9110 section 6.6.1).
func (s *Server) dateValue() []byte {
	now := time.Now()
	if d := s.date.Load(); d != nil && d.second == now.Unix() {
		return d.text
	}
	d := &dateField{now.Unix(), now.UTC().AppendFormat(nil, "Mon, 02 Jan 2006 15:04:05 GMT")}
	s.date.Store(d)
	return d.text
}
