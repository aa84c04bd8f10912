package static

import (
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

// Handler answers requests for files and passes on the others. It is made by New,
// safe for any number of goroutines, and works until Close.
type Handler struct {
	opts    Options
	trees   []*tree // aliases, longest prefix first, then the document root
	hider   *hider
	types   *mediaTypes
	started time.Time
	scratch sync.Pool // of *scratch
	bodies  sync.Pool // of *fileBody
}

// refreshInterval is how often at most a tree looks whether its directory was
// replaced.
const refreshInterval = int64(time.Second)

// New returns a Handler for o. An error names the option and what is wrong with it.
func New(o Options) (*Handler, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	h := &Handler{opts: o, types: newMediaTypes(), started: time.Now()}
	if h.hider, err = newHider(o.Hide, o.HideSource); err != nil {
		return nil, err
	}
	if h.trees, err = h.opts.openTrees(); err != nil {
		return nil, err
	}
	h.scratch.New = func() any { return &scratch{name: make([]byte, 0, 256)} }
	h.bodies.New = func() any { return new(fileBody) }
	return h, nil
}

// Close gives back the directories and files that h holds. No request may be under
// way, and none may follow.
func (h *Handler) Close() error {
	for _, t := range h.trees {
		t.close()
	}
	return nil
}

// Handle answers one request, or passes it to Options.Next.
func (h *Handler) Handle(ctx *fasthttp.RequestCtx) {
	t := TargetOf(ctx)
	if t.Err != nil {
		h.status(ctx, fasthttp.StatusBadRequest)
		return
	}
	switch classOf(ctx.Method()) {
	case methodFile:
		h.get(ctx, t)
	case methodOptions:
		h.options(ctx, t)
	case methodRefused:
		h.methodNotAllowed(ctx)
	default:
		if h.opts.Next != nil {
			h.opts.Next(ctx)
			return
		}
		h.methodNotAllowed(ctx)
	}
}

// get answers GET and HEAD.
func (h *Handler) get(ctx *fasthttp.RequestCtx, t *Target) {
	if !t.plain {
		h.decline(ctx)
		return
	}
	now := h.now(ctx)
	for _, tree := range h.trees {
		tree.refresh(int64(now.Sub(h.started)), refreshInterval)
	}
	s := h.scratch.Get().(*scratch)
	defer h.scratch.Put(s)
	f, err := h.lookup(s, t.Path)
	if err != nil {
		h.trouble(ctx, t, err)
		return
	}
	switch f.outcome {
	case outcomeFile:
		h.serveFile(ctx, t, s, f, now)
	case outcomeRedirect:
		h.redirect(ctx, t)
	case outcomeDirectory:
		h.list(ctx, t, f)
	default:
		h.decline(ctx)
	}
}

// decline passes the request on.
func (h *Handler) decline(ctx *fasthttp.RequestCtx) {
	if h.opts.Next != nil {
		h.opts.Next(ctx)
		return
	}
	h.status(ctx, fasthttp.StatusNotFound)
}

// trouble answers when the file system could not say whether there is a file. The
// application must not be asked instead: it might answer, and be believed.
func (h *Handler) trouble(ctx *fasthttp.RequestCtx, t *Target, err error) {
	h.opts.Logger.Error("static: look up file", "path", string(t.Path), "error", err)
	h.status(ctx, fasthttp.StatusInternalServerError)
}

// now is the time of the request: fasthttp asked the clock when it was read.
func (h *Handler) now(ctx *fasthttp.RequestCtx) time.Time {
	if now := ctx.Time(); !now.IsZero() {
		return now
	}
	return time.Now() // a request made by hand, in a test
}
