package fallthru

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

// DefaultLimitRequestBody is the default of Options.LimitRequestBody.
const DefaultLimitRequestBody = 10 << 20

// Options configures a Handler. Mounts and Path must be given.
type Options struct {
	// Mounts are the applications; the longest path that fits wins.
	Mounts []Mount
	// Path returns the decoded path of the URL. It is valid as long as ctx.
	Path func(ctx *fasthttp.RequestCtx) []byte
	// Body returns the body of a request, nil if it has none. Nil means what fasthttp
	// has.
	Body func(ctx *fasthttp.RequestCtx) io.Reader
	// Stream reports whether the application is to read the bodies of requests for
	// path as they arrive, where Body returns one that is Arriving. Nil, and HTTP/1.0:
	// they are received whole first.
	Stream func(path []byte) bool
	// NotFound answers requests outside every mount. Nil means a bare 404.
	NotFound fasthttp.RequestHandler
	// Error writes the page of an error status. Nil means the bare status text.
	Error func(ctx *fasthttp.RequestCtx, status int)
	// LimitRequestBody bounds a request body in bytes. Zero means
	// DefaultLimitRequestBody, a negative value that no body is allowed.
	LimitRequestBody int64
	// Logger is told of requests that fail here. Nil means slog.Default.
	Logger *slog.Logger
}

// Mount is an application below a URL path.
type Mount struct {
	Path  string // "/" or "/prefix"
	Group GroupOptions
}

// Handler answers declined requests by handing them to worker processes.
type Handler struct {
	opts   Options
	mounts []mount // longest path first
	limit  int64
	spool  spoolCount
}

type mount struct {
	path  string // "" for the root; SCRIPT_NAME
	group *group
}

// New checks the options and starts the process groups. It does not wait for
// them; Wait does.
func New(opts Options) (*Handler, error) {
	if opts.Path == nil {
		return nil, errors.New("fallthru: Options.Path is nil")
	}
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	if opts.Body == nil {
		opts.Body = bodyStream
	}
	h := &Handler{opts: opts, limit: max(opts.LimitRequestBody, 0)}
	if opts.LimitRequestBody == 0 {
		h.limit = DefaultLimitRequestBody
	}
	for _, m := range opts.Mounts {
		path := strings.TrimRight(m.Path, "/")
		if path != "" && path[0] != '/' {
			h.Stop(context.Background())
			return nil, fmt.Errorf("fallthru: mount path: got %q, want one that begins with a slash", m.Path)
		}
		if slices.ContainsFunc(h.mounts, func(other mount) bool { return other.path == path }) {
			h.Stop(context.Background())
			return nil, fmt.Errorf("fallthru: mount path: %q is given twice, want a path of its own for each application", m.Path)
		}
		g, err := newGroup(m.Group)
		if err != nil {
			h.Stop(context.Background())
			return nil, err
		}
		h.mounts = append(h.mounts, mount{path, g})
	}
	slices.SortStableFunc(h.mounts, func(a, b mount) int { return cmp.Compare(len(b.path), len(a.path)) })
	return h, nil
}

// bodyStream is the default of Options.Body.
func bodyStream(ctx *fasthttp.RequestCtx) io.Reader {
	if ctx.Request.IsBodyStream() {
		return ctx.RequestBodyStream()
	}
	return nil
}

// Wait returns when every mount has a worker process that is ready, the first of its
// group, or why one has not: the first error. Requests are answered in either case, and the
// groups go on trying.
func (h *Handler) Wait(ctx context.Context) error {
	for _, m := range h.mounts {
		if err := m.group.wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Stop ends the process groups. Requests that they hold may finish until ctx
// ends; new ones are refused.
func (h *Handler) Stop(ctx context.Context) {
	var all sync.WaitGroup
	for _, m := range h.mounts {
		all.Go(func() { m.group.end(ctx) })
	}
	all.Wait()
}

// Handle answers one declined request.
func (h *Handler) Handle(ctx *fasthttp.RequestCtx) {
	path := h.opts.Path(ctx)
	m := h.find(path)
	if m == nil {
		if h.opts.NotFound != nil {
			h.opts.NotFound(ctx)
			return
		}
		h.answer(ctx, fasthttp.StatusNotFound)
		return
	}
	b := bodies.Get().(*body)
	b.spool = &h.spool
	defer b.release()
	stream := h.streamed(ctx, path)
	var err error
	if stream == nil {
		err = b.receive(ctx, h.opts.Body(ctx), h.limit)
	}
	if err == nil {
		err = h.serve(ctx, m, path, b, stream)
	}
	if err != nil {
		m.group.counts.fail(err)
		h.refuse(ctx, err)
	}
}

// find returns the mount that path lies in, or nil.
func (h *Handler) find(path []byte) *mount {
	for i := range h.mounts {
		m := &h.mounts[i]
		n := len(m.path)
		if len(path) >= n && string(path[:n]) == m.path && (len(path) == n || path[n] == '/') {
			return m
		}
	}
	return nil
}

var requests = sync.Pool{New: func() any { return new(Request) }}

// serve hands the request to a free thread.
func (h *Handler) serve(ctx *fasthttp.RequestCtx, m *mount, path []byte, b *body, stream *streamed) error {
	r := requests.Get().(*Request)
	defer requests.Put(r)
	*r = Request{
		Path:       path,
		MountPoint: m.path,
		Body:       b.bytes,
		File:       b.file,
		BodySize:   b.size,
		HasBody:    b.exists,
		Queued:     time.Now(),
	}
	begun := r.Queued
	if stream != nil {
		stream.describe(r)
		stream.Share()
	}
	s, err := m.group.acquire(ctx.Conn())
	for err == nil {
		err = s.member.worker.Serve(ctx, r, s.free)
		switch {
		case errors.Is(err, ErrGivenBack):
			m.group.giveBack(s)
			s, err = m.group.reacquire(ctx.Conn(), begun)
		case errors.Is(err, ErrNotHandedOver):
			// It has ended, and its keeper has not noticed yet.
			m.group.leave(s.member)
			s, err = m.group.reacquire(ctx.Conn(), begun)
		default:
			return err
		}
	}
	return err
}

// refuse answers a request that no application has answered.
func (h *Handler) refuse(ctx *fasthttp.RequestCtx, err error) {
	status := statusFor(err)
	level := slog.LevelWarn
	switch {
	case errors.Is(err, ErrSpool):
		level = slog.LevelError // nobody else says that the disk is full
	case status == statusClientGone:
		level = slog.LevelInfo
	case status == fasthttp.StatusInternalServerError, status == fasthttp.StatusBadGateway, status == fasthttp.StatusGatewayTimeout:
		level = slog.LevelDebug // the worker's side has said why, with the traceback
	}
	h.opts.Logger.Log(context.Background(), level, "request not answered by the application",
		"status", status, "method", string(ctx.Method()), "target", string(ctx.RequestURI()), "error", err)
	ctx.Response.Reset()
	if status == statusClientGone {
		ctx.SetStatusCode(status)
	} else {
		h.answer(ctx, status)
	}
	if seconds := retryAfter(err); seconds > 0 {
		ctx.Response.Header.Set(fasthttp.HeaderRetryAfter, strconv.Itoa(seconds))
	}
	if closesConnection(err) {
		ctx.SetConnectionClose()
	}
}

func (h *Handler) answer(ctx *fasthttp.RequestCtx, status int) {
	if h.opts.Error != nil {
		h.opts.Error(ctx, status)
		return
	}
	ctx.Error(fasthttp.StatusMessage(status), status)
}
