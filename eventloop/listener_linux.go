package eventloop

import (
	"errors"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Listener accepts connections and lets them wait in loops. For the server proper it
// is a net.Listener from which nothing comes but the end.
type Listener struct {
	*Keeper
	inner  net.Listener
	file   *os.File   // the listening socket
	failed chan error // one element: why the socket cannot be used any more

	lastDescriptor int           // see awaitDescriptors
	nextTold       time.Duration // belongs to accept: when it may next complain about that, on clock
}

// socketListener is what net.TCPListener has.
type socketListener interface {
	net.Listener
	File() (*os.File, error)
	SyscallConn() (syscall.RawConn, error)
}

// Listen takes the connections of inner, whose socket it shares, until Close. An inner that is
// no socket gives ErrUnavailable.
func Listen(inner net.Listener, o Options) (*Listener, error) {
	socket, ok := inner.(socketListener)
	if !ok {
		return nil, ErrUnavailable
	}
	l := &Listener{inner: inner, failed: make(chan error, 1), lastDescriptor: lastDescriptor()}
	var err error
	if l.file, err = socket.File(); err != nil {
		return nil, err
	}
	raw, err := l.file.SyscallConn()
	if err == nil {
		err = prepare(raw)
	}
	if err == nil {
		l.Keeper, err = NewKeeper(o)
	}
	if err != nil {
		_ = l.file.Close()
		return nil, err
	}
	l.running.Go(func() { l.accept(raw) })
	return l, nil
}

// prepare sets on the listening socket what its connections inherit: the settings that
// package net gives to each connection that it accepts.
func prepare(raw syscall.RawConn) error {
	var err error
	controlErr := raw.Control(func(fd uintptr) {
		for _, option := range []struct{ level, name, value int }{
			{unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
			{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
			{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 15},
			{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 15},
			{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 9},
		} {
			if err == nil {
				err = os.NewSyscallError("setsockopt", unix.SetsockoptInt(int(fd), option.level, option.name, option.value))
			}
		}
	})
	return errors.Join(controlErr, err)
}

// Accept waits until Close was called and every connection has ended, and then
// returns net.ErrClosed. When the socket fails it returns that error at once.
func (l *Listener) Accept() (net.Conn, error) {
	ended := make(chan struct{})
	go func() {
		l.running.Wait()
		close(ended)
	}()
	select {
	case err := <-l.failed:
		return nil, err
	case <-ended:
		return nil, net.ErrClosed
	}
}

// Addr returns the address of the listening socket.
func (l *Listener) Addr() net.Addr { return l.inner.Addr() }

// drainTime is how long the socket of a listener that is being closed still accepts.
const drainTime = 20 * time.Millisecond

// Close ends the accepting of connections, after those that the kernel has
// completed already: to close the socket at once would reset them. Connections that
// wait between two requests are closed, the others go on with the server.
func (l *Listener) Close() error {
	if l.closing.Swap(true) {
		return nil
	}
	return l.file.SetReadDeadline(time.Unix(1, 0))
}

// accept deals connections out to the loops until the listener is closed.
func (l *Listener) accept(raw syscall.RawConn) {
	defer l.end()
	draining := false
	pause := time.Duration(0)
	for {
		var fd int
		var errno error
		err := raw.Read(func(socket uintptr) bool {
			fd, _, errno = unix.Accept4(int(socket), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
			return errno != unix.EAGAIN && errno != unix.EINTR
		})
		switch {
		case err == nil && errno == nil:
			pause = 0
			l.place(fd, nil, stateNew)
			l.awaitDescriptors(fd)
		case err == nil && errno == unix.ECONNABORTED:
		case err == nil:
			// Descriptors or memory have run out. Some will come free.
			if pause == 0 {
				l.report("accept", os.NewSyscallError("accept4", errno))
			}
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			time.Sleep(pause)
		case l.closing.Load() && errors.Is(err, os.ErrDeadlineExceeded):
			if draining || l.file.SetReadDeadline(time.Now().Add(drainTime)) != nil {
				return
			}
			draining = true
		default:
			l.failed <- err
			return
		}
	}
}

// end closes the socket and has the loops end.
func (l *Listener) end() {
	_ = l.file.Close()
	_ = l.inner.Close()
	l.stop()
}
