package main

import (
	"errors"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"time"

	"overlay/eventloop"

	"golang.org/x/sys/unix"
)

// serveConn serves one connection until it is closed. A panic ends that connection, and
// nothing else: hygiene recovers those of handlers, but not what is called when a response has
// been made, such as the end of a body stream or a line of the access log.
func (s *site) serveConn(c net.Conn) {
	s.serving.Add(1)
	defer s.serving.Add(-1)
	defer s.recoverConn(c)
	if err := s.server.ServeConn(c); err != nil {
		serverLog{s.log}.Printf("connection %s: %v", c.RemoteAddr(), err)
	}
}

func (s *site) recoverConn(c net.Conn) {
	cause := recover()
	if cause == nil {
		return
	}
	s.log.Error("panic while serving a connection, which is cut", "panic", cause, "stack", string(debug.Stack()))
	if inner := connectionOf(c); inner != nil {
		c = inner.Conn // without ceremony: what that needs may be what is broken
	}
	_ = c.Close()
}

// servingListener accepts connections and has each of them served on a goroutine of its
// own. For fasthttp, which would serve them where nobody recovers a panic, it is a listener
// from which nothing comes but the end, as eventloop.Listener is.
type servingListener struct {
	net.Listener
	serve   func(net.Conn)
	log     *slog.Logger
	running sync.WaitGroup
	keeper  *eventloop.Keeper // where connections of HTTPS may wait; nil for nowhere
	open    newcomers
}

// Accept waits until the listener is closed and every connection has been served, and then
// returns net.ErrClosed. When the socket fails it returns that error at once.
func (l *servingListener) Accept() (net.Conn, error) {
	for pause := time.Duration(0); ; {
		c, err := l.Listener.Accept()
		switch {
		case err == nil:
			pause = 0
			l.open.add(c)
			l.running.Go(func() { l.run(c) })
		case errors.Is(err, net.ErrClosed):
			if l.keeper != nil {
				l.keeper.Close()
				defer l.keeper.Wait()
			}
			late := time.AfterFunc(firstCall, l.open.dismiss)
			l.running.Wait()
			late.Stop()
			return nil, err
		case passes(err):
			if pause == 0 {
				l.log.Error("accept a connection", "error", err)
			}
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			time.Sleep(pause)
		default:
			return nil, err
		}
	}
}

// run serves c until it ends or goes on in an event loop.
func (l *servingListener) run(c net.Conn) {
	var lent *eventloop.Handover
	if c, ok := c.(*tlsConnection); ok {
		lent = c.lend(l.keeper)
	}
	l.serve(c)
	l.open.remove(c)
	if lent != nil {
		lent.Return()
	}
}

// passes reports whether an error of accept(2) is about one connection, or about what
// comes free again: descriptors, memory.
func passes(err error) bool {
	for _, errno := range []unix.Errno{
		unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM,
		unix.ECONNABORTED, unix.ENETDOWN, unix.EPROTO, unix.ENOPROTOOPT, unix.EHOSTDOWN, unix.EHOSTUNREACH, unix.EOPNOTSUPP, unix.ENETUNREACH,
	} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}
