package main

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// States of a TCP connection, as in include/net/tcp_states.h.
const (
	tcpClose     = 7
	tcpCloseWait = 8
)

// clientGone reports whether the client of conn has closed it, at least for
// writing. The state of the connection tells that even when a pipelined request
// lies unread before the end, and under TLS. A client that half-closes and waits
// counts as gone, as it does for nginx: the difference shows only when it is
// written to.
func clientGone(conn net.Conn) bool {
	if stream, ok := conn.(*http2Conn); ok {
		return stream.Gone()
	}
	if c := connectionOf(conn); c != nil {
		conn = c.Conn
	}
	sys, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sys.SyscallConn()
	if err != nil {
		return false
	}
	gone := false
	err = raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		gone = err == nil && (info.State == tcpCloseWait || info.State == tcpClose)
	})
	return err == nil && gone
}
