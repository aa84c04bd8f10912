package main

import (
	"io"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// outputQueue returns how many bytes of c the kernel holds that the peer has not
// acknowledged, 0 when c has no such queue.
func outputQueue(c net.Conn) (queued int) {
	control(c, func(fd int) { queued, _ = unix.IoctlGetInt(fd, unix.SIOCOUTQ) })
	return queued
}

// readNow reads what has arrived on c, or returns errWouldBlock.
func readNow(c net.Conn, p []byte) (n int, err error) {
	err = errWouldBlock // of a connection without a descriptor, in tests
	control(c, func(fd int) { n, err = unix.Read(fd, p) })
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return 0, errWouldBlock
	case err != nil:
		return 0, err
	case n == 0 && len(p) > 0:
		return 0, io.EOF
	}
	return n, nil
}

// control calls f with the descriptor of c, if c has one that is still open.
func control(c net.Conn, f func(fd int)) {
	withDescriptor, ok := c.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := withDescriptor.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) { f(int(fd)) })
}
