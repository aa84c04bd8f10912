package pybridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// Errors of Serve, for callers that branch.
var (
	// ErrNotSent: the worker process was gone before the request was handed
	// over, so another one may have it.
	ErrNotSent = errors.New("pybridge: worker process is gone, request not handed over")
	// ErrGivenBack: the worker process had not begun the request, because its
	// threads were busy, and handed it back. Another one may have it. free is
	// not called then.
	ErrGivenBack = errors.New("pybridge: request given back by a busy worker process")
	// ErrGone: the worker process ended while it had the request.
	ErrGone = errors.New("pybridge: worker process ended during the request")
	// ErrApplication: the application failed before it answered. The reason is
	// in the log.
	ErrApplication = errors.New("pybridge: application failed")
)

// LoadError is the error of Start when the application could not be loaded.
type LoadError struct {
	Text string // the traceback, or what is wrong in words
}

func (e *LoadError) Error() string { return "load the application: " + e.Text }

// Worker is one worker process: the user's interpreter running the worker
// program. It is safe for use by several goroutines.
type Worker struct {
	opts    Options
	process *process
	control *net.UnixConn
	data    *net.UnixConn
	about   Interpreter
	window  int
	steer   func(frameHeader) // takes what would be sent, in embedded mode: there are no sockets

	kick    chan struct{} // says that out is not empty
	leaving chan string
	files   chan []string          // answers to frameAskFiles
	done    chan struct{}          // closed when the process is gone and every request has been told
	stopped atomic.Bool            // Stop was called
	reason  atomic.Pointer[string] // why the process is stopped, for its exit handlers; nil for no reason of ours

	mu     sync.Mutex // guards what follows
	out    outgoing
	table  []*exchange // request number to request in flight; the low bits are the index
	idle   []*exchange // those that can be used again
	closed bool
	held   int // requests in flight

	generation uint32 // the upper bits of the last request's number

	deadlines deadlines
	lastBeat  atomic.Int64 // when Python last showed that it runs: time since epoch
}

// Start starts a worker process and waits until it has loaded the application.
// ctx bounds the wait. The error is a *LoadError when the application is at
// fault; the process has ended then, as it has after any error.
func Start(ctx context.Context, opts Options) (*Worker, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	w := &Worker{
		opts:    opts,
		window:  opts.window(),
		kick:    make(chan struct{}, 1),
		leaving: make(chan string, 1),
		files:   make(chan []string, 1),
		done:    make(chan struct{}),
	}
	w.process, w.control, w.data, err = spawn(opts)
	if err != nil {
		return nil, fmt.Errorf("start worker process %s: %w", opts.Python, err)
	}
	ready := make(chan error, 1)
	readers := make(chan struct{})
	controlRead := make(chan struct{})
	go func() {
		defer close(controlRead)
		w.readControl(ready)
	}()
	go func() {
		defer close(readers)
		w.readData()
	}()
	go w.writeData()
	go w.reap(readers, controlRead)

	select {
	case err = <-ready:
	case <-w.process.ended:
		// What it said before it ended is more than its exit status.
		<-w.done
		select {
		case err = <-ready:
		default:
			err = fmt.Errorf("worker process %d ended before it was ready: %s", w.PID(), w.process.state())
		}
	case <-ctx.Done():
		err = fmt.Errorf("worker process %d is not ready: %w", w.PID(), context.Cause(ctx))
	}
	if err != nil {
		w.stopped.Store(true) // its end is no news
		if ctx.Err() != nil {
			w.abort(err.Error()) // the log then tells where the application hangs
		}
		w.process.kill()
		<-w.done
		return nil, err
	}
	go w.watchHeartbeat()
	return w, nil
}

// PID returns the process identifier of the worker process.
func (w *Worker) PID() int { return w.process.pid }

// Interpreter returns what the worker process said of its Python.
func (w *Worker) Interpreter() Interpreter { return w.about }

// Done is closed when the worker process is gone and each request that it held
// has got its error.
func (w *Worker) Done() <-chan struct{} { return w.done }

// Leaving receives the reason when the worker process asks to be replaced,
// because a signal told it to go, say.
func (w *Worker) Leaving() <-chan string { return w.leaving }

// State describes how the process ended, for the log; "" while it lives.
func (w *Worker) State() string { return w.process.state() }

// SetStopReason says why Stop will be called, one of the words of overlay's event
// process_stopping (docs/python-api.md). The first call counts.
func (w *Worker) SetStopReason(reason string) { w.reason.CompareAndSwap(nil, &reason) }

// orderStop sends the order to leave, with its reason. A failed write means that
// the process is going.
func (w *Worker) orderStop() {
	reason := ""
	if p := w.reason.Load(); p != nil {
		reason = *p
	}
	frame := appendFrameHeader(nil, frameHeader{kind: frameStop, length: len(reason)})
	_, _ = w.control.Write(append(frame, reason...))
}

// Stop tells the worker process to run its exit handlers and end, and waits
// for that. When ctx ends first, the process is killed. Requests that it still
// holds get ErrGone.
func (w *Worker) Stop(ctx context.Context) {
	w.stopped.Store(true)
	w.orderStop()
	select {
	case <-w.done:
	case <-ctx.Done():
		w.process.kill()
		<-w.done
	}
}

// Usage returns the CPU time, user and system, that the process has used since
// its start, and its resident bytes.
func (w *Worker) Usage() (cpu time.Duration, memory int64, err error) { return w.process.usage() }

// Kill ends the worker process at once, with SIGKILL. It does not wait.
func (w *Worker) Kill() { w.process.kill() }

// readControl receives what the worker process says of itself.
func (w *Worker) readControl(ready chan<- error) {
	buf := make([]byte, 0, 4096)
	chunk := make([]byte, 4096)
	var files fileNames
	told := false // ready or failed: it comes once, and nobody waits for another
	for {
		n, err := w.control.Read(chunk)
		if err != nil {
			return
		}
		buf = append(buf, chunk[:n]...)
		for {
			h, payload, size, err := readFrame(buf)
			if err != nil {
				w.protocolError("control socket", err)
				return
			}
			if size == 0 {
				break
			}
			if h.kind == frameReady || h.kind == frameFailed {
				if told {
					w.protocolError("control socket", fmt.Errorf("%w: ready or failed a second time", errFrame))
					return
				}
				told = true
			}
			switch h.kind {
			case frameReady:
				about, err := parseInterpreter(w.opts.Python, string(payload))
				if err == nil {
					err = checkVersion(about)
				}
				w.about = about
				ready <- err
			case frameFailed:
				ready <- &LoadError{Text: string(payload)}
			case frameLeaving:
				w.leave(string(payload))
			case frameAlive:
				w.lastBeat.Store(int64(time.Since(epoch)))
			case frameFiles:
				whole, err := files.add(h, payload)
				if err != nil {
					w.protocolError("control socket", err)
					return
				}
				if whole {
					w.tellFiles(files.names)
					files = fileNames{}
				}
			case frameStack:
				w.opts.Logger.Error("the application at the request timeout", "worker", w.PID(), "traceback", string(payload))
			}
			buf = append(buf[:0], buf[size:]...)
		}
	}
}

// drainTimeout bounds how long the answers of a process that has ended are
// read. They lie in the socket buffer already; only a child that inherited the
// socket can keep it open.
const drainTimeout = time.Second

// reap waits for the end of the process and tells everybody.
func (w *Worker) reap(readers ...<-chan struct{}) {
	<-w.process.ended
	timer := time.AfterFunc(drainTimeout, func() {
		w.data.Close()
		w.control.Close()
	})
	for _, read := range readers {
		<-read // to the end: why the application was not loaded, the last answers
	}
	timer.Stop()
	w.mu.Lock()
	w.closed = true
	if w.deadlines.timer != nil {
		w.deadlines.timer.Stop()
	}
	lost := w.table
	w.table = nil
	held := w.held
	w.mu.Unlock()
	w.wakeWriter()
	w.data.Close()
	w.control.Close()
	for _, x := range lost {
		if x != nil {
			w.opts.Logger.Error("request lost with its worker process", "worker", w.PID(), "request", string(x.request))
			x.fail(ErrGone)
			x.end()
		}
	}
	level := slog.LevelWarn
	switch {
	case held > 0:
		level = slog.LevelError
	case w.stopped.Load():
		level = slog.LevelDebug // as it was asked to
	}
	w.opts.Logger.Log(context.Background(), level, "worker process ended", "worker", w.PID(), "state", w.process.state(), "requests lost", held)
	w.process.closeOutput()
	close(w.done)
}

func (w *Worker) protocolError(where string, err error) {
	if errors.Is(err, net.ErrClosed) {
		return
	}
	w.opts.Logger.Error("worker process does not keep to the protocol; it is killed", "worker", w.PID(), "on", where, "error", err)
	w.process.kill()
}

// Serve hands a request to the worker process and fills in ctx.Response when
// the answer begins. A large or unfinished body is left as a body stream, which
// sends the rest as it comes; it fails, and so the connection is cut, when the
// application or the worker process does. free is called once, when the thread
// that ran the request can take another one; that may be after Serve has
// returned, and is before that when there is an error.
//
// The bytes of r and ctx are copied before Serve waits. r.Input is read by another
// goroutine, which has ended when Serve returns or, if it leaves a body stream, when that
// is closed.
func (w *Worker) Serve(ctx *fasthttp.RequestCtx, r *Request, free func()) error {
	in, err := openInput(r)
	if err != nil {
		free()
		return fmt.Errorf("pybridge: open a way for the body: %w", err)
	}
	x, err := w.send(ctx, r, free)
	in.sent(x)
	if err != nil {
		free()
		return err
	}
	<-x.ready
	return x.respond(ctx)
}

// send puts the request into the outgoing bytes.
func (w *Worker) send(ctx *fasthttp.RequestCtx, r *Request, free func()) (*exchange, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil, ErrNotSent
	}
	x := w.acquire(free)
	x.describe(ctx)
	if err := w.out.addRequest(x, ctx, r); err != nil {
		w.table[x.index()] = nil
		w.held--
		w.idle = append(w.idle, x)
		return nil, fmt.Errorf("pybridge: pass the body's descriptor: %w", err)
	}
	w.watchDeadline(x)
	w.wakeWriter()
	return x, nil
}

// acquire returns an exchange with a number of its own. w.mu must be held.
func (w *Worker) acquire(free func()) *exchange {
	var x *exchange
	if n := len(w.idle); n > 0 {
		x = w.idle[n-1]
		w.idle = w.idle[:n-1]
	} else {
		x = newExchange(w)
	}
	index := -1
	for i, other := range w.table {
		if other == nil {
			index = i
			break
		}
	}
	if index < 0 {
		index = len(w.table)
		w.table = append(w.table, nil)
	}
	// Counted for all of them together: the exchange that had this index before
	// may still be sending its body, and post a frame about it.
	w.generation += exchangeGeneration
	x.id = w.generation | uint32(index)
	x.reset(free)
	w.table[index] = x
	w.held++
	return x
}

// lookup returns the request in flight with this number, or nil.
func (w *Worker) lookup(id uint32) *exchange {
	index := int(id & exchangeIndex)
	w.mu.Lock()
	defer w.mu.Unlock()
	if index >= len(w.table) || w.table[index] == nil || w.table[index].id != id {
		return nil
	}
	return w.table[index]
}

// forget takes the request out of those in flight. It reports false when that
// has happened before.
func (w *Worker) forget(x *exchange) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	index := x.index()
	if index >= len(w.table) || w.table[index] != x {
		return false
	}
	w.table[index] = nil
	w.held--
	return true
}

// recycle keeps x for another request.
func (w *Worker) recycle(x *exchange) {
	w.mu.Lock()
	w.idle = append(w.idle, x)
	w.mu.Unlock()
}

func (w *Worker) wakeWriter() {
	select {
	case w.kick <- struct{}{}:
	default:
	}
}

// closeFile closes f, which may be nil. A descriptor that has been passed on
// has nothing left to lose by a failed close.
func closeFile(f *os.File) {
	if f != nil {
		_ = f.Close()
	}
}
