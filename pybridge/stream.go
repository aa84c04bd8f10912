package pybridge

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"runtime/debug"
	"strconv"

	"github.com/valyala/fasthttp"
)

// stream is the body of a response that is sent as it comes. It implements
// fasthttp.BodyWriterTo, so that each block of the application leaves when
// there is nothing more to join it with, and a file leaves by sendfile.
type stream struct {
	x     *exchange
	conn  net.Conn // set when the end of the connection ends the body
	taken int      // bytes taken since the worker process was last told
	done  bool     // everything has been sent
	count *int64   // what CountInto was given, or nil
	left  []byte
}

// SupportsBodyWriteTo implements fasthttp.BodyWriterTo.
func (s *stream) SupportsBodyWriteTo() bool { return true }

// CountInto makes s add to *sent what it has passed on, for the access log.
func (s *stream) CountInto(sent *int64) { s.count = sent }

func (s *stream) passed(n int64) {
	if s.count != nil {
		*s.count += n
	}
}

// WriteTo sends the body to w until it ends. An error means that the response
// is cut: the connection must not be used again.
func (s *stream) WriteTo(w io.Writer) (sent int64, err error) {
	flusher, _ := w.(interface{ Flush() error })
	for {
		block, file, err := s.next(flusher)
		if err != nil {
			if errors.Is(err, io.EOF) {
				s.done = true
				return sent, nil
			}
			return sent, s.cut(err)
		}
		if file != nil {
			n, err := s.sendFile(w, file)
			s.passed(n)
			return sent + n, err
		}
		n, err := w.Write(block)
		sent += int64(n)
		s.passed(int64(n))
		if err != nil {
			return sent, err
		}
		s.acknowledge(len(block))
	}
}

// next waits for bytes of the body and takes them, or for the file that is the
// rest of it. Before it waits it flushes what has been written (PEP 3333,
// Buffering and Streaming). At the end it returns io.EOF.
func (s *stream) next(flusher interface{ Flush() error }) (block []byte, file *os.File, err error) {
	x := s.x
	for waited := false; ; waited = true {
		x.mu.Lock()
		switch {
		case x.body.size() > 0:
			block, err = x.body.take()
		case x.failure != nil:
			err = x.failure
		case x.file != nil:
			file = x.file
		case x.last:
			err = io.EOF
		}
		x.mu.Unlock()
		if block != nil || file != nil || err != nil {
			return block, file, err
		}
		if !waited && flusher != nil {
			if err := flusher.Flush(); err != nil {
				return nil, nil, err
			}
		}
		<-x.ready
	}
}

// acknowledgeEvery is how many bytes the worker process is told of at once: a
// quarter of the smallest window, so that it never waits for bytes that have
// been taken.
const acknowledgeEvery = minResponseBuffer / 4

// acknowledge tells the worker process how much of the body has been taken,
// now and then, so that it goes on sending.
func (s *stream) acknowledge(n int) {
	s.taken += n
	if s.taken < acknowledgeEvery {
		return
	}
	s.x.mu.Lock()
	finished := s.x.last || s.x.failure != nil
	s.x.mu.Unlock()
	if !finished {
		s.x.worker.post(frameHeader{request: s.x.id, kind: frameWindow}, binary.LittleEndian.AppendUint32(nil, uint32(s.taken)))
	}
	s.taken = 0
}

// sendFile sends the part of file that the application asked for. The
// descriptor shares its offset with the application's, so the file is opened
// anew; where that cannot be, it is read at explicit offsets.
func (s *stream) sendFile(w io.Writer, file *os.File) (int64, error) {
	source := io.Reader(io.NewSectionReader(file, s.x.filePos, s.x.fileLen))
	if again, err := os.Open("/proc/self/fd/" + strconv.Itoa(int(file.Fd()))); err == nil {
		defer closeFile(again)
		if _, err := again.Seek(s.x.filePos, io.SeekStart); err == nil {
			source = io.LimitReader(again, s.x.fileLen)
		}
	}
	if flusher, ok := w.(interface{ Flush() error }); ok {
		// bufio.Writer hands a file to the connection, and so to sendfile,
		// only when it holds nothing itself.
		if err := flusher.Flush(); err != nil {
			return 0, err
		}
	}
	n, err := io.Copy(w, source)
	if err == nil && n < s.x.fileLen {
		err = s.cut(io.ErrUnexpectedEOF) // the file became shorter
	}
	if err == nil {
		s.done = true
	}
	return n, err
}

// cut makes sure that the client sees that the response is not complete. A body
// with a length, or in chunks, lacks its end when the connection is closed. Where
// the end of the connection ends the body, as in HTTP/1.0, it has to be an abrupt
// one, which may cost the client what it has not read yet.
//
// Below TLS, the alert that ends a connection politely must not come either: a conn
// with a method Abort takes care of that.
func (s *stream) cut(err error) error {
	switch conn := s.conn.(type) {
	case interface{ Abort() }:
		conn.Abort()
	case interface{ SetLinger(sec int) error }:
		_ = conn.SetLinger(0) // at worst the connection ends politely
	}
	s.x.worker.opts.Logger.Warn("response cut short", "worker", s.x.worker.PID(), "request", string(s.x.request), "error", err)
	return err
}

// Read implements io.Reader, for callers that do not use WriteTo.
func (s *stream) Read(p []byte) (int, error) {
	if len(s.left) == 0 {
		block, file, err := s.next(nil)
		if err != nil {
			s.done = errors.Is(err, io.EOF)
			return 0, err
		}
		if file != nil {
			return s.readFile(p, file)
		}
		s.acknowledge(len(block))
		s.left = block
	}
	n := copy(p, s.left)
	s.left = s.left[n:]
	return n, nil
}

func (s *stream) readFile(p []byte, file *os.File) (int, error) {
	if s.x.fileLen == 0 {
		s.done = true
		return 0, io.EOF
	}
	n, err := file.ReadAt(p[:min(int64(len(p)), s.x.fileLen)], s.x.filePos)
	s.x.filePos += int64(n)
	s.x.fileLen -= int64(n)
	if err == nil || s.x.fileLen == 0 {
		return n, nil
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF // the file became shorter
	}
	return n, s.cut(err)
}

// Close ends the stream. When the body has not been sent whole, the
// application is told to stop.
func (s *stream) Close() error {
	x := s.x
	if x == nil {
		return nil
	}
	s.x = nil
	x.mu.Lock()
	x.gone = true
	x.body.reset(0)
	finished := x.last || x.failure != nil
	x.mu.Unlock()
	x.stopInput()
	if !s.done && !finished {
		x.worker.post(frameHeader{request: x.id, kind: frameCancel}, nil)
	}
	x.release()
	return nil
}

// untilClose sends the response itself, with a body that ends when the
// connection does. fasthttp takes the deadlines off a connection that it lets go;
// one with a method KeepTime is asked to bound its writes all the same.
func (s *stream) untilClose(ctx *fasthttp.RequestCtx) {
	ctx.Response.Header.SetContentLength(-2) // identity: fasthttp adds Connection: close
	ctx.Response.Header.SetConnectionClose()
	head := append([]byte(nil), ctx.Response.Header.Header()...)
	ctx.Response.SetBodyStream(s, -1) // for the access log, which counts what a stream has passed on
	ctx.HijackSetNoResponse(true)
	ctx.Hijack(func(conn net.Conn) {
		defer s.Close()
		defer s.survive()
		s.conn = conn
		if unwrapped, ok := conn.(interface{ UnsafeConn() net.Conn }); ok {
			s.conn = unwrapped.UnsafeConn()
		}
		if keeper, ok := s.conn.(interface{ KeepTime() }); ok {
			keeper.KeepTime()
		}
		if _, err := conn.Write(head); err != nil {
			return
		}
		_, _ = s.WriteTo(conn) // cut has made a failure visible
	})
}

// survive is deferred where a panic would end the server process, since the goroutine is
// fasthttp's and it recovers nothing: the response is cut instead.
func (s *stream) survive() {
	cause := recover()
	if cause == nil {
		return
	}
	s.x.worker.opts.Logger.Error("panic while sending a response", "panic", cause, "request", string(s.x.request), "stack", string(debug.Stack()))
	_ = s.cut(errPanic)
}

// errPanic stands for a panic that was caught; the log has it.
var errPanic = errors.New("pybridge: panic, which is a bug")
