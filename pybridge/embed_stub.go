//go:build !cgo

package pybridge

import (
	"context"
	"time"

	"github.com/valyala/fasthttp"
)

// Embedded is an interpreter inside the server process. This build has none:
// StartEmbedded returns ErrUnavailable.
type Embedded struct{}

// EmbeddedAvailable reports whether this build can host an interpreter.
const EmbeddedAvailable = false

// StartEmbedded returns ErrUnavailable.
func StartEmbedded(context.Context, Options) (*Embedded, error) { return nil, ErrUnavailable }

// Serve returns ErrNotSent.
func (e *Embedded) Serve(_ *fasthttp.RequestCtx, _ *Request, free func()) error {
	free()
	return ErrNotSent
}

// PID returns 0.
func (e *Embedded) PID() int { return 0 }

// Interpreter returns the zero value.
func (e *Embedded) Interpreter() Interpreter { return Interpreter{} }

// Done returns nil.
func (e *Embedded) Done() <-chan struct{} { return nil }

// Leaving returns nil.
func (e *Embedded) Leaving() <-chan string { return nil }

// Usage returns ErrUnavailable.
func (e *Embedded) Usage() (cpu time.Duration, memory int64, err error) { return 0, 0, ErrUnavailable }

// Stop does nothing.
func (e *Embedded) Stop(context.Context) {}
