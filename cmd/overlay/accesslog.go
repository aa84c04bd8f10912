package main

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

// Bounds of the access log's memory and delay.
const (
	accessFlushDelay = 100 * time.Millisecond // longest time that a line waits in memory
	accessFlushBytes = 64 << 10               // lines of this size are written without waiting
	accessMaxBytes   = 1 << 20                // with so much unwritten, requests wait for the reader of the log
	accessCloseDelay = 2 * time.Second        // longest time that the end of the server waits for that reader
)

// accessLog writes one line for each response. A nil *accessLog writes nothing
// and costs nothing. Lines are put into memory, without an allocation, and
// written by one goroutine, so that a response waits for the log only when its
// reader is more than accessMaxBytes behind: losing lines would be worse.
type accessLog struct {
	w          io.Writer
	appendLine func(line []byte, e *accessEntry, l *accessLog) []byte
	entries    sync.Pool // *accessEntry
	givens     sync.Pool // *givenEntry

	// onError, if set before the first request, is called once, with the first
	// error of w. The lines that w refused are lost; later ones are tried.
	onError func(error)

	dirty chan struct{} // one element: there are lines to write
	full  chan struct{} // one element: do not wait for more of them
	quit  chan struct{}
	done  chan struct{} // closed by the writing goroutine, which then has written all

	mu      sync.Mutex // guards what follows
	written sync.Cond  // signalled when pending was taken over for writing
	pending []byte
	spare   []byte
	closed  bool
	err     error  // first error of w
	second  int64  // Unix time that stamp shows
	stamp   []byte // time of the common log format
}

// errAccessLogStuck ends a log whose reader has stopped reading: who waited for it
// could not be stopped by any signal but SIGKILL.
var errAccessLogStuck = errors.New("write access log: its last lines are lost, since nobody reads them")

// newAccessLog starts an access log to w, in the format "common", "combined" or
// "json". Close ends it.
func newAccessLog(w io.Writer, format string) (*accessLog, error) {
	l := &accessLog{
		w:     w,
		dirty: make(chan struct{}, 1), full: make(chan struct{}, 1),
		quit: make(chan struct{}), done: make(chan struct{}),
	}
	l.written.L = &l.mu
	l.givens.New = newGivenEntry
	l.entries.New = func() any { return &accessEntry{log: l} }
	switch format {
	case "common":
		l.appendLine = appendCommon
	case "combined":
		l.appendLine = appendCombined
	case "json":
		l.appendLine = appendJSON
	default:
		return nil, fmt.Errorf("access log: got format %q, want common, combined or json", format)
	}
	go l.writeLoop()
	return l, nil
}

// wrap returns a handler that logs what next answers. The line is written when
// fasthttp has sent the response, or given up on it.
func (l *accessLog) wrap(next fasthttp.RequestHandler) fasthttp.RequestHandler {
	if l == nil {
		return next
	}
	return func(ctx *fasthttp.RequestCtx) {
		e := l.begin(ctx)
		next(ctx)
		e.watchStream()
	}
}

// wrapExpect is wrap for fasthttp.Server.ExpectHandler, whose refusals never
// reach the handler. A nil next stays nil.
func (l *accessLog) wrapExpect(next func(*fasthttp.RequestCtx) int) func(*fasthttp.RequestCtx) int {
	if l == nil || next == nil {
		return next
	}
	return func(ctx *fasthttp.RequestCtx) int {
		l.begin(ctx)
		return next(ctx)
	}
}

// wrapError is wrap for fasthttp.Server.ErrorHandler, which answers what could
// not be read as a request. Where not even the head could be read, the request is
// logged as "-": its parts may be wrong.
func (l *accessLog) wrapError(next func(*fasthttp.RequestCtx, error)) func(*fasthttp.RequestCtx, error) {
	if l == nil {
		return next
	}
	return func(ctx *fasthttp.RequestCtx, err error) {
		next(ctx, err)
		// fasthttp forgets this response before it forgets the request, so that it
		// cannot be logged when it was sent.
		_, known := ctx.UserValue(accessKey{}).(*accessEntry) // by wrapExpect
		e := l.begin(ctx)
		ctx.RemoveUserValue(accessKey{})
		e.unread = !known
		if ctx.Response.StatusCode() == fasthttp.StatusOK {
			e.release() // no error was answered: next has closed an idle connection
			return
		}
		_ = e.Close()
	}
}

// accessKey is the key of the *accessEntry among the user values of a request.
type accessKey struct{}

// begin notes a request. fasthttp closes the user values of a request after its
// response was sent, with request and response still there: that is when the
// entry is logged.
func (l *accessLog) begin(ctx *fasthttp.RequestCtx) *accessEntry {
	if e, ok := ctx.UserValue(accessKey{}).(*accessEntry); ok {
		return e // wrapExpect came first
	}
	e := l.entries.Get().(*accessEntry)
	e.ctx, e.start = ctx, time.Now()
	ctx.SetUserValue(accessKey{}, e)
	return e
}

// write adds the line of e to the pending ones.
func (l *accessLog) write(e *accessEntry) {
	first, full := l.add(e)
	if first {
		wake(l.dirty)
	}
	if full {
		wake(l.full)
	}
}

// add reports whether there was no line pending before that of e, and whether there are so
// many now that they are to be written at once. A panic leaves the log as it was: it must not
// hold up the others.
func (l *accessLog) add(e *accessEntry) (first, full bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.pending) >= accessMaxBytes && !l.closed {
		l.written.Wait()
	}
	if l.closed {
		return false, false
	}
	first = len(l.pending) == 0
	l.pending = l.appendLine(l.pending, e, l)
	return first, len(l.pending) >= accessFlushBytes
}

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // it is signalled already
	}
}

// writeLoop writes pending lines soon after the first came. It sleeps without a
// timer while there are none.
func (l *accessLog) writeLoop() {
	defer close(l.done)
	delay := time.NewTimer(time.Hour)
	for {
		select {
		case <-l.dirty:
		case <-l.quit:
			l.flush()
			return
		}
		delay.Reset(accessFlushDelay)
		select {
		case <-delay.C:
		case <-l.full:
		case <-l.quit:
		}
		l.flush()
	}
}

// flush writes the pending lines. Only writeLoop calls it.
func (l *accessLog) flush() {
	l.mu.Lock()
	lines := l.pending
	l.pending, l.spare = l.spare[:0], nil
	l.written.Broadcast()
	l.mu.Unlock()
	if len(lines) == 0 {
		return
	}
	_, err := l.w.Write(lines)
	l.mu.Lock()
	l.spare = lines[:0]
	first := err != nil && l.err == nil
	if first {
		l.err = fmt.Errorf("write access log: %w", err)
	}
	err = l.err
	l.mu.Unlock()
	if first && l.onError != nil {
		l.onError(err)
	}
}

// Close writes what is pending and ends the log; later responses are not logged.
// It returns the first error of the whole time, errAccessLogStuck when nobody has
// taken the last lines. Closing nil does nothing.
func (l *accessLog) Close() error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	again := l.closed
	l.closed = true
	l.written.Broadcast()
	l.mu.Unlock()
	if !again {
		close(l.quit)
	}
	select {
	case <-l.done:
	case <-time.After(accessCloseDelay):
		return errAccessLogStuck
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}
