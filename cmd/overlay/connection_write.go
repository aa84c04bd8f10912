package main

import (
	"errors"
	"io"
	"net"
	"os"
	"time"
)

// writeWatch cuts a client that takes nothing of a response for the socket timeout.
//
// A deadline is armed a fraction of the timeout ahead. Each time it fires, it is
// seen whether anything has moved since the last time: bytes handed to the kernel,
// or bytes in the kernel's queue that the client acknowledged. The second matters:
// the queue of a slow client holds megabytes, and takes nothing new for minutes while
// the client reads on.
type writeWatch struct {
	off    bool
	armed  bool
	queued int           // bytes in the kernel's queue when something moved last
	moved  time.Duration // when something moved last, 0: not waiting
}

// stepsPerTimeout is how often in a timeout a waiting write looks for progress.
const stepsPerTimeout = 8

// arm sets the write deadline of c unless one is set that has not fired yet.
func (w *writeWatch) arm(c *connection) {
	if w.armed || w.off || c.timeouts.socket <= 0 {
		return
	}
	w.armed = true
	step := max(c.timeouts.socket/stepsPerTimeout, time.Millisecond)
	now := clock()
	if w.moved > 0 {
		step = min(step, max(w.moved+c.timeouts.socket-now, 0))
	}
	_ = c.Conn.SetWriteDeadline(epoch.Add(now + step))
}

// goesOn judges the error err of a write that has handed n bytes to the kernel: it
// reports whether the write is to be continued after a new arm.
func (w *writeWatch) goesOn(c *connection, n int64, err error) bool {
	if w.off || !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	w.armed = false
	now, queued := clock(), outputQueue(c.Conn)
	if n > 0 || w.moved == 0 || queued < w.queued {
		w.moved, w.queued = now, queued
		return true
	}
	return now < w.moved+c.timeouts.socket
}

// Write writes all of p, or fails once the client has taken nothing for the socket timeout.
func (c *connection) Write(p []byte) (written int, err error) {
	for {
		c.writer.arm(c)
		n, err := c.Conn.Write(p[written:])
		written += n
		if err == nil {
			c.writer.moved = 0
			return written, nil
		}
		if !c.writer.goesOn(c, int64(n), err) {
			return written, err
		}
	}
}

// sendSlice is how many bytes of a file one call of sendfile sends: enough to make
// calls rare, little enough for the clock to be looked at now and then.
const sendSlice = 4 << 20

// ReadFrom sends a file, or a *io.LimitedReader of one, with sendfile. Every other
// reader is copied through Write.
func (c *connection) ReadFrom(r io.Reader) (total int64, err error) {
	tcp, ok := c.Conn.(*net.TCPConn)
	limited, isLimited := r.(*io.LimitedReader)
	file, isFile := r.(*os.File)
	if isLimited {
		file, isFile = limited.R.(*os.File)
	}
	if !ok || !isFile {
		return io.Copy(writeOnly{c}, r)
	}
	for {
		slice := io.LimitedReader{R: file, N: sendSlice}
		if isLimited {
			slice.N = min(slice.N, limited.N)
		}
		if slice.N <= 0 {
			return total, nil
		}
		n, moreComes, err := c.sendFile(tcp, file, &slice)
		total += n
		if isLimited {
			limited.N -= n
		}
		if err != nil || !moreComes {
			return total, err
		}
	}
}

// sendFile sends slice, which starts at the position of file. moreComes is false at
// the end of the file.
func (c *connection) sendFile(tcp *net.TCPConn, file *os.File, slice *io.LimitedReader) (total int64, moreComes bool, err error) {
	want := slice.N
	for {
		c.writer.arm(c)
		before := slice.N
		n, err := tcp.ReadFrom(slice)
		total += n
		if err == nil {
			c.writer.moved = 0
			return total, total == want, nil
		}
		if !c.writer.goesOn(c, n, err) {
			return total, false, err
		}
		// With a deadline that has passed already, net does not get as far as sendfile:
		// it reads a piece of the file, and drops it when it cannot be written.
		if read := before - slice.N; read > n {
			if _, err := file.Seek(n-read, io.SeekCurrent); err != nil {
				return total, false, err
			}
		}
		slice.N = want - total
	}
}

// writeOnly hides ReadFrom from io.Copy, which would come back here for ever.
type writeOnly struct{ io.Writer }
