package fallthru

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/valyala/fasthttp"
)

// arrivingBody is a body that may be streamed; its end is err, io.EOF if that is nil.
type arrivingBody struct {
	io.Reader
	err    error
	shared bool
	reads  int
}

func (b *arrivingBody) Read(p []byte) (int, error) {
	b.reads++
	n, err := b.Reader.Read(p)
	if err == io.EOF && b.err != nil {
		err = b.err
	}
	return n, err
}

func (b *arrivingBody) Share()     { b.shared = true }
func (b *arrivingBody) Interrupt() {}

// streaming is a handler that streams the bodies below /up, and the request that its
// application has seen last.
type streaming struct {
	*Handler
	seen  Request
	data  string
	err   error
	body  io.Reader // of the next request
	serve func(ctx *fasthttp.RequestCtx, r *Request) error
}

func newStreaming(t *testing.T, limit int64) *streaming {
	t.Helper()
	s := &streaming{}
	s.serve = func(_ *fasthttp.RequestCtx, r *Request) error {
		data, err := io.ReadAll(r.Stream)
		s.data, s.err = string(data), err
		return err
	}
	run := func(ctx *fasthttp.RequestCtx, r *Request) error {
		s.seen = *r
		if r.Stream == nil {
			s.data, s.err = string(r.Body), nil
			return nil
		}
		return s.serve(ctx, r)
	}
	s.Handler = newTestHandler(t, Options{
		LimitRequestBody: limit,
		Stream:           func(path []byte) bool { return strings.HasPrefix(string(path), "/up") },
		Body:             func(*fasthttp.RequestCtx) io.Reader { return s.body },
		Mounts:           []Mount{{Path: "/", Group: GroupOptions{Start: always(t, run).start, Threads: 1}}},
	})
	if err := s.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// handle handles a request with body, whose length is negative for a chunked one.
func (s *streaming) handle(target, version string, body io.Reader, length int) *fasthttp.RequestCtx {
	ctx := bodyCtx(body, length)
	ctx.Request.Header.SetRequestURI(target)
	ctx.Request.Header.SetProtocol(version)
	s.body = body
	s.Handle(ctx)
	return ctx
}

// TestStreamed: which bodies are read as they arrive, and what becomes of them.
func TestStreamed(t *testing.T) {
	tests := []struct {
		name   string
		sent   string
		length int
		err    error // the end of the body
		status int
		want   error         // of the application's read
		number syscall.Errno // in it
	}{
		{"with a length", "hello", 5, nil, 200, nil, 0},
		{"chunked", "hello", -1, nil, 200, nil, 0},
		{"empty", "", -1, nil, 200, nil, 0},
		{"at the limit", strings.Repeat("a", 10), 10, nil, 200, nil, 0},
		{"chunked, at the limit", strings.Repeat("a", 10), -1, nil, 200, nil, 0},
		{"over the limit", strings.Repeat("a", 11), 11, nil, 413, ErrBodyTooLarge, syscall.EFBIG},
		{"chunked, over the limit", strings.Repeat("a", 11), -1, nil, 413, ErrBodyTooLarge, syscall.EFBIG},
		{"shorter than its length", "hell", 5, nil, 499, ErrClientGone, syscall.ECONNRESET},
		{"cut", "hell", 5, io.ErrUnexpectedEOF, 499, ErrClientGone, syscall.ECONNRESET},
		{"chunked, cut", "hell", -1, fmt.Errorf("read: %w", io.ErrUnexpectedEOF), 499, ErrClientGone, syscall.ECONNRESET},
		{"reset", "hell", 5, fmt.Errorf("read: %w", os.NewSyscallError("read", syscall.ECONNRESET)), 499, ErrClientGone, syscall.ECONNRESET},
		{"too slow", "hell", 5, os.ErrDeadlineExceeded, 408, ErrBodyTimeout, syscall.ETIMEDOUT},
		{"malformed", "hell", -1, errors.New("no chunk"), 400, ErrBodyBroken, syscall.EBADMSG},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStreaming(t, 10)
			body := &arrivingBody{Reader: strings.NewReader(tt.sent), err: tt.err}
			ctx := s.handle("/up", "HTTP/1.1", body, tt.length)
			if got := ctx.Response.StatusCode(); got != tt.status {
				t.Errorf("status %d, want %d", got, tt.status)
			}
			if closed := ctx.Response.ConnectionClose(); closed != (tt.status != 200) {
				t.Errorf("the connection is closed: %v", closed)
			}
			if !errors.Is(s.err, tt.want) || tt.want == nil && s.err != nil {
				t.Errorf("the application's read ended with %v, want %v", s.err, tt.want)
			}
			var number syscall.Errno
			if errors.As(s.err, &number); number != tt.number {
				t.Errorf("the error says %v (%d), want %v", number, number, tt.number)
			}
			if tt.want == nil && s.data != tt.sent {
				t.Errorf("the application read %q, want %q", s.data, tt.sent)
			}
			if s.seen.HasBody != (tt.length >= 0) || tt.length >= 0 && s.seen.BodySize != int64(tt.length) {
				t.Errorf("the application was told of a length: %v, %d; want %d", s.seen.HasBody, s.seen.BodySize, tt.length)
			}
			if !body.shared {
				t.Error("nobody said that another goroutine may read the body")
			}
		})
	}
}

// TestNotStreamed: bodies that are received whole first.
func TestNotStreamed(t *testing.T) {
	for _, tt := range []struct {
		name, target, version string
		body                  io.Reader
	}{
		{"another path", "/other", "HTTP/1.1", &arrivingBody{Reader: strings.NewReader("hello")}},
		{"HTTP/1.0", "/up", "HTTP/1.0", &arrivingBody{Reader: strings.NewReader("hello")}},
		{"a body that cannot be streamed", "/up", "HTTP/1.1", strings.NewReader("hello")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStreaming(t, 10)
			ctx := s.handle(tt.target, tt.version, tt.body, 5)
			if s.seen.Stream != nil || s.data != "hello" || ctx.Response.StatusCode() != 200 {
				t.Errorf("streamed %v, data %q, status %d", s.seen.Stream != nil, s.data, ctx.Response.StatusCode())
			}
		})
	}
	t.Run("no body", func(t *testing.T) {
		s := newStreaming(t, 10)
		s.Handle(get(t, "/up"))
		if s.seen.Stream != nil || s.seen.HasBody {
			t.Errorf("a request without a body has one: %+v", s.seen)
		}
	})
}

// TestStreamedAgain: a request that comes back has its body still, and one that is
// refused before an application has it leaves it unread.
func TestStreamedAgain(t *testing.T) {
	s := newStreaming(t, 10)
	whole := s.serve
	times := 0
	s.serve = func(ctx *fasthttp.RequestCtx, r *Request) error {
		if times++; times == 1 {
			return ErrNotHandedOver
		}
		return whole(ctx, r)
	}
	// The group takes the worker process for dead; another one comes.
	s.mounts[0].group.opts.Processes = 1
	body := &arrivingBody{Reader: strings.NewReader("hello")}
	go func() {
		waitFor(t, "the worker process is left", func() bool {
			g := s.mounts[0].group
			g.mu.Lock()
			defer g.mu.Unlock()
			return len(g.members) == 0
		})
		s.mounts[0].group.join(newFakeWorker(2, func(ctx *fasthttp.RequestCtx, r *Request) error { return s.serve(ctx, r) }))
	}()
	ctx := s.handle("/up", "HTTP/1.1", body, 5)
	if times != 2 || s.data != "hello" || ctx.Response.StatusCode() != 200 {
		t.Errorf("handed over %d times, data %q, status %d", times, s.data, ctx.Response.StatusCode())
	}

	s.mounts[0].group.end(t.Context())
	body = &arrivingBody{Reader: strings.NewReader("hello")}
	if ctx := s.handle("/up", "HTTP/1.1", body, 5); ctx.Response.StatusCode() != 503 || body.reads != 0 {
		t.Errorf("while stopping: status %d, %d reads", ctx.Response.StatusCode(), body.reads)
	}
}
