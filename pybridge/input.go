package pybridge

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// Input is the body of a request that the application reads as it arrives. An error of
// Read, other than io.EOF, reaches the application as an OSError, whose number is the
// syscall.Errno that the error wraps, and Serve returns it unless the response has begun.
type Input interface {
	io.Reader
	// Interrupt ends a Read that waits for the client, and each one after it. It may
	// be called from any goroutine, and after the last Read.
	Interrupt()
}

// The way of a body that arrives while the application reads it (worker/bodies.py): a
// socket pair of its own, whose other end goes to the worker process with the request. So
// a body never stands in the way of other requests' frames, and the kernel keeps the
// window: when the application does not read, inputWindow bytes and one piece wait
// here, and the rest with the client.
//
//	to us      one byte: the application has begun to read. Before, the client is not read.
//	from us    pieces: uint32, little endian, and as many bytes; 0 is the end; with
//	           inputFailure the number of an error
//
// If the socket ends in any other way, the application's read fails.
const (
	inputFailure = 1 << 31
	inputPiece   = 64 << 10
	inputWindow  = 128 << 10
)

// MaxInput is what one body that arrives takes in bytes, when the application does not read
// it: what the kernel makes of inputWindow, and a piece.
const MaxInput = 2*inputWindow + inputPiece

// feed is the body of one request on its way. A nil feed has none.
type feed struct {
	body     Input
	ours     *net.UnixConn
	theirs   *os.File
	reading  atomic.Bool // the application has asked for body, which has been read since
	stopping atomic.Bool
	done     chan struct{} // closed when body is not read any more
}

// openInput returns the way for the body of r, nil if that has no Input. Its other end
// is put in the place of r.File, for send.
func openInput(r *Request) (*feed, error) {
	if r.Input == nil {
		return nil, nil
	}
	ours, theirs, err := socketPair("request body")
	if err != nil {
		return nil, err
	}
	_ = ours.SetWriteBuffer(inputWindow) // at worst it is what the system has for all
	r.File = theirs
	return &feed{body: r.Input, ours: ours, theirs: theirs, done: make(chan struct{})}, nil
}

// sent is called when the request has been handed over, or could not be: x is nil then.
func (in *feed) sent(x *exchange) {
	if in == nil {
		return
	}
	closeFile(in.theirs)
	if x == nil {
		closeConn(in.ours)
		return
	}
	x.input = in
	go in.run(x)
}

// stop ends it, and returns when body is not read any more. If it is still being read and
// the client has left, the application misses the rest by no fault of its own.
func (in *feed) stop(x *exchange) {
	if in == nil {
		return
	}
	select {
	case <-in.done:
		return
	default:
	}
	x.mu.Lock()
	x.bodyLost = x.bodyLost || x.gone // before the application can know
	givenBack := x.givenBack
	x.mu.Unlock()
	in.stopping.Store(true)
	// A request that is given back goes to another worker process, with its body whole.
	if !givenBack || in.reading.Load() {
		in.body.Interrupt()
	}
	closeConn(in.ours)
	<-in.done
}

var pieces = sync.Pool{New: func() any { return new([4 + inputPiece + 4]byte) }}

// run passes the body on.
func (in *feed) run(x *exchange) {
	defer close(in.done)
	defer closeConn(in.ours)
	defer in.survive(x)
	x.worker.opts.Backlogs.addInput(1)
	defer x.worker.opts.Backlogs.addInput(-1)
	var asked [1]byte
	if _, err := io.ReadFull(in.ours, asked[:]); err != nil {
		return // the application does not read it
	}
	if in.reading.Store(true); in.stopping.Load() {
		return // one of the two sees the other
	}
	piece := pieces.Get().(*[4 + inputPiece + 4]byte)
	defer pieces.Put(piece)
	for {
		n, err := in.body.Read(piece[4 : 4+inputPiece])
		frame := binary.LittleEndian.AppendUint32(piece[:0], uint32(n))[:4+n]
		switch {
		case n == 0:
			frame = frame[:0]
		case in.stopping.Load():
			return
		}
		if err != nil && !errors.Is(err, io.EOF) {
			in.fail(x, frame, err)
			return
		}
		if err != nil {
			frame = binary.LittleEndian.AppendUint32(frame, 0)
		}
		if _, writeErr := in.ours.Write(frame); writeErr != nil || err != nil {
			return // the application has closed it; or this is the end
		}
	}
}

// survive ends the request after a panic of body.Read, which would end the server process.
func (in *feed) survive(x *exchange) {
	cause := recover()
	if cause == nil {
		return
	}
	x.worker.opts.Logger.Error("panic while reading the body of a request", "panic", cause, "request", string(x.request), "stack", string(debug.Stack()))
	in.fail(x, nil, errPanic)
}

// fail tells the application why the body does not come, behind frame, and ends the
// request if the response has not begun.
func (in *feed) fail(x *exchange, frame []byte, err error) {
	if in.stopping.Load() {
		return
	}
	// The verdict first: the application may answer as soon as it knows.
	ended := x.loseBody(err)
	number := syscall.EIO
	_ = errors.As(err, &number)
	frame = binary.LittleEndian.AppendUint32(frame, inputFailure|uint32(number))
	// Only if there is room: the application may be busy, and the client is not to
	// wait for it. Without this the application finds that the socket has ended.
	if raw, rawErr := in.ours.SyscallConn(); rawErr == nil {
		_ = raw.Write(func(fd uintptr) bool {
			_ = unix.Sendto(int(fd), frame, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, nil)
			return true
		})
	}
	if ended {
		x.signal()
		x.worker.post(frameHeader{request: x.id, kind: frameCancel}, nil)
	}
}

// loseBody notes that the body of the request cannot be had, which ends the request. It
// does not when the response has begun: that is the application's affair, whose read fails.
func (x *exchange) loseBody(err error) (ended bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.bodyLost = true
	if x.hasHead || x.failure != nil {
		return false
	}
	x.failure, x.gone = err, true
	return true
}

// lostBody reports whether the body of the request could not be had whole.
func (x *exchange) lostBody() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.bodyLost
}

// letGo gives up the handler's hold on x.
func (x *exchange) letGo() {
	x.stopInput()
	x.release()
}

// stopInput ends the reading of the request's body. The handler calls it before it gives
// up its hold on x.
func (x *exchange) stopInput() {
	x.input.stop(x)
	x.input = nil
}

func closeConn(c *net.UnixConn) { _ = c.Close() } // twice, perhaps; nothing is lost by it
