package static

import (
	"bufio"
	"net"

	"golang.org/x/sys/unix"
)

// sendSlice bounds one sendfile call, so that a fast client of a huge file gives
// others their turn.
const sendSlice = 2 << 20

// sender carries the arguments and results of one sendfile call into and out of the
// callback that the network poller wants.
type sender struct {
	step    func(fd uintptr) bool // call, bound once
	in      int
	off     int64
	want, n int
	err     error
	tail    [tail]byte
}

// call makes one sendfile. The poller calls it again when the socket is writable.
func (s *sender) call(fd uintptr) bool {
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

// sendfile lets the kernel send everything but the tail straight from the page
// cache, then the tail from memory, after a last look at the file.
func (b *fileBody) sendfile(w *bufio.Writer, tcp *net.TCPConn) (sent int64, err error) {
	if b.left > tail {
		if err := w.Flush(); err != nil {
			return 0, err
		}
		raw, err := tcp.SyscallConn()
		if err != nil {
			return 0, err
		}
		if b.out.step == nil {
			b.out.step = b.out.call
		}
		b.out.in, b.out.off = b.file.fd, b.off
		for b.left > tail {
			b.out.want = int(min(b.left-tail, sendSlice))
			err := raw.Write(b.out.step)
			if err == nil {
				err = b.out.err
			}
			if err != nil {
				return sent, err
			}
			n := int64(b.out.n)
			if n <= 0 {
				return sent, errChanged // the file became shorter
			}
			sent, b.off, b.left = sent+n, b.off+n, b.left-n
		}
	}
	for b.left > 0 {
		n, err := b.Read(b.out.tail[:])
		if err != nil {
			return sent, err
		}
		m, err := w.Write(b.out.tail[:n])
		sent += int64(m)
		if err != nil {
			return sent, err
		}
	}
	return sent, nil
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
