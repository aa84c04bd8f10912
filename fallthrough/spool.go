package fallthru

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"

	"github.com/valyala/fasthttp"
)

// memoryBody is the largest request body that is kept in memory.
const memoryBody = 64 << 10

// firstBuffer is the memory for the first bytes of a body; it grows with what comes.
const firstBuffer = 4 << 10

// body is a request body that has been received whole, so that a slow client
// never holds a thread of the application.
type body struct {
	bytes  []byte // the body while it fits in memory; not more than memoryBody
	buffer []byte // bytes lies in it; kept for the next request
	file   *os.File
	size   int64
	exists bool // the request has a body, empty or not
	spool  *spoolCount
	stored int64 // bytes in file
	held   int   // bytes of memory that spool counts
}

var bodies = sync.Pool{New: func() any { return new(body) }}

// receive reads the body of the request from stream, nil for none, limit bytes at most.
func (b *body) receive(ctx *fasthttp.RequestCtx, stream io.Reader, limit int64) error {
	length := ctx.Request.Header.ContentLength()
	if int64(length) > limit {
		return fmt.Errorf("%w: Content-Length %d, limit %d", ErrBodyTooLarge, length, limit)
	}
	if stream == nil {
		b.exists = length == 0 && len(ctx.Request.Header.Peek(fasthttp.HeaderContentLength)) > 0
		return nil
	}
	b.exists = true
	if err := b.read(stream, length, limit); err != nil {
		return err
	}
	if length >= 0 && b.size != int64(length) {
		return fmt.Errorf("%w: got %d bytes, Content-Length is %d", ErrBodyBroken, b.size, length)
	}
	return nil
}

// read reads stream to its end. length is a hint, or negative.
func (b *body) read(stream io.Reader, length int, limit int64) error {
	want := firstBuffer
	if length >= 0 {
		// One byte more than announced, so that the end is seen without growing the
		// buffer. But what a slow client announced costs nothing before it comes.
		want = min(length+1, firstBuffer)
	}
	if cap(b.buffer) < want {
		b.buffer = make([]byte, want)
	}
	buf := b.buffer[:cap(b.buffer)]
	b.hold(len(buf))
	n := 0
	for {
		m, err := stream.Read(buf[n:])
		n += m
		b.size += int64(m)
		if b.size > limit {
			return fmt.Errorf("%w: more than %d bytes", ErrBodyTooLarge, limit)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return bodyError(err)
		}
		if n < len(buf) {
			continue
		}
		if n > memoryBody {
			if n, err = 0, b.spill(buf); err != nil {
				return err
			}
			continue
		}
		buf = append(make([]byte, 0, min(2*n, memoryBody+1)), buf...)
		buf = buf[:cap(buf)]
		b.buffer = buf
		b.hold(len(buf))
	}
	if b.file == nil && n <= memoryBody {
		b.bytes = buf[:n]
		return nil
	}
	if err := b.spill(buf[:n]); err != nil {
		return err
	}
	if _, err := b.file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("%w: %w", ErrSpool, err)
	}
	return nil
}

// spill writes to the temporary file, which has no name, so that nothing is
// left behind whatever happens.
func (b *body) spill(data []byte) error {
	if b.file == nil {
		file, err := os.CreateTemp("", "overlay-body-*")
		if err != nil {
			return fmt.Errorf("%w: %w", ErrSpool, err)
		}
		b.file = file
		b.spool.add(1, 0)
		if err := os.Remove(file.Name()); err != nil {
			return fmt.Errorf("%w: %w", ErrSpool, err)
		}
	}
	n, err := b.file.Write(data)
	b.stored += int64(n)
	b.spool.add(0, int64(n))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSpool, err)
	}
	return nil
}

// hold notes how much memory the body takes.
func (b *body) hold(n int) {
	b.spool.addMemory(n - b.held)
	b.held = n
}

// release frees what b holds and keeps its buffer for another request.
func (b *body) release() {
	if b.file != nil {
		_ = b.file.Close() // it has no name, and nobody reads it any more
		b.spool.add(-1, -b.stored)
	}
	b.hold(0)
	*b = body{buffer: b.buffer}
	bodies.Put(b)
}

// bodyError tells a client that is too slow from one that breaks the framing
// or has gone.
func bodyError(err error) error {
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return fmt.Errorf("%w: %w", ErrBodyTimeout, err)
	}
	return fmt.Errorf("%w: %w", ErrBodyBroken, err)
}
