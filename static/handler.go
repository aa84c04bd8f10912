package static

import (
	"sync"
	"sync/atomic"
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
	rules   *cacheRules
	extra   *responseFields
	started time.Time // zero of the handler's clock

	table      *table
	store      *store
	shared     *sharedForms // nil without peers
	nothing    *entry       // what look answers for a miss that is not remembered
	encoders   encoders
	revalidate int64        // nanoseconds
	encodeMax  int64        // bytes of the largest file that is coded on the fly
	maxOpen    int64        // descriptors kept open
	openFiles  atomic.Int64 // of maxOpen
	youngAge   int64        // nanoseconds, see defaultYoungAge

	maxListed, maxArchived, maxDepth int // the constants, but in tests

	freshNumber atomic.Uint64

	jobs    chan job
	stop    chan struct{}
	running sync.WaitGroup // the goroutines that end with stop

	scratch sync.Pool // of *scratch
	bodies  sync.Pool // of *fileBody
	blocks  sync.Pool // of *memoryBody
	buffers sync.Pool // of *[copyBuffer]byte
}

// refreshInterval is how often at most a tree looks whether its directory was
// replaced.
const refreshInterval = int64(time.Second)

// New returns a Handler for o. An error names the option and what is wrong with it; it
// is an OptionError where that is one field of o.
func New(o Options) (*Handler, error) {
	h := &Handler{started: time.Now(), nothing: new(entry), maxOpen: maxOpenFiles(), youngAge: defaultYoungAge,
		maxListed: maxListed, maxArchived: maxArchived, maxDepth: maxDepth,
		jobs: make(chan job, jobs), stop: make(chan struct{})}
	err := h.prepare(o)
	if err != nil {
		h.closeTrees()
		return nil, err
	}
	o = h.opts // with the defaults
	h.revalidate, h.encodeMax = int64(o.CacheRevalidate), min(encodeMax, o.CacheSize/16)
	for i, t := range h.trees {
		t.index = i
	}
	h.table = newTable(o.CacheEntries, h.drop)
	h.store = newStore(h, "", o.CacheSize)
	if o.Peers.Self != "" {
		h.store.get(&storeKey{}) // settles that this group has no peers
		if h.shared, err = newSharedForms(h, o.CacheSize/8); err != nil {
			h.closeTrees()
			return nil, err
		}
	}
	h.scratch.New = func() any { return &scratch{name: make([]byte, 0, 256)} }
	h.bodies.New = func() any { return new(fileBody) }
	h.buffers.New = func() any { return new([copyBuffer]byte) }
	h.blocks.New = func() any { return new(memoryBody) }
	h.running.Add(2)
	go h.improver()
	go h.sweeper()
	return h, nil
}

// sweeper closes idle descriptors until Close.
func (h *Handler) sweeper() {
	defer h.running.Done()
	tick := time.NewTicker(sweepInterval)
	defer tick.Stop()
	for {
		select {
		case <-h.stop:
			return
		case <-tick.C:
			h.sweep()
		}
	}
}

// Close gives back the directories and files that h holds. No request may be under
// way, and none may follow.
func (h *Handler) Close() error {
	close(h.stop)
	h.running.Wait()
	h.table.each(h.drop)
	h.closeTrees()
	return nil
}

func (h *Handler) closeTrees() {
	for _, t := range h.trees {
		t.close()
	}
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
	now := h.now(ctx)
	if !t.plain {
		h.decline(ctx, t, now)
		return
	}
	if h.opts.DirectoryDownload && h.download(ctx, t, now) {
		return
	}
	for try := 0; ; try++ {
		e, err := h.find(t.Path, now)
		if err == nil {
			err = h.answer(ctx, t, e, now)
		}
		switch {
		case err == nil:
			return
		case gone(err) && try < 10:
			// Replaced or removed between the look-up and the reading.
			h.forget(e)
		default:
			h.trouble(ctx, t, err)
			return
		}
	}
}

// answer does what an entry says. With an error nothing of the response is set yet.
func (h *Handler) answer(ctx *fasthttp.RequestCtx, t *Target, e *entry, now time.Time) error {
	switch e.outcome {
	case outcomeFile:
		changes := e.changes.Load()
		if err := h.serveFile(ctx, e, now); err != nil || h.opts.Answered == nil {
			return err
		}
		if status := ctx.Response.StatusCode(); status == fasthttp.StatusOK || status == fasthttp.StatusNotModified {
			h.opts.Answered(ctx, Source{h, e, changes})
		}
	case outcomeRedirect:
		h.redirect(ctx, t)
	case outcomeDirectory:
		return h.list(ctx, t, e)
	default:
		h.decline(ctx, t, now)
		if h.opts.Answered != nil && e != h.nothing && h.refusesMisses() {
			h.opts.Answered(ctx, Source{h, e, e.changes.Load()})
		}
	}
	return nil
}

// decline passes the request on, after the redirects and the single page.
func (h *Handler) decline(ctx *fasthttp.RequestCtx, t *Target, now time.Time) {
	if len(h.opts.Redirects) > 0 && h.ruled(ctx, t) {
		return
	}
	if h.opts.SPA != "" && t.plain {
		if h.singlePage(ctx, t, now) {
			return
		}
		// Whoever accepts text/html gets the page instead of what follows, and a
		// cache between must not give one for the other.
		defer h.addVary(ctx, "Accept")
	}
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
