package static

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"
)

// errChanged ends a response whose file was changed while it was read. The
// connection is closed before the last byte, so that nothing that is mixed from two
// versions, or cut short, ever looks complete.
var errChanged = errors.New("static: file changed while it was sent")

// tail is how much of a file is held back until the file was seen unchanged after
// everything else was sent.
const tail = 4 << 10

// sendSlice bounds one sendfile call, so that a fast client of a huge file gives
// others their turn.
const sendSlice = 2 << 20

// fileBody is the body of a response that comes from an open file, for fasthttp to
// write. It reads at its own offset: others may send the same file.
type fileBody struct {
	h       *Handler
	file    *file
	version version
	conn    net.Conn
	resp    *fasthttp.Response
	sent    *int64 // see CountInto
	off     int64
	left    int64
	out     sender
}

// newFileBody returns a body that releases the file when it is closed.
func (h *Handler) newFileBody(ctx *fasthttp.RequestCtx, f *file, v version, part byteRange) *fileBody {
	b := h.bodies.Get().(*fileBody)
	b.h, b.file, b.version, b.off, b.left = h, f, v, part.start, part.length
	b.conn, b.resp = ctx.Conn(), &ctx.Response
	return b
}

// Close is called by fasthttp when the response is written or given up.
func (b *fileBody) Close() error {
	if b.file == nil {
		return nil
	}
	b.file.release()
	h := b.h
	b.h, b.file, b.conn, b.resp, b.sent = nil, nil, nil, nil, nil
	b.out.reset()
	h.bodies.Put(b)
	return nil
}

// WriteTo sends the body. w is fasthttp's writer, whose buffer holds the header.
func (b *fileBody) WriteTo(w io.Writer) (sent int64, err error) {
	defer b.h.settle(b.conn)
	if b.sent != nil {
		defer func() { *b.sent += sent }()
	}
	bw, ok := w.(*bufio.Writer)
	if !ok {
		return b.copy(w, nil)
	}
	header := takeHeader(bw, b.conn, b.resp)
	if raw := rawConn(b.conn); raw != nil {
		if header == nil {
			if err := bw.Flush(); err != nil {
				return 0, err
			}
		}
		return b.sendfile(raw, header)
	}
	if header != nil {
		return b.copy(b.conn, header)
	}
	return b.copy(bw, nil)
}

// CountInto has the bytes that are sent added to n, for the access log.
func (b *fileBody) CountInto(n *int64) { b.sent = n }

// takeHeader takes the header of the response out of fasthttp's buffer, so that it
// can be sent in one piece with the body. It returns nil, and leaves the buffer alone,
// when something else is in it too: the answer to an earlier request of a pipeline.
func takeHeader(bw *bufio.Writer, conn net.Conn, resp *fasthttp.Response) []byte {
	header := resp.Header.Header() // made again: the buffer does not show its own
	if conn == nil || len(header) != bw.Buffered() {
		return nil
	}
	bw.Reset(conn)
	return header
}

// rawConn returns the way to c's descriptor, and nil where bytes must go through c
// itself, as with TLS.
func rawConn(c net.Conn) syscall.RawConn {
	sc, ok := c.(syscall.Conn)
	if !ok || !canSendRaw {
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}

// extend gives the client of a large body until SendTimeout from now to take more of
// it. A deadline for the whole body would cut off who is slow and honest.
func (h *Handler) extend(c net.Conn) {
	if h.opts.SendTimeout > 0 && c != nil {
		c.SetWriteDeadline(time.Now().Add(h.opts.SendTimeout))
	}
}

// settle takes the last deadline away again, for the next response of the connection.
func (h *Handler) settle(c net.Conn) {
	if h.opts.SendTimeout > 0 && c != nil {
		c.SetWriteDeadline(time.Time{})
	}
}

// copy sends header and file by way of memory: over TLS, and where the kernel cannot
// do better.
func (b *fileBody) copy(w io.Writer, header []byte) (sent int64, err error) {
	buf := b.h.buffer()
	defer b.h.buffers.Put(buf)
	have := copy(buf[:], header)
	for head := have; b.left > 0; head, have = 0, 0 {
		n, err := b.Read(buf[have:])
		if err != nil {
			return sent, err
		}
		b.h.extend(b.conn)
		m, err := w.Write(buf[:have+n])
		sent += int64(max(0, m-head))
		if err != nil {
			return sent, err
		}
	}
	return sent, nil
}

// copyBuffer is the size of one write by way of memory. TLS gains up to 32 KiB; more
// saves system calls for the reading.
const copyBuffer = 64 << 10

func (h *Handler) buffer() *[copyBuffer]byte { return h.buffers.Get().(*[copyBuffer]byte) }

// Read reads on. Before it gives out the last bytes it makes sure that the file is
// still the one that the response's fields describe.
func (b *fileBody) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	n, err := b.file.readAt(p[:min(int64(len(p)), b.left)], b.off)
	if err != nil {
		return 0, err
	}
	if n == 0 {
		return 0, errChanged
	}
	b.off += int64(n)
	if b.left -= int64(n); b.left == 0 {
		if err := b.unchanged(); err != nil {
			return 0, err
		}
	}
	return n, nil
}

// unchanged returns errChanged if the file is no longer the version it was.
func (b *fileBody) unchanged() error { return unchanged(b.file, b.version) }

func unchanged(f *file, v version) error {
	now, err := f.stat()
	if err != nil {
		return err
	}
	// An unlinked file has a new ctime, and the bytes it had.
	if now.size != v.size || now.mtime != v.mtime {
		return errChanged
	}
	return nil
}

// readExactly fills p from off, from the version v of the file and no other.
func readExactly(f *file, v version, p []byte, off int64) error {
	for done := 0; done < len(p); {
		n, err := f.readAt(p[done:], off+int64(done))
		if err != nil {
			return err
		}
		if n == 0 {
			return fmt.Errorf("%w: %d bytes at %d, want %d", errChanged, done, off, len(p))
		}
		done += n
	}
	return unchanged(f, v)
}

// maxBuffered is the size of a body that fits fasthttp's write buffer together with
// its header, so that fasthttp itself sends both in one write.
const maxBuffered = 3 << 10

// setBytes makes b the body. b is only read, and held until the response is written.
func (h *Handler) setBytes(ctx *fasthttp.RequestCtx, b []byte) {
	if len(b) <= maxBuffered {
		ctx.Response.SetBodyRaw(b)
		return
	}
	m := h.blocks.Get().(*memoryBody)
	m.h, m.resp, m.conn, m.b = h, &ctx.Response, ctx.Conn(), b
	ctx.Response.SetBodyStream(m, len(b))
}

// memoryBody sends header and body in one system call. fasthttp would copy what fits
// into its buffer, and send the rest in a second call.
type memoryBody struct {
	h    *Handler
	resp *fasthttp.Response
	conn net.Conn
	b    []byte
	sent *int64
	out  vector
}

// Close is called by fasthttp when the response is written or given up.
func (m *memoryBody) Close() error {
	if m.h == nil {
		return nil
	}
	h := m.h
	m.h, m.resp, m.conn, m.b, m.sent = nil, nil, nil, nil, nil
	m.out.reset()
	h.blocks.Put(m)
	return nil
}

// Read serves whoever does not know WriteTo.
func (m *memoryBody) Read(p []byte) (int, error) {
	n := copy(p, m.b)
	if m.b = m.b[n:]; n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// CountInto has the bytes that are sent added to n, for the access log.
func (m *memoryBody) CountInto(n *int64) { m.sent = n }

// WriteTo sends the body. w is fasthttp's writer, whose buffer holds the header.
func (m *memoryBody) WriteTo(w io.Writer) (sent int64, err error) {
	if m.sent != nil {
		defer func() { *m.sent += sent }()
	}
	bw, ok := w.(*bufio.Writer)
	if ok && len(m.b) > bw.Available() {
		if header := takeHeader(bw, m.conn, m.resp); header != nil {
			if raw := rawConn(m.conn); raw != nil {
				return m.out.send(raw, header, m.b)
			}
			return m.join(header)
		}
	}
	n, err := w.Write(m.b)
	return int64(n), err
}

// join sends header and body over TLS: the first write has both, so that the records
// are as large as they can be.
func (m *memoryBody) join(header []byte) (sent int64, err error) {
	buf := m.h.buffer()
	defer m.h.buffers.Put(buf)
	head := copy(buf[:], header)
	first := copy(buf[head:], m.b)
	if first < len(m.b) {
		// A whole number of records: what is copied is not sent in two.
		first = min(first, max(0, maxRecord-head))
	}
	n, err := m.conn.Write(buf[:head+first])
	sent = int64(max(0, n-head))
	if err != nil || first == len(m.b) {
		return sent, err
	}
	n, err = m.conn.Write(m.b[first:])
	return sent + int64(n), err
}

// maxRecord is the most that one TLS record carries (RFC 8446 section 5.1).
const maxRecord = 16 << 10
