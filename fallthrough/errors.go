package fallthru

import (
	"errors"

	"github.com/valyala/fasthttp"
)

// Errors that a Worker returns from Serve, and a Starter, for callers that
// branch. Others count as a failure of the application.
var (
	// ErrNotHandedOver: the worker process never saw the request; another one
	// may have it.
	ErrNotHandedOver = errors.New("fallthru: request not handed over")
	// ErrGivenBack: the worker process has handed the request back, which it had
	// not begun, because its threads are busy.
	ErrGivenBack = errors.New("fallthru: request given back")
	// ErrWorkerGone: the worker process ended while it had the request. It is
	// not sent to another one: the application may have acted on it.
	ErrWorkerGone = errors.New("fallthru: worker process ended during the request")
	// ErrRequestTimeout: the application sent nothing for too long.
	ErrRequestTimeout = errors.New("fallthru: request timeout")
	// ErrLoad: the application cannot be loaded.
	ErrLoad = errors.New("fallthru: application cannot be loaded")
)

// Errors that end a request before a worker process has it.
var (
	// ErrClientGone: the client has closed its connection. Nobody reads an answer.
	ErrClientGone   = errors.New("fallthru: client is gone")
	ErrQueueFull    = errors.New("fallthru: queue is full")
	ErrQueueTimeout = errors.New("fallthru: queue timeout")
	ErrStopping     = errors.New("fallthru: server is stopping")
	// ErrNoWorker: worker processes end as soon as they are started.
	ErrNoWorker = errors.New("fallthru: no worker process stays alive")

	ErrBodyTooLarge = errors.New("fallthru: request body is larger than the limit")
	ErrBodyTimeout  = errors.New("fallthru: request body came too slowly")
	ErrBodyBroken   = errors.New("fallthru: request body is malformed or ended early")
	ErrSpool        = errors.New("fallthru: request body cannot be stored")
)

// statusClientGone stands in the access log for a client that did not wait; the
// number is nginx's.
const statusClientGone = 499

// statusFor maps an error to the status that the client gets. Its text never
// leaves the server process.
func statusFor(err error) int {
	switch {
	case errors.Is(err, ErrBodyTooLarge):
		return fasthttp.StatusRequestEntityTooLarge
	case errors.Is(err, ErrBodyTimeout):
		return fasthttp.StatusRequestTimeout
	case errors.Is(err, ErrBodyBroken):
		return fasthttp.StatusBadRequest
	case errors.Is(err, ErrQueueFull), errors.Is(err, ErrQueueTimeout), errors.Is(err, ErrStopping), errors.Is(err, ErrNoWorker):
		return fasthttp.StatusServiceUnavailable
	case errors.Is(err, ErrClientGone):
		return statusClientGone
	case errors.Is(err, ErrRequestTimeout):
		return fasthttp.StatusGatewayTimeout
	case errors.Is(err, ErrWorkerGone):
		return fasthttp.StatusBadGateway
	}
	return fasthttp.StatusInternalServerError
}

// closesConnection reports whether nothing more can come of the connection: err
// leaves bytes of the request unread, so that what follows cannot be told from
// them, or the client is gone.
func closesConnection(err error) bool {
	for _, unread := range []error{ErrClientGone, ErrBodyTooLarge, ErrBodyTimeout, ErrBodyBroken, ErrSpool} {
		if errors.Is(err, unread) {
			return true
		}
	}
	return false
}

// retryAfter is the seconds that a client should wait before it tries again
// (RFC 9110 §10.2.3), or 0 when trying again would not help.
func retryAfter(err error) int {
	switch {
	case errors.Is(err, ErrQueueFull), errors.Is(err, ErrQueueTimeout), errors.Is(err, ErrStopping):
		return 1
	case errors.Is(err, ErrNoWorker):
		return 5
	}
	return 0
}
