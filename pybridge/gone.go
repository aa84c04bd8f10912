package pybridge

import (
	"errors"
	"time"
)

// ErrClientGone: the client closed its connection before the response began.
// The application is told when it sends next.
var ErrClientGone = errors.New("pybridge: client is gone")

// goneInterval is how often the connections of requests in flight are looked
// at, so a client that leaves is noticed within a second.
const goneInterval = time.Second

// isGone reports whether the client of x has closed its connection while it
// waits for the response. w.mu must be held.
func (w *Worker) isGone(x *exchange) bool {
	if w.opts.ClientGone == nil {
		return false
	}
	x.mu.Lock()
	waits := !x.last && !x.gone && x.failure == nil
	x.mu.Unlock()
	return waits && w.opts.ClientGone(x.conn)
}

// abandon ends a request whose client is gone: its handler returns, and the
// application's next block of the response makes its iterable be closed.
func (x *exchange) abandon() {
	x.mu.Lock()
	x.gone = true
	x.mu.Unlock()
	x.fail(ErrClientGone)
	x.worker.post(frameHeader{request: x.id, kind: frameCancel}, nil)
	x.worker.opts.Logger.Debug("client is gone", "worker", x.worker.PID(), "request", string(x.request))
}
