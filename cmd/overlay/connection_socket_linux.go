package main

import (
	"io"
	"net"
	"os"
	"syscall"

	"overlay/eventloop"
)

// socket reads and writes the socket of a connection by calls that the scheduler is not told
// of. None of them blocks; but one that takes longer than 20 µs, as where the client is on
// the same machine and begins to run, makes the scheduler believe that it does: it takes the processor
// away, and wakes a thread for it. The zero value is ready.
type socket struct {
	raw     syscall.RawConn // nil before the first use
	in, out transfer
}

// transfer is one read or write. It is kept so that none costs an allocation.
type transfer struct {
	p     []byte
	n     int
	errno syscall.Errno
	do    func(fd uintptr) (done bool)
}

// longSocketWrite is what it takes so long to copy that the others should have the processor.
const longSocketWrite = 64 << 10

// readSocket is c.Conn.Read.
func (c *connection) readSocket(p []byte) (int, error) {
	if len(p) == 0 || !c.socket.open(c.Conn) {
		return c.Conn.Read(p)
	}
	t := &c.socket.in
	if t.do == nil {
		t.do = func(fd uintptr) bool { return t.call(eventloop.Receive, fd) }
	}
	t.p = p
	err := c.socket.raw.Read(t.do)
	t.p = nil
	switch {
	case err != nil:
		return 0, err
	case t.errno != 0:
		return 0, c.socketError("read", t.errno)
	case t.n == 0:
		return 0, io.EOF
	}
	return t.n, nil
}

// writeSocket is c.Conn.Write.
func (c *connection) writeSocket(p []byte) (written int, err error) {
	if len(p) > longSocketWrite || !c.socket.open(c.Conn) {
		return c.Conn.Write(p)
	}
	t := &c.socket.out
	if t.do == nil {
		t.do = func(fd uintptr) bool { return t.call(eventloop.Send, fd) }
	}
	for written < len(p) {
		t.p = p[written:]
		err := c.socket.raw.Write(t.do)
		t.p = nil
		switch {
		case err != nil:
			return written, err
		case t.errno != 0:
			return written, c.socketError("write", t.errno)
		}
		written += t.n
	}
	return written, nil
}

// call reports false when the socket has nothing to read or no room, and is to be waited for.
func (t *transfer) call(transfer func(int, []byte) (int, syscall.Errno), fd uintptr) bool {
	t.n, t.errno = transfer(int(fd), t.p)
	return t.errno != syscall.EAGAIN
}

// open reports whether c is one that calls can be made on.
func (s *socket) open(c net.Conn) bool {
	if s.raw == nil {
		inner, ok := c.(*net.TCPConn)
		if !ok {
			return false
		}
		raw, err := inner.SyscallConn()
		if err != nil {
			return false
		}
		s.raw = raw
	}
	return true
}

func (c *connection) socketError(call string, errno syscall.Errno) error {
	return &net.OpError{Op: call, Net: "tcp", Source: c.Conn.LocalAddr(), Addr: c.Conn.RemoteAddr(), Err: os.NewSyscallError(call, errno)}
}
