package fallthru

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"

	"github.com/valyala/fasthttp"
)

// Arriving is a body that can be read while the response is made. Options.Body returns
// one where the body may be streamed.
type Arriving interface {
	io.Reader
	// Share says that another goroutine than the handler's reads it from now on.
	Share()
	// Interrupt ends a Read that waits for the client, and each one after it. It may
	// be called from any goroutine, and after the last Read.
	Interrupt()
}

// streamed is a request body that the application reads as it arrives. The errors of
// Read are those of this package, and wrap the syscall.Errno that says the same to
// the application.
type streamed struct {
	Arriving
	limit, size int64
	length      int64 // Content-Length, or -1
}

// streamed returns the body of the request if the application is to read it as it
// arrives, nil if it is received whole first. HTTP/1.0 is not for that: where a response
// ends with the connection, nobody could tell its end from the client's.
func (h *Handler) streamed(ctx *fasthttp.RequestCtx, path []byte) *streamed {
	if h.opts.Stream == nil || !ctx.Request.Header.IsHTTP11() || !h.opts.Stream(path) {
		return nil
	}
	body, ok := h.opts.Body(ctx).(Arriving)
	if !ok {
		return nil
	}
	return &streamed{Arriving: body, limit: h.limit, length: int64(max(ctx.Request.Header.ContentLength(), -1))}
}

// describe says in r what is known of the body before it comes.
func (s *streamed) describe(r *Request) {
	r.Stream = s
	if s.length >= 0 {
		r.BodySize, r.HasBody = s.length, true
	}
}

// Read reads from the client, up to the limit.
func (s *streamed) Read(p []byte) (int, error) {
	n, err := s.Arriving.Read(p)
	s.size += int64(n)
	switch {
	case s.size > s.limit:
		return 0, fmt.Errorf("%w: %w: more than %d bytes", ErrBodyTooLarge, syscall.EFBIG, s.limit)
	case err == nil, errors.Is(err, io.EOF) && (s.length < 0 || s.size == s.length):
		return n, err
	}
	return n, arrivingError(err)
}

// arrivingError tells a client that is too slow from one that has left, and from one that
// breaks the framing.
func arrivingError(err error) error {
	var timeout net.Error
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("%w: %w: %w", ErrBodyTimeout, syscall.ETIMEDOUT, err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, net.ErrClosed):
		return fmt.Errorf("%w: %w: %w", ErrClientGone, syscall.ECONNRESET, err)
	}
	return fmt.Errorf("%w: %w: %w", ErrBodyBroken, syscall.EBADMSG, err)
}
