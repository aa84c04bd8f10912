package static

import (
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// file is an open file that several responses may read at once, each at its own
// offset. It is closed when the last holder releases it.
type file struct {
	fd   int
	os   *os.File // owns fd when not nil
	refs atomic.Int32
}

// newFile returns a file with one holder.
func newFile(fd int, owner *os.File) *file {
	f := &file{fd: fd, os: owner}
	f.refs.Store(1)
	return f
}

// acquire adds a holder. It reports false when the file is closed already.
func (f *file) acquire() bool {
	for {
		n := f.refs.Load()
		if n <= 0 {
			return false
		}
		if f.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// release removes a holder, and closes the file after the last one.
func (f *file) release() {
	if f.refs.Add(-1) != 0 {
		return
	}
	if f.os != nil {
		f.os.Close()
		return
	}
	unix.Close(f.fd)
}

// readAt reads up to len(p) bytes at off. Zero bytes without an error mean the end.
func (f *file) readAt(p []byte, off int64) (int, error) {
	for {
		n, err := unix.Pread(f.fd, p, off)
		if err == unix.EINTR {
			continue
		}
		return max(n, 0), err
	}
}

func (f *file) stat() (version, error) { return fstat(f.fd) }
