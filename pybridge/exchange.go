package pybridge

import (
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"

	"github.com/valyala/fasthttp"
)

// The number of a request: its index in Worker.table, and above it a count of
// how often the exchange has been used, so that a late frame meets nobody.
const (
	exchangeIndex      = 1<<12 - 1
	exchangeGeneration = 1 << 12
)

// keepBuffer is the largest body buffer that an exchange keeps for its next
// request.
const keepBuffer = 128 << 10

// exchange is one request in flight, seen from the server process. Two hold
// it: the reader of the worker's frames until flagEnd, and the handler until
// the response has been sent; the look at deadlines does for a moment. The last
// to let go recycles it.
type exchange struct {
	worker  *Worker
	id      uint32
	ready   chan struct{} // says that something below has changed
	fields  fieldList     // scratch space of the handler
	free    func()
	conn    net.Conn     // the client's
	request []byte       // method and target, for the log
	input   *feed        // its body, if that arrives while the application reads it; the handler's
	since   atomic.Int64 // when the worker process last sent something: time since epoch

	interrupted bool // the request timeout is over; guarded by worker.mu
	refs        atomic.Int32

	mu       sync.Mutex // guards what follows
	head     []byte     // status and fields as frames.py sends them
	hasHead  bool
	body     backlog // bytes that have come and have not been taken
	file     *os.File
	filePos  int64
	fileLen  int64
	last     bool  // no byte of the body follows
	failure  error // why the response will not be completed
	gone     bool  // nobody takes bytes any more
	bodyLost bool  // the application could not read the body of the request to its end

	givenBack bool // its thread is not free: it never had one; the reader's own
}

func newExchange(w *Worker) *exchange {
	return &exchange{worker: w, ready: make(chan struct{}, 1), body: backlog{count: w.opts.Backlogs}}
}

func (x *exchange) index() int { return int(x.id & exchangeIndex) }

// describe copies what the log says of the request, should anything go wrong.
func (x *exchange) describe(ctx *fasthttp.RequestCtx) {
	x.conn = ctx.Conn()
	x.request = append(append(x.request[:0], ctx.Method()...), ' ')
	x.request = append(x.request, ctx.RequestURI()...)
}

// reset makes x ready for another request.
func (x *exchange) reset(free func()) {
	select {
	case <-x.ready:
	default:
	}
	x.free = free
	x.refs.Store(2)
	x.interrupted = false
	x.hasHead, x.last, x.gone, x.failure, x.givenBack = false, false, false, nil, false
	x.bodyLost = false
	x.head = x.head[:0]
	x.body.reset(x.worker.opts.ResponseBuffer)
	x.body.limit = int64(x.worker.window)
	x.file, x.filePos, x.fileLen = nil, 0, 0
}

func shrink(buf []byte) []byte {
	if cap(buf) > keepBuffer {
		return nil
	}
	return buf[:0]
}

// signal wakes the handler, if it waits.
func (x *exchange) signal() {
	select {
	case x.ready <- struct{}{}:
	default:
	}
}

// fail notes why the response will not be completed, and wakes the handler.
func (x *exchange) fail(err error) {
	x.mu.Lock()
	if x.failure == nil && !x.last {
		x.failure = err
	}
	x.mu.Unlock()
	x.signal()
}

// end is called once the worker process has no more to do with the request.
func (x *exchange) end() {
	x.free()
	x.release()
}

// release gives up one of the holds on x.
func (x *exchange) release() {
	if x.refs.Add(-1) == 0 {
		closeFile(x.file)
		x.file = nil
		x.body.reset(0)
		x.worker.recycle(x)
	}
}

// receive takes in a frame from the worker process. The error is a fault of
// the worker process, which has to go.
func (x *exchange) receive(h frameHeader, payload []byte, file *os.File) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := x.takeIn(h, payload, file); err != nil {
		return err
	}
	if h.flags&flagEnd != 0 && !x.last && x.failure == nil {
		// Nobody would ever wake the handler that waits for the rest.
		return fmt.Errorf("%w: a request ended before its response did", errFrame)
	}
	return nil
}

// takeIn sorts a frame by its kind. x.mu must be held.
func (x *exchange) takeIn(h frameHeader, payload []byte, file *os.File) error {
	switch h.kind {
	case frameResponse:
		if x.hasHead {
			return fmt.Errorf("%w: second response to one request", errFrame)
		}
		x.head = append(x.head, payload[:h.head]...)
		x.hasHead = true
		return x.take(payload[h.head:], h.flags)
	case frameBody:
		return x.take(payload, h.flags)
	case frameFile:
		return x.takeFile(payload, file)
	case frameGiveBack:
		if x.hasHead || h.flags&flagEnd == 0 {
			return fmt.Errorf("%w: a request that has begun was given back", errFrame)
		}
		x.failure, x.givenBack = ErrGivenBack, true
		return nil
	case frameError:
		if x.failure == nil && !x.last {
			x.failure = ErrApplication
		}
		return nil
	}
	return fmt.Errorf("%w: kind %d", errFrame, h.kind)
}

// take appends bytes of the body. x.mu must be held.
func (x *exchange) take(body []byte, flags uint8) error {
	if !x.hasHead && !(len(body) == 0 && flags&flagEnd != 0) {
		return fmt.Errorf("%w: body before its response", errFrame)
	}
	if !x.hasHead {
		// The application gave up because nobody was there to read.
		x.failure = ErrApplication
		return nil
	}
	if !x.gone {
		if held := x.body.size() + int64(len(body)); held > int64(x.worker.window) {
			return fmt.Errorf("%w: %d bytes of response body held, window is %d", errFrame, held, x.worker.window)
		}
		if err := x.body.add(body); err != nil {
			x.failure = err // a hole in the body would be worse
			x.gone = true
		}
	}
	if flags&flagLast != 0 && x.failure == nil {
		x.last = true
	}
	return nil
}

// takeFile keeps a file whose bytes are the rest of the body. x.mu must be held.
func (x *exchange) takeFile(payload []byte, file *os.File) error {
	if file == nil || len(payload) != 16 || !x.hasHead || x.file != nil {
		closeFile(file)
		return fmt.Errorf("%w: file without a descriptor, a range or a response", errFrame)
	}
	x.filePos, x.fileLen = decodeRange(payload)
	x.file = file
	x.last = true
	return nil
}
