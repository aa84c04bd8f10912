package main

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// sendSlice is how many bytes of a file one call of sendfile sends: enough to make
// calls rare, little enough for the clock to be looked at now and then.
const sendSlice = 4 << 20

var _ io.ReaderFrom = (*connection)(nil) // what bufio looks for

// ReadFrom sends a file, or a *io.LimitedReader of one, with sendfile. Every other
// reader is copied through Write.
func (c *connection) ReadFrom(r io.Reader) (total int64, err error) {
	if c.takesDown() {
		return io.Copy(writeOnly{c}, r)
	}
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

// SyscallConn lets static call sendfile itself, with an offset of its own. Write of
// the result keeps the socket timeout as Write of the connection does. It fails for
// a connection without a descriptor; the caller then writes the ordinary way.
func (c *connection) SyscallConn() (syscall.RawConn, error) {
	if c.takesDown() {
		return nil, errors.ErrUnsupported // this once, so that the response passes by
	}
	if c.raw.c == nil {
		inner, ok := c.Conn.(syscall.Conn)
		if !ok {
			return nil, errors.ErrUnsupported
		}
		raw, err := inner.SyscallConn()
		if err != nil {
			return nil, err
		}
		c.raw = rawConnection{RawConn: raw, c: c}
	}
	return &c.raw, nil
}

// rawConnection is the RawConn of a connection, made when it is first asked for.
type rawConnection struct {
	syscall.RawConn
	c *connection
}

// Write calls f until it reports that it is done, as often as the socket takes
// something, and fails once the client has taken nothing for the socket timeout.
func (r *rawConnection) Write(f func(fd uintptr) (done bool)) error {
	for {
		r.c.writer.arm(r.c)
		err := r.RawConn.Write(f)
		if err == nil {
			r.c.writer.moved = 0
			return nil
		}
		if !r.c.writer.goesOn(r.c, 0, err) {
			return err
		}
	}
}
