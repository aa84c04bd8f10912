package eventloop

import (
	"bytes"
	"io"
	"net"
	"syscall"
	"time"
)

// errNothing ends a read that finds nothing. It is Temporary: crypto/tls takes any other
// error for the last word of a connection.
var errNothing error = nothingError{}

type nothingError struct{}

func (nothingError) Error() string   { return "nothing has come" }
func (nothingError) Timeout() bool   { return true }
func (nothingError) Temporary() bool { return true }

// wire is the socket of the connection that a loop is at work on, for its Layer. A loop
// has one, which every Layer in turn reads from and writes to.
type wire struct {
	fd   int
	left int    // bytes that may still be read in this turn
	dry  bool   // the last read took all that had come
	out  []byte // to be sent
}

// take begins the turn of a connection.
func (w *wire) take(fd int) { w.fd, w.left, w.dry, w.out = fd, turnBytes, false, w.out[:0] }

// touched reports whether anything was read in this turn.
func (w *wire) touched() bool { return w.left < turnBytes }

// Read returns what has come. After a read that found less than there was room for it does not
// look again, nor when the turn is over: epoll will tell.
func (w *wire) Read(p []byte) (int, error) {
	if p = p[:min(len(p), w.left)]; w.dry || len(p) == 0 {
		return 0, errNothing
	}
	n, errno := Receive(w.fd, p)
	switch {
	case errno == syscall.EAGAIN:
		w.dry = true
		return 0, errNothing
	case errno != 0:
		return 0, errno
	case n == 0:
		return 0, io.EOF
	}
	w.dry = n < len(p)
	w.left -= n
	return n, nil
}

// Write keeps p to be sent with what else the Layer writes.
func (w *wire) Write(p []byte) (int, error) {
	w.out = append(w.out, p...)
	return len(p), nil
}

func (w *wire) Close() error         { return nil }
func (w *wire) LocalAddr() net.Addr  { return &net.TCPAddr{} }
func (w *wire) RemoteAddr() net.Addr { return peerOf(w.fd) }

// Nothing here waits.
func (w *wire) SetDeadline(time.Time) error      { return nil }
func (w *wire) SetReadDeadline(time.Time) error  { return nil }
func (w *wire) SetWriteDeadline(time.Time) error { return nil }

// receive reads into l.in what has come on a connection whose turn it is, with nothing to be
// sent yet. ended reports that nothing more will come.
func (l *loop) receive(fd int) (n int, ended bool) {
	l.out = l.out[:0]
	layer := l.entries[fd].layer
	if layer == nil {
		n, errno := Receive(fd, l.in[:])
		return n, n == 0 && errno != syscall.EAGAIN
	}
	for n < len(l.in) {
		m, err := layer.Read(l.in[n:])
		n += m
		if err != nil {
			return n, err != errNothing
		}
	}
	return n, false
}

// receiveMore is receive for what a Layer holds behind a full l.in. l.out, which the socket does not
// take, stays, and what the Layer has to say comes behind it.
func (l *loop) receiveMore(fd int) (input []byte, ended bool) {
	unsent := bytes.Clone(l.out)
	n, ended := l.receive(fd)
	l.out = append(unsent, l.wire.out...)
	l.wire.out = l.wire.out[:0]
	return l.in[:n], ended
}

// seal passes l.out through the Layer of a connection, so that it is what the socket is to get,
// with what the Layer has to say itself. It reports whether it could.
func (l *loop) seal(fd int) bool {
	layer := l.entries[fd].layer
	if layer == nil {
		return true
	}
	if len(l.out) > 0 {
		if _, err := layer.Write(l.out); err != nil {
			return false
		}
	}
	l.out = append(l.out[:0], l.wire.out...)
	l.wire.out = l.wire.out[:0]
	return true
}
