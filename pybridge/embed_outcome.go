//go:build cgo

package pybridge

import (
	"errors"
	"runtime/debug"
)

// finished tells the handler of c how it ended. It is called on whatever goroutine has learnt of that.
func (e *Embedded) finished(c *call) {
	switch c.outcome() {
	case callRefused:
		e.giveBack(c)
		return
	case callDropped: // its handler has been told
		c.drop()
	default:
		err := e.answer(c)
		if err != nil {
			e.core.opts.Logger.Error("the application failed", "worker", e.PID(), "request", string(c.x.request), "error", err)
			c.x.mu.Lock()
			c.x.failure = ErrApplication
			c.x.mu.Unlock()
		}
		c.shrink()
	}
	e.end(c)
}

// errEnded: Python has come to the end of a request without having said so.
var errEnded = errors.New("the request ended before its response did")

// answer copies the response of c to its exchange. A panic ends the request, and not the
// process: this goroutine is nobody's handler.
func (e *Embedded) answer(c *call) (err error) {
	x := c.x
	x.mu.Lock()
	defer x.mu.Unlock()
	defer func() {
		if cause := recover(); cause != nil {
			err = errPanic
			e.panicked(cause)
		}
	}()
	switch c.outcome() {
	case callFailed:
		return c.problem()
	case callSent:
		if !x.last && x.failure == nil {
			return errEnded // its handler would wait for ever
		}
	case callComplete:
		if x.failure != nil {
			break
		}
		head, body := c.response()
		x.head, x.hasHead = append(x.head, head...), true
		x.failure = x.body.add(body)
		x.last = true
	}
	return nil
}

func (e *Embedded) panicked(cause any) {
	e.core.opts.Logger.Error("panic between the application and its request", "worker", e.PID(), "panic", cause, "stack", string(debug.Stack()))
}

// end tells the handler of a request that it has ended.
func (e *Embedded) end(c *call) {
	x := c.x
	e.forget(c)
	// The thread first: a client that has its answer finds it free.
	x.free()
	x.signal()
	x.release()
}

// giveBack tells the handler of a request that has not been begun that it will not be.
func (e *Embedded) giveBack(c *call) {
	x := c.x
	c.drop()
	x.mu.Lock()
	over := x.failure != nil // its handler has been told something else
	if !over {
		x.failure = ErrGivenBack
	}
	x.mu.Unlock()
	if over {
		e.end(c)
		return
	}
	e.forget(c)
	x.signal()
	x.release()
}
