package eventloop

import (
	"errors"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Listener accepts connections and lets them wait in loops. For the server proper it
// is a net.Listener from which nothing comes but the end.
type Listener struct {
	options  Options
	inner    net.Listener
	file     *os.File // the listening socket
	loops    []*loop
	next     atomic.Uint32
	epoch    time.Time // zero of clock
	closing  atomic.Bool
	stopping atomic.Bool    // the loops are to end
	running  sync.WaitGroup // everything that serves, or could
	serving  atomic.Int32   // connections handed over
	failed   chan error     // one element: why the socket cannot be used any more

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
	n := o.Loops
	if n <= 0 {
		n = runtime.GOMAXPROCS(0)
	}
	l := &Listener{options: o, inner: inner, epoch: time.Now(), failed: make(chan error, 1), lastDescriptor: lastDescriptor()}
	var err error
	if l.file, err = socket.File(); err != nil {
		return nil, err
	}
	raw, err := l.file.SyscallConn()
	if err == nil {
		err = prepare(raw)
	}
	for len(l.loops) < n && err == nil {
		var one *loop
		if one, err = newLoop(l); err == nil {
			l.loops = append(l.loops, one)
		}
	}
	if err != nil {
		for _, one := range l.loops {
			_ = one.file.Close()
		}
		_ = l.file.Close()
		return nil, err
	}
	for _, one := range l.loops {
		l.running.Go(one.run)
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

// Closing reports whether Close was called: a connection need not come back then.
func (l *Listener) Closing() bool { return l.closing.Load() }

// Connections returns how many connections wait in loops.
func (l *Listener) Connections() (n int) {
	for _, one := range l.loops {
		n += int(one.count.Load())
	}
	return n
}

func (l *Listener) clock() time.Duration { return time.Since(l.epoch) }

func (l *Listener) report(what string, err error) {
	if l.options.Log != nil {
		l.options.Log(what, err)
	}
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
			l.place(fd, stateNew)
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
	l.stopping.Store(true)
	for _, one := range l.loops {
		if err := one.stop(); err != nil {
			l.report("stop", err)
		}
	}
}

// place lets a connection wait in the next loop. When the loops have ended, it is
// served if a request comes on it soon, and else closed.
func (l *Listener) place(fd int, s state) {
	if l.loops[int(l.next.Add(1))%len(l.loops)].add(fd, s) {
		return
	}
	h := &Handover{New: s == stateNew, Since: time.Now(), listener: l, call: LastCall, detached: -1}
	if h.New {
		h.call = FirstCall
	}
	l.serve(h, fd)
}

// serve hands a connection over on a goroutine of its own, and takes it back if it
// was detached.
func (l *Listener) serve(h *Handover, fd int) {
	l.serving.Add(1)
	l.running.Go(func() {
		defer l.serving.Add(-1)
		var err error
		if h.Conn, err = connOf(fd); err != nil {
			l.report("hand over connection", err)
			return
		}
		if h.call > 0 && !h.await() {
			_ = h.Conn.Close()
			return
		}
		l.options.Serve(h)
		if h.detached >= 0 {
			l.place(h.detached, h.state())
		}
	})
}

// await waits for Input, and reports whether it has come.
func (h *Handover) await() bool {
	var input [inputBytes]byte
	if h.Conn.SetReadDeadline(time.Now().Add(h.call)) != nil {
		return false
	}
	n, _ := h.Conn.Read(input[:])
	if n == 0 || h.Conn.SetReadDeadline(time.Time{}) != nil {
		return false
	}
	h.Input = append([]byte(nil), input[:n]...)
	return true
}

// noDescriptor is how long to wait for a descriptor when they have run out.
const noDescriptor = 5 * time.Second

// connOf makes a net.TCPConn of a descriptor, which it takes over. Package net
// does that with a copy alone.
func connOf(fd int) (*net.TCPConn, error) {
	file := os.NewFile(uintptr(fd), "")
	defer file.Close()
	for end := time.Now().Add(noDescriptor); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.FileConn(file)
		if err == nil {
			return c.(*net.TCPConn), nil
		}
		if !errors.Is(err, unix.EMFILE) && !errors.Is(err, unix.ENFILE) || time.Now().After(end) {
			return nil, err
		}
	}
}

// Detach has the connection go back to a loop once Serve has returned. It is for the
// moment between two requests, when everything was read and sent; waited tells that the
// client has been silent for Options.ReturnAfter since. The server closes Conn as
// ever, which then leaves the connection itself open. Detach reports false when the
// server must keep the connection.
func (h *Handover) Detach(waited bool) bool {
	if h.listener.closing.Load() {
		return false
	}
	raw, err := h.Conn.SyscallConn()
	if err != nil {
		return false
	}
	_ = raw.Control(func(fd uintptr) {
		if copied, err := unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 3); err == nil {
			h.detached, h.waited = copied, waited
		}
	})
	return h.detached >= 0
}

func (h *Handover) state() state {
	if h.waited {
		return stateWaited
	}
	return stateIdle
}
