package static

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
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

// fileBody is the body of a response that comes from an open file, for fasthttp to
// write. It reads at its own offset: others may send the same file.
type fileBody struct {
	h       *Handler
	file    *file
	version version
	conn    net.Conn
	resp    *fasthttp.Response
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
	b.h, b.file, b.conn, b.resp = nil, nil, nil, nil
	b.out.reset()
	h.bodies.Put(b)
	return nil
}

// WriteTo sends the body. w is fasthttp's writer, whose buffer holds the header.
func (b *fileBody) WriteTo(w io.Writer) (int64, error) {
	defer b.h.settle(b.conn)
	if bw, ok := w.(*bufio.Writer); ok {
		if tcp, ok := b.conn.(*net.TCPConn); ok {
			return b.sendfile(bw, tcp, b.resp)
		}
	}
	return b.copy(w)
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

// copy sends by way of memory: over TLS, and where the kernel cannot do better.
func (b *fileBody) copy(w io.Writer) (sent int64, err error) {
	buf := make([]byte, min(b.left, copyBuffer(b.conn)))
	for b.left > 0 {
		n, err := b.Read(buf)
		if err != nil {
			return sent, err
		}
		b.h.extend(b.conn)
		m, err := w.Write(buf[:n])
		sent += int64(m)
		if err != nil {
			return sent, err
		}
	}
	return sent, nil
}

// copyBuffer is the size of one write. TLS gains up to 32 KiB and then no more.
func copyBuffer(c net.Conn) int64 {
	if _, ok := c.(*tls.Conn); ok {
		return 64 << 10
	}
	return 128 << 10
}

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
	h     *Handler
	resp  *fasthttp.Response
	conn  net.Conn
	b     []byte
	parts [2][]byte
	vec   net.Buffers
}

// Close is called by fasthttp when the response is written or given up.
func (m *memoryBody) Close() error {
	if m.h == nil {
		return nil
	}
	h := m.h
	*m = memoryBody{}
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

// WriteTo sends the body. w is fasthttp's writer, whose buffer holds the header.
func (m *memoryBody) WriteTo(w io.Writer) (int64, error) {
	bw, ok := w.(*bufio.Writer)
	if !ok || len(m.b) <= bw.Available() {
		n, err := w.Write(m.b)
		return int64(n), err
	}
	tcp, ok := m.conn.(*net.TCPConn)
	// The header that is in the buffer is written again, elsewhere. Were there more
	// in the buffer, the answer to an earlier request of a pipeline, it would be lost.
	if header := m.resp.Header.Header(); ok && len(header) == bw.Buffered() {
		bw.Reset(tcp)
		m.parts = [2][]byte{header, m.b}
		m.vec = m.parts[:]
		n, err := m.vec.WriteTo(tcp)
		return max(0, n-int64(len(header))), err
	}
	n, err := w.Write(m.b)
	return int64(n), err
}
