package fallthru

import (
	"context"
	"os"
	"time"

	"github.com/valyala/fasthttp"
)

// Worker is one worker process that has loaded the application.
type Worker interface {
	// Serve hands the request over and fills in ctx.Response; a body that is
	// not complete yet may be left as a body stream. free is called exactly
	// once, when the thread can take another request; not at all with
	// ErrGivenBack. The error is one of this package, or counts as a failure of
	// the application.
	Serve(ctx *fasthttp.RequestCtx, r *Request, free func()) error

	// PID identifies the worker process in the log.
	PID() int
	// Done is closed when the worker process is gone.
	Done() <-chan struct{}
	// Leaving receives a reason when the worker process asks to be replaced.
	Leaving() <-chan string
	// Usage returns what the worker process has used so far.
	Usage() (Usage, error)
	// Stop lets the worker process run its exit handlers and waits for its
	// end. When ctx ends first it is killed.
	Stop(ctx context.Context)
}

// Starter starts a worker process and returns when it is ready. ctx bounds the
// start. The error wraps ErrLoad when the application is at fault.
type Starter func(ctx context.Context) (Worker, error)

// Tracebacker is an error that carries what Python said of it, in lines.
type Tracebacker interface{ Traceback() string }

// Request is a declined request whose body has been received.
type Request struct {
	Path       []byte // decoded; begins with MountPoint
	MountPoint string // "" for the root
	Body       []byte // the body, when File is nil
	File       *os.File
	BodySize   int64
	HasBody    bool // the request has a body, empty or not

	// Stream is the body instead, if the application is to read it as it arrives. It may
	// be read by another goroutine than that of Serve, as long as the body stream of
	// the response is not closed. BodySize is its length if HasBody says that it is
	// known.
	Stream Arriving

	// Queued is when the request, with its body, began to wait for a free thread.
	Queued time.Time
}
