package pybridge

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// ErrTimeout: the application sent nothing for Options.RequestTimeout.
var ErrTimeout = errors.New("pybridge: request timeout")

// deadlines watches the requests in flight of one worker process. There is one
// timer, armed for the earliest deadline that can be: a request that is
// answered costs nothing but the note of a time.
type deadlines struct {
	timer *time.Timer
	next  time.Duration // since epoch, what it is armed for; 0: it is not
}

// watchDeadline makes sure that x is looked at when its time is over. w.mu
// must be held.
func (w *Worker) watchDeadline(x *exchange) {
	timeout := w.opts.RequestTimeout
	if w.opts.ClientGone != nil && (timeout <= 0 || timeout > goneInterval) {
		timeout = goneInterval
	}
	if timeout <= 0 {
		return
	}
	now := time.Since(epoch)
	x.since.Store(int64(now))
	// Others may have longer: one that has been interrupted, say.
	if w.deadlines.next != 0 && w.deadlines.next <= now+timeout {
		return
	}
	w.deadlines.next = now + timeout
	if w.deadlines.timer == nil {
		w.deadlines.timer = time.AfterFunc(timeout, w.checkDeadlines)
		return
	}
	w.deadlines.timer.Reset(timeout)
}

// epoch is the zero of exchange.since: a monotonic reading fits in an atomic.
var epoch = time.Now()

// checkDeadlines fails the requests whose time is over, interrupts their
// threads, and looks again when the next deadline comes.
func (w *Worker) checkDeadlines() {
	gone, late := w.lookAtAll()
	for _, x := range gone {
		x.abandon()
		x.release()
	}
	for _, x := range late {
		w.overdue(x)
		x.release()
	}
}

// lookAtAll returns the requests whose client is gone, and those whose time is
// over, and arms the timer for the next look. What it returns is held, so that
// none of them becomes another request before it is acted on; the caller
// releases it.
func (w *Worker) lookAtAll() (gone, late []*exchange) {
	now := time.Since(epoch)
	next := time.Duration(0)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, x := range w.table {
		if x == nil {
			continue
		}
		if w.isGone(x) {
			x.refs.Add(1)
			gone = append(gone, x)
		}
		end := w.deadlineOf(x, now)
		if end <= now {
			x.refs.Add(1)
			late = append(late, x)
			end = now + w.opts.InterruptTimeout
		}
		if w.opts.ClientGone != nil {
			end = min(end, now+goneInterval)
		}
		if next == 0 || end < next {
			next = end
		}
	}
	w.deadlines.next = 0
	if next != 0 && !w.closed {
		w.deadlines.next = max(next, now+time.Millisecond)
		w.deadlines.timer.Reset(w.deadlines.next - now)
	}
	return gone, late
}

// deadlineOf returns when x has to be looked at. A request whose
// client has yet to take what fills the window is not late: the application
// waits for that. w.mu must be held.
func (w *Worker) deadlineOf(x *exchange, now time.Duration) time.Duration {
	since := time.Duration(x.since.Load())
	if w.opts.RequestTimeout <= 0 {
		return now + time.Hour // somebody else's deadline is looked at before
	}
	if x.interrupted {
		return since + w.opts.InterruptTimeout
	}
	x.mu.Lock()
	waiting := x.body.size() > int64(w.window-spoolBlock) && !x.gone
	x.mu.Unlock()
	if waiting {
		x.since.Store(int64(now))
		since = now
	}
	return since + w.opts.RequestTimeout
}

// overdue acts on a request whose time is over: the first time the client gets
// its answer and the thread an exception, the second time, when that did not
// free the thread, the worker process is to be replaced.
func (w *Worker) overdue(x *exchange) {
	w.mu.Lock()
	if index := x.index(); index >= len(w.table) || w.table[index] != x {
		w.mu.Unlock()
		return // it has ended meanwhile
	}
	again := x.interrupted
	x.interrupted = true
	x.since.Store(int64(time.Since(epoch)))
	id, request := x.id, string(x.request)
	w.mu.Unlock()

	if again {
		w.SetStopReason("request_timeout")
		w.leave("a request was not ended by " + requestTimeoutName + ": " + request)
		return
	}
	w.opts.Logger.Error("request timeout: the thread is interrupted", "worker", w.PID(), "request", request, "timeout", w.opts.RequestTimeout)
	x.fail(ErrTimeout)
	w.order(frameHeader{kind: frameInterrupt, request: id})
}

// requestTimeoutName is the exception that is raised in the thread.
const requestTimeoutName = "overlay.RequestTimeout"

// leave says that the worker process should be replaced.
func (w *Worker) leave(reason string) {
	select {
	case w.leaving <- reason:
	default: // one reason is enough
	}
}

// order sends a frame on the control socket. A failed write means that the
// process is going; reap tells everybody.
func (w *Worker) order(h frameHeader) {
	if w.steer != nil {
		w.steer(h)
		return
	}
	_, _ = w.control.Write(appendFrameHeader(nil, h))
}

// abortTimeout is how long a process has to write its stacks after SIGABRT.
const abortTimeout = 2 * time.Second

// abort ends a worker process that does not answer: SIGABRT makes
// faulthandler write the stack of each thread, whatever holds the GIL.
func (w *Worker) abort(why string) {
	w.opts.Logger.Log(context.Background(), slog.LevelError, "worker process is killed", "worker", w.PID(), "reason", why)
	w.process.signalAbort()
	select {
	case <-w.process.ended:
	case <-time.After(abortTimeout):
		w.process.kill()
	}
}

// watchHeartbeat asks the main thread of the worker process for a sign of life
// now and then, and ends the process when none comes for the deadlock timeout:
// no Python can run there, because a C extension holds the GIL, say.
func (w *Worker) watchHeartbeat() {
	timeout := w.opts.DeadlockTimeout
	if timeout <= 0 {
		return
	}
	ticker := time.NewTicker(timeout / heartbeats)
	defer ticker.Stop()
	w.lastBeat.Store(int64(time.Since(epoch)))
	for {
		select {
		case <-w.done:
			return
		case <-ticker.C:
		}
		if time.Since(epoch)-time.Duration(w.lastBeat.Load()) >= timeout {
			w.abort("deadlock timeout: it has run no Python for " + timeout.String())
			return
		}
		w.order(frameHeader{kind: framePing})
	}
}

// heartbeats is how often a sign of life is asked for in one deadlock timeout.
const heartbeats = 5
