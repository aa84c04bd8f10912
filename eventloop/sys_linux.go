package eventloop

import (
	"net"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls of this file go straight to the kernel, past the scheduler: they are made
// on sockets that do not block, so that there is nothing to tell it.

// Receive reads what has come on a socket that does not block, without telling the scheduler. With
// EAGAIN nothing has; 0 bytes without an error are the end. p must not be empty.
func Receive(fd int, p []byte) (int, syscall.Errno) {
	for {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), 0, 0, 0)
		if errno == 0 {
			return int(n), 0
		}
		if errno != syscall.EINTR {
			return 0, errno
		}
	}
}

// Send writes what a socket that does not block takes of p, without telling the scheduler. With EAGAIN
// it takes nothing. p must not be empty.
func Send(fd int, p []byte) (int, syscall.Errno) {
	for {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), syscall.MSG_NOSIGNAL, 0, 0)
		if errno == 0 {
			return int(n), 0
		}
		if errno != syscall.EINTR {
			return 0, errno
		}
	}
}

// poll returns how many of the events are ready now.
func poll(epfd int, events *[batch]unix.EpollEvent) int {
	n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(epfd), uintptr(unsafe.Pointer(events)), batch, 0, 0, 0)
	if errno != 0 {
		return 0
	}
	return int(n)
}

// yield lets whoever waits for this processor have it first.
func yield() { _, _, _ = syscall.RawSyscall(syscall.SYS_SCHED_YIELD, 0, 0, 0) }

// peerOf returns the address of the client of a connection, and an empty one if there
// is none any more.
func peerOf(fd int) net.Addr {
	peer, err := unix.Getpeername(fd)
	if err != nil {
		return &net.TCPAddr{}
	}
	switch peer := peer.(type) {
	case *unix.SockaddrInet4:
		return &net.TCPAddr{IP: peer.Addr[:], Port: peer.Port}
	case *unix.SockaddrInet6:
		return &net.TCPAddr{IP: peer.Addr[:], Port: peer.Port}
	}
	return &net.TCPAddr{}
}
