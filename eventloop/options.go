package eventloop

import (
	"errors"
	"net"
	"time"
)

// ErrUnavailable is returned by Listen where there is no epoll.
var ErrUnavailable = errors.New("eventloop: not on this system")

// LastCall is how long connections that wait between two requests stay open when the
// listener is closed. A client that was just answered may have sent its next request: it
// gets an answer, which says that it is the last.
const LastCall = 100 * time.Millisecond

// FirstCall is how long a new connection may then take to send its first request: browsers
// open some ahead of need.
const FirstCall = time.Second

// errFewDescriptors is reported when connections have to wait for others to end.
var errFewDescriptors = errors.New("too few file descriptors are left: new connections wait until others end; a higher limit (ulimit -n) lets more in")

// Options says what a Keeper does with its connections.
type Options struct {
	// Serve serves the connection of h until it is closed, or until h.Detach has
	// succeeded and the connection was closed. It is called on a goroutine of its own and is required.
	Serve func(h *Handover)
	// Answers are the answers that the loops may give. nil: none, the loops only wait.
	Answers *Answers
	// Host reports whether a request with this value of Host is served as any other
	// is; nil: every one. Its answer must not change.
	Host func(value []byte) bool
	// Kind tells apart the values of Accept, nil for none, that may get different answers. Its answer
	// must not change. nil: no answer depends on Accept.
	Kind func(accept []byte) byte
	// Passes reports whether a loop may answer this request on a connection with this Layer, nil for
	// none. If not, the request goes to the server. It is called for each request whose answer could
	// be kept, on the loop's goroutine. nil: it may answer all.
	Passes func(layer Layer, h *Head) bool
	// Given is called for each answer that a loop gives, before it is sent, on the loop's goroutine:
	// every connection of the loop waits for it. nil: nobody is told.
	Given func(g *Given)
	// NewTimeout is how long a client may take to send the first byte, IdleTimeout how
	// long it may be silent between two requests. The connection is closed then. Zero means no bound.
	NewTimeout, IdleTimeout time.Duration
	// ReturnAfter is how long a connection has waited with the server when that one gives it
	// back with Detach(true). It counts towards IdleTimeout.
	ReturnAfter time.Duration
	// Loops is how many goroutines share the connections; zero means one for each processor.
	Loops int
	// Log is told of what cannot be helped, such as a lack of descriptors. nil: nobody is.
	Log func(what string, err error)
}

// Given tells of an answer that a loop gives. It is valid until the call returns.
type Given struct {
	Head   []byte   // of the request
	Layer  Layer    // of the connection, nil for none
	Status int      // of the answer
	Body   int      // bytes of the answer's body
	Peer   net.Addr // the client
	Time   time.Time
}

// Layer is what lies between the socket of a connection and its requests, such as TLS. It
// belongs to the Keeper from Handover.Return on, until the next Handover.
type Layer interface {
	// Over has what is read and written go through wire from now on. An error of wire's Read that is
	// Temporary says that nothing more has come so far, and must not end the layer; wire's Write
	// does not fail.
	Over(wire net.Conn)
	// Read returns what has come for a request, or the error of the wire.
	Read(p []byte) (int, error)
	// Write sends p.
	Write(p []byte) (int, error)
	// Close says to the client that the connection ends. The wire need not be closed.
	Close() error
}

// Handover is a connection on its way from a loop to the server.
type Handover struct {
	Conn *net.TCPConn
	// Layer lies above Conn, and has to be put there again with Over; nil for nothing.
	Layer Layer
	// Input has been read from the connection, through Layer, and is not answered. It is empty
	// only if Output is not, or Last is set.
	Input []byte
	// Output is to be sent on Conn before anything else: the rest of answers that a loop began.
	Output []byte
	// New reports whether no request was answered on this connection so far.
	New bool
	// Last reports that the loops have ended: the connection is closed unless a request comes
	// within LastCall.
	Last bool
	// Since is when the wait for Input began: when the connection was accepted, or when the
	// last answer was sent.
	Since time.Time
	// Recorder takes down the response to Input, if it wants to.
	Recorder Recorder

	keeper   *Keeper
	call     time.Duration // longest wait for Input, which is empty; 0: no wait
	ended    bool          // the end of what the client sends has been read
	detached int           // descriptor that goes back to the loops, -1: none
	waited   bool          // for Options.ReturnAfter
}
