//go:build cgo

package pybridge

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
	"golang.org/x/sys/unix"
)

// Embedded is an interpreter inside the server process, with its application.
// It is a Worker without a process: the requests in flight, their deadlines and
// the answers are kept by the same code, and what would be a frame on a socket
// is a function call.
type Embedded struct {
	core        *Worker
	interpreter *interpreter
	leaving     chan string // nothing can take its place, so nothing is ever sent

	turns turns

	mu    sync.Mutex      // guards what follows
	rooms []chan struct{} // by index of an exchange: the client has taken some of its body

	calls    []*call // those that can be used again; guarded by core.mu
	inFlight []*call // by index of an exchange; guarded by core.mu
}

// interpreter is the one CPython of this process. It lives as long as the
// process: CPython cannot be started twice in earnest.
type interpreter struct {
	python  string      // path of the program that it stands for
	orders  chan func() // run by Python's main thread, one after the other
	about   Interpreter
	owner   atomic.Pointer[Embedded] // who gets its frames, output and warnings
	output  *process                 // reads its output
	writers []*os.File               // the descriptors of sys.stdout and sys.stderr
}

// embedded guards the one interpreter of the process.
var embedded struct {
	mu          sync.Mutex
	interpreter *interpreter // nil before the first StartEmbedded
	err         error        // why it cannot be used
	taken       bool         // an Embedded has it, or is being started
}

// StartEmbedded starts CPython in this process and loads the application. ctx
// bounds the wait; an application that hangs in its import goes on doing so.
// The error is a *LoadError when the application is at fault: then StartEmbedded
// may be called again. It wraps ErrNoLibrary when the interpreter has no shared
// library, and is ErrAlreadyEmbedded when the process has an Embedded, or had one.
//
// Signals stay with Go, and SIGPIPE is ignored from now on. The working directory
// and PYTHONHOME of the process are changed, and GOMAXPROCS is raised.
func StartEmbedded(ctx context.Context, opts Options) (*Embedded, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	embedded.mu.Lock()
	defer embedded.mu.Unlock()
	if embedded.taken {
		return nil, ErrAlreadyEmbedded
	}
	if embedded.err != nil {
		return nil, embedded.err
	}
	e := newEmbedded(opts)
	if err := e.interpret(ctx); err != nil {
		return nil, err
	}
	embedded.taken = true
	loaded := make(chan error, 1)
	go func() { loaded <- e.interpreter.loadApplication() }()
	select {
	case err := <-loaded:
		embedded.taken = err == nil
		if err != nil {
			return nil, err
		}
		if err := e.turns.open(opts.Threads, e.interpreter.about.FreeThreaded, e.finished); err != nil {
			embedded.taken = false
			return nil, err
		}
		raiseProcessors(opts.Threads)
		go e.serveNotes()
		go e.watchLock()
		return e, nil
	case <-ctx.Done():
		go func() {
			<-loaded
			embedded.mu.Lock()
			defer embedded.mu.Unlock()
			embedded.taken = false
		}()
		return nil, fmt.Errorf("load the application: %w", context.Cause(ctx))
	}
}

// spareProcessors is the most that raiseProcessors adds.
const spareProcessors = 6

// raiseProcessors gives Go a few processors more than there are, one for each thread
// at most. A goroutine that runs a request keeps one, and Go's monitor takes it back from an
// application that waits only after a while; until then what else is ready waits.
// A GOMAXPROCS in the environment is left as it is.
func raiseProcessors(threads int) {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.NumCPU() + min(threads, spareProcessors))
	}
}

func newEmbedded(opts Options) *Embedded {
	e := &Embedded{leaving: make(chan string)}
	e.core = &Worker{
		opts:    opts,
		window:  opts.window(),
		leaving: make(chan string, 1),
		done:    make(chan struct{}),
		process: &process{pid: os.Getpid(), ended: make(chan struct{})},
		steer:   e.steer,
	}
	return e
}

// interpret finds the interpreter for e, and starts it the first time.
// embedded.mu must be held.
func (e *Embedded) interpret(ctx context.Context) error {
	python := e.core.opts.Python
	if p := embedded.interpreter; p != nil {
		if p.python != python {
			return fmt.Errorf("%w: that of %s, not %s", ErrAlreadyEmbedded, p.python, python)
		}
		p.owner.Store(e)
		e.interpreter = p
		return nil
	}
	library, err := Library(ctx, python)
	if err != nil {
		return err
	}
	p, err := startInterpreter(python, library, e.core.opts.settings(), e)
	if err == nil {
		err = checkVersion(p.about)
	}
	if err != nil {
		embedded.err = fmt.Errorf("start %s in this process: %w", library, err)
		return embedded.err
	}
	embedded.interpreter = p
	e.interpreter = p
	return nil
}

// watchLock tells the log when nobody gets the GIL for the deadlock timeout: a C
// extension holds it, say. There is no process to replace, as there is for Worker.
func (e *Embedded) watchLock() {
	timeout := e.core.opts.DeadlockTimeout
	for timeout > 0 {
		select {
		case <-e.core.done:
			return
		case <-time.After(timeout / heartbeats):
		}
		free := make(chan struct{})
		go func() {
			beat()
			close(free)
		}()
		select {
		case <-free:
			continue
		case <-e.core.done:
			return
		case <-time.After(timeout):
			e.core.opts.Logger.Error("deadlock: no Python can run", "worker", e.PID(), "for", timeout)
		}
		select {
		case <-free:
		case <-e.core.done:
			return
		}
	}
}

// captureOutput makes the descriptors for sys.stdout and sys.stderr, whose lines
// go to the owner.
func (p *interpreter) captureOutput() (stdout, stderr int, err error) {
	p.output = &process{pid: os.Getpid(), ended: make(chan struct{})}
	for _, stream := range []string{"stdout", "stderr"} {
		reader, writer, err := os.Pipe()
		if err != nil {
			return 0, 0, err
		}
		p.output.pipes = append(p.output.pipes, reader)
		p.writers = append(p.writers, writer)
		p.output.output.Add(1)
		go p.output.readLines(reader, stream, func(pid int, stream string, line []byte) {
			if output := p.owner.Load().core.opts.Output; output != nil {
				output(pid, stream, line)
			}
		})
	}
	return int(p.writers[0].Fd()), int(p.writers[1].Fd()), nil
}

// endOutput passes on the last lines. What Python prints after that goes to the
// standard error of the process: its descriptors must not come to mean another file.
func (p *interpreter) endOutput() {
	for _, w := range p.writers {
		// At worst the lines that are there are waited for in vain for a moment.
		_ = unix.Dup3(2, int(w.Fd()), unix.O_CLOEXEC)
	}
	p.output.closeOutput()
}

// PID returns the process identifier of this process.
func (e *Embedded) PID() int { return e.core.PID() }

// Interpreter returns what Python says of itself.
func (e *Embedded) Interpreter() Interpreter { return e.interpreter.about }

// Done is closed when Stop has ended.
func (e *Embedded) Done() <-chan struct{} { return e.core.done }

// Leaving never receives: no other interpreter could take the place of this one.
func (e *Embedded) Leaving() <-chan string { return e.leaving }

// Usage returns the CPU time and the resident bytes of this process.
func (e *Embedded) Usage() (cpu time.Duration, memory int64, err error) { return e.core.Usage() }

// Serve hands a request to the application; see Worker.Serve.
//
// The application runs elsewhere (turns), so that a response can be sent while it is being made.
func (e *Embedded) Serve(ctx *fasthttp.RequestCtx, r *Request, free func()) error {
	in, err := openInput(r)
	if err != nil {
		free()
		return fmt.Errorf("pybridge: open a way for the body: %w", err)
	}
	x, err := e.send(ctx, r, free)
	in.sent(x)
	if err != nil {
		free()
		return err
	}
	<-x.ready
	return x.respond(ctx)
}

// send registers the request and lets it take its turn.
func (e *Embedded) send(ctx *fasthttp.RequestCtx, r *Request, free func()) (*exchange, error) {
	w := e.core
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return nil, ErrNotSent
	}
	x := w.acquire(free)
	x.describe(ctx)
	w.watchDeadline(x)
	c := e.call(x)
	w.mu.Unlock()
	if err := c.describe(appendRequest(c.buffer(), x.id, ctx, r, &x.fields), r.File); err != nil {
		e.forget(c)
		w.recycle(x)
		return nil, err
	}
	e.turns.enter(c)
	return x, nil
}

// call returns a call for x. core.mu must be held.
func (e *Embedded) call(x *exchange) *call {
	var c *call
	if n := len(e.calls); n > 0 {
		c = e.calls[n-1]
		e.calls = e.calls[:n-1]
		c.x = x
		c.join()
	} else {
		c = e.turns.newCall(x)
	}
	for len(e.inFlight) <= x.index() {
		e.inFlight = append(e.inFlight, nil)
	}
	e.inFlight[x.index()] = c
	return c
}

// forget takes the request of c out of those in flight, and keeps c for another one.
func (e *Embedded) forget(c *call) {
	e.core.forget(c.x)
	e.core.mu.Lock()
	if index := c.x.index(); e.inFlight[index] == c {
		e.inFlight[index] = nil
	}
	e.calls = append(e.calls, c)
	e.core.mu.Unlock()
}

// Stop refuses new requests, fails those in flight with ErrGone, and runs
// Python's exit handlers. It returns when they have run or ctx ends. Threads
// that run Python go on until the process ends.
func (e *Embedded) Stop(ctx context.Context) {
	w := e.core
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		<-w.done
		return
	}
	w.closed = true
	lost := append([]*exchange(nil), w.table...)
	w.mu.Unlock()
	for _, x := range lost {
		if x != nil {
			w.opts.Logger.Error("request lost: the server stops", "worker", w.PID(), "request", string(x.request))
			x.fail(ErrGone)
			e.steer(frameHeader{kind: frameCancel, request: x.id})
		}
	}
	stopped := make(chan error, 1)
	go func() { stopped <- e.interpreter.stop() }()
	var err error
	select {
	case err = <-stopped:
	case <-ctx.Done():
		err = errors.New("they take too long")
	}
	if err != nil {
		w.opts.Logger.Error("exit handlers of the application", "error", err)
	}
	e.interpreter.endOutput()
	close(w.done)
}
