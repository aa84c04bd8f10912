package static

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// canSendRaw tells that there is sendfile and writev for a connection's descriptor.
const canSendRaw = true

// sender carries the arguments and results of one system call into and out of the
// callbacks that the network poller wants.
type sender struct {
	head func(fd uintptr) bool // sendHead, bound once
	body func(fd uintptr) bool // sendBody, bound once

	header []byte // what is left of it
	in     int
	off    int64
	want   int
	n      int
	err    error
}

func (s *sender) reset() { s.header = nil }

// sendHead sends the header with MSG_MORE: the kernel keeps it until the first bytes
// of the file fill the packet, and the client is woken once.
func (s *sender) sendHead(fd uintptr) bool {
	for {
		n, _, errno := unix.Syscall6(unix.SYS_SENDTO, fd, uintptr(unsafe.Pointer(unsafe.SliceData(s.header))),
			uintptr(len(s.header)), unix.MSG_MORE|unix.MSG_NOSIGNAL, 0, 0)
		switch errno {
		case 0:
			s.n, s.err = int(n), nil
			return true
		case unix.EINTR:
		case unix.EAGAIN:
			return false
		default:
			s.n, s.err = 0, errno
			return true
		}
	}
}

// sendBody makes one sendfile. The poller calls it again when the socket is writable.
func (s *sender) sendBody(fd uintptr) bool {
	for {
		s.n, s.err = unix.Sendfile(int(fd), s.in, &s.off, s.want)
		switch s.err {
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			return false
		}
		return true
	}
}

// sendfile lets the kernel send the file straight from the page cache: all but the
// tail, and then the tail, after a last look at the file.
func (b *fileBody) sendfile(raw syscall.RawConn, header []byte) (sent int64, err error) {
	s := &b.out
	if s.body == nil {
		s.head, s.body = s.sendHead, s.sendBody
	}
	for s.header = header; len(s.header) > 0; s.header = s.header[s.n:] {
		if err := b.step(raw, s.head); err != nil {
			return 0, err
		}
	}
	s.in, s.off = b.file.fd, b.off
	for b.left > 0 {
		if b.left <= tail {
			if err := b.unchanged(); err != nil {
				return sent, err
			}
			s.want = int(b.left)
		} else {
			s.want = int(min(b.left-tail, sendSlice))
		}
		if err := b.step(raw, s.body); err != nil {
			return sent, err
		}
		n := int64(s.n)
		if n <= 0 {
			return sent, errChanged // the file became shorter
		}
		sent, b.off, b.left = sent+n, b.off+n, b.left-n
	}
	return sent, nil
}

// step makes one call by way of the poller, and gives the client a new deadline.
func (b *fileBody) step(raw syscall.RawConn, call func(uintptr) bool) error {
	b.h.extend(b.conn)
	if err := raw.Write(call); err != nil {
		return err
	}
	return b.out.err
}

// vector sends a header and a body by writev.
type vector struct {
	step  func(fd uintptr) bool // call, bound once
	parts [2]unix.Iovec
	next  int // first of parts that is not sent
	sent  int64
	err   error
}

func (v *vector) reset() { v.parts = [2]unix.Iovec{} }

// send returns how much of the body was sent.
func (v *vector) send(raw syscall.RawConn, header, body []byte) (int64, error) {
	if v.step == nil {
		v.step = v.call
	}
	for i, b := range [...][]byte{header, body} {
		v.parts[i].Base = unsafe.SliceData(b)
		v.parts[i].SetLen(len(b))
	}
	v.next, v.sent, v.err = 0, 0, nil
	err := raw.Write(v.step)
	if err == nil {
		err = v.err
	}
	return max(0, v.sent-int64(len(header))), err
}

// call writes until all is sent or the socket is full; the poller then calls again.
func (v *vector) call(fd uintptr) bool {
	for v.next < len(v.parts) {
		n, _, errno := unix.Syscall(unix.SYS_WRITEV, fd, uintptr(unsafe.Pointer(&v.parts[v.next])), uintptr(len(v.parts)-v.next))
		switch errno {
		case 0:
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			return false
		default:
			v.err = errno
			return true
		}
		v.sent += int64(n)
		for left := uint64(n); v.next < len(v.parts); v.next++ {
			p := &v.parts[v.next]
			if left < uint64(p.Len) {
				p.Base = (*byte)(unsafe.Add(unsafe.Pointer(p.Base), left))
				p.SetLen(int(uint64(p.Len) - left))
				break
			}
			left -= uint64(p.Len)
		}
	}
	return true
}

// maxOpenFiles is how many descriptors may be kept open for large files: a quarter of
// what the process may have.
func maxOpenFiles() int64 {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 64
	}
	return int64(min(limit.Cur/4, 1024))
}
