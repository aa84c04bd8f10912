package static

import (
	"bytes"
	"math"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
)

// singlePage answers a declined request with the page of Options.SPA, which makes of
// the path what it likes. It does so only for what a browser shows as a page: a
// missing script must stay a 404, and an application's own API must be reached.
func (h *Handler) singlePage(ctx *fasthttp.RequestCtx, t *Target, now time.Time) bool {
	if !h.wantsPage(ctx, t) {
		return false
	}
	e, err := h.find([]byte(h.opts.SPA), now)
	if err != nil || e.outcome != outcomeFile {
		h.opts.Logger.Error("static: single-page application: no such file", "path", h.opts.SPA, "error", err)
		return false
	}
	if h.serveFile(ctx, e, now) != nil {
		return false
	}
	h.addVary(ctx, "Accept")
	return true
}

// wantsPage reports whether a request is a browser's for a page: it accepts text/html
// by name or, where there is no application that it may be meant for, has a path
// without an extension.
func (h *Handler) wantsPage(ctx *fasthttp.RequestCtx, t *Target) bool {
	for rest, more := ctx.Request.Header.Peek("Accept"), true; more; {
		var element []byte
		element, rest, more = cutComma(rest)
		if name, q, ok := parseWeighted(element); ok && q > 0 && equalFold(name, "text/html") {
			return true
		}
	}
	return h.opts.Next == nil && bytes.IndexByte(t.Path[bytes.LastIndexByte(t.Path, '/')+1:], '.') < 0
}

// ErrorDocument makes the configured document for code the body of the response, and
// reports whether there is one. It leaves the status and other fields as they are.
// Other parts of the program may call it for the errors that they answer.
func (h *Handler) ErrorDocument(ctx *fasthttp.RequestCtx, code int) bool {
	p := h.opts.ErrorDocuments[code]
	if p == "" {
		return false
	}
	e, err := h.find([]byte(p), h.now(ctx))
	if err != nil || e.outcome != outcomeFile || e.plain.size > memoryLimit {
		h.opts.Logger.Error("static: error document: no file of at most 64 KiB", "status", code, "path", p, "error", err)
		return false
	}
	b, err := h.bytes(e, e.plain)
	if err != nil {
		h.opts.Logger.Error("static: error document", "status", code, "path", p, "error", err)
		return false
	}
	ctx.Response.Header.SetContentTypeBytes(e.contentType)
	ctx.Response.SetBodyRaw(b)
	return true
}

// checkFallbacks checks the options of this file.
func (o *Options) checkFallbacks() error {
	if o.SPA != "" && !plainPath(o.SPA) {
		return optionError("SPA", "got %q, want the URL path of a file", o.SPA)
	}
	for code, p := range o.ErrorDocuments {
		if code < 400 || code > 599 {
			return optionError("ErrorDocuments", "got status %d, want 400 to 599", code)
		}
		if !plainPath(p) {
			return optionError("ErrorDocuments", "got %q, want the URL path of a file", p)
		}
	}
	return nil
}

// checkPaths asks, once the trees are open, whether the files of SPA and
// ErrorDocuments are there: an option without effect is an error.
func (h *Handler) checkPaths() error {
	check := func(option, p string, most int64) error {
		s := &scratch{}
		f, err := h.lookup(s, []byte(p))
		switch {
		case err != nil || f.outcome != outcomeFile:
			return optionError(option, "%q: no such file in the document root", p)
		case f.version.size > most:
			return optionError(option, "%q has %d bytes, want %d at most", p, f.version.size, most)
		}
		return nil
	}
	if h.opts.SPA != "" {
		if err := check("SPA", h.opts.SPA, math.MaxInt64); err != nil {
			return err
		}
	}
	for _, p := range h.opts.ErrorDocuments {
		if err := check("ErrorDocuments", p, memoryLimit); err != nil {
			return err
		}
	}
	return nil
}

// plainPath reports whether p is a decoded URL path that may name a file.
func plainPath(p string) bool {
	var t Target
	t.parse([]byte(strings.ReplaceAll(p, "%", "%25")))
	return t.Err == nil && t.plain && strings.HasPrefix(p, "/") && t.Query == nil
}
