package static

import "github.com/valyala/fasthttp"

// allow is the answer to OPTIONS, and what 405 must say (RFC 9110 section 15.5.6).
const allow = "GET, HEAD, OPTIONS"

type methodClass int

const (
	methodFile    methodClass = iota // GET and HEAD: the document root is asked
	methodOptions                    // answered here unless an application wants it
	methodRefused                    // TRACE, CONNECT: answered by nobody
	methodOther                      // the application's, or 405
)

// classOf sorts a request by its method. Methods are case-sensitive (RFC 9110
// section 9.1).
func classOf(method []byte) methodClass {
	switch string(method) {
	case "GET", "HEAD":
		return methodFile
	case "OPTIONS":
		return methodOptions
	case "TRACE", "CONNECT":
		// TRACE would echo the credentials of a page's user to a script (RFC 9110
		// section 9.3.8); overlay is no proxy to CONNECT through.
		return methodRefused
	}
	return methodOther
}

// options answers OPTIONS for the server as a whole ("*"), for files, and where there
// is no application that might know better.
func (h *Handler) options(ctx *fasthttp.RequestCtx, t *Target) {
	if h.opts.Next != nil && string(t.Path) != "*" {
		// A script's question about a file is answered here, as the file itself is.
		if h.extra.origins == nil || !t.plain || !h.isFile(ctx, t) {
			h.opts.Next(ctx)
			return
		}
	}
	if h.preflight(ctx) {
		h.status(ctx, fasthttp.StatusNoContent)
		return
	}
	ctx.Response.Header.Set("Allow", allow)
	h.status(ctx, fasthttp.StatusNoContent)
}

func (h *Handler) methodNotAllowed(ctx *fasthttp.RequestCtx) {
	ctx.Response.Header.Set("Allow", allow)
	h.status(ctx, fasthttp.StatusMethodNotAllowed)
}

func (h *Handler) isFile(ctx *fasthttp.RequestCtx, t *Target) bool {
	e, err := h.find(t.Path, h.now(ctx))
	return err == nil && e.outcome == outcomeFile
}
