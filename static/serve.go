package static

import (
	"fmt"
	"time"

	"github.com/valyala/fasthttp"
)

// memoryLimit is the size up to which a file is kept in memory and sent with its
// header in one write; larger ones go by sendfile.
const memoryLimit = 64 << 10

// serveFile answers with the file of e: form, preconditions, range, body. With an
// error nothing of the response is set yet.
func (h *Handler) serveFile(ctx *fasthttp.RequestCtx, e *entry, now time.Time) error {
	request := &ctx.Request.Header
	asked := askedOf(request)
	accepted := onlyIdentity
	if asked&askedCoding != 0 {
		accepted = acceptedCodings(request)
	}
	f := h.choose(accepted, e)
	if f == nil {
		h.addVary(ctx, "Accept-Encoding")
		h.status(ctx, fasthttp.StatusNotAcceptable)
		return nil
	}
	val := validators{etag: f.etag, also: f.also, modified: e.modified, field: e.modField, coded: f.coding != codingIdentity}
	if asked&askedCondition != 0 {
		switch verdict, tag := val.evaluate(request); verdict {
		case verdictFailed:
			h.vary(ctx, e)
			h.status(ctx, fasthttp.StatusPreconditionFailed)
			return nil
		case verdictNotModified:
			h.formFields(ctx, e, tag)
			h.status(ctx, fasthttp.StatusNotModified)
			return nil
		}
	}
	part, partial := byteRange{0, f.size}, false
	var several []byteRange
	if value := h.rangeOf(ctx, asked); value != nil && val.rangeHolds(request.Peek("If-Range"), now) {
		var one [1]byteRange
		switch ranges, result := parseRange(one[:0], value, f.size); {
		case result == rangeUnsatisfiable:
			h.vary(ctx, e)
			h.unsatisfiable(ctx, f.size)
			return nil
		case result == rangeSatisfiable && len(ranges) == 1:
			part, partial = ranges[0], true
		case result == rangeSatisfiable:
			several = ranges
		}
	}
	if several != nil {
		return h.serveRanges(ctx, e, f, several)
	}
	if err := h.body(ctx, e, f, part); err != nil {
		return err
	}
	h.contentFields(ctx, e, f)
	ctx.Response.Header.SetContentTypeBytes(e.contentType)
	if partial {
		ctx.SetStatusCode(fasthttp.StatusPartialContent)
		ctx.Response.Header.SetCanonical(nameContentRange, part.appendContentRange(make([]byte, 0, 64), f.size))
	}
	return nil
}

// rangeOf returns the Range field value of a GET request, or nil. HEAD has none (RFC
// 9110 section 14.2), and a repeated one cannot be understood.
func (h *Handler) rangeOf(ctx *fasthttp.RequestCtx, a asked) []byte {
	if a&askedRange == 0 || !ctx.IsGet() {
		return nil
	}
	if values := ctx.Request.Header.PeekAll("Range"); len(values) == 1 {
		return values[0]
	}
	return nil
}

// serveRanges answers 206 with several ranges of f.
func (h *Handler) serveRanges(ctx *fasthttp.RequestCtx, e *entry, f *form, ranges []byteRange) error {
	boundary, err := h.multipart(ctx, e, f, ranges)
	if err != nil {
		return err
	}
	h.contentFields(ctx, e, f)
	ctx.SetStatusCode(fasthttp.StatusPartialContent)
	ctx.SetContentType("multipart/byteranges; boundary=" + boundary)
	return nil
}

// contentFields sets the fields of 200 and 206, but for Content-Type.
func (h *Handler) contentFields(ctx *fasthttp.RequestCtx, e *entry, f *form) {
	h.common(ctx)
	h.formFields(ctx, e, f.etag)
	header := &ctx.Response.Header
	header.SetCanonical(nameAcceptRanges, valueBytes)
	header.SetCanonical(nameNosniff, valueNosniff)
	if f.coding != codingIdentity {
		header.SetContentEncodingBytes(codingNames[f.coding])
	}
}

// formFields sets what 200, 206 and 304 have in common (RFC 9110 section 15.4.5).
func (h *Handler) formFields(ctx *fasthttp.RequestCtx, e *entry, tag []byte) {
	header := &ctx.Response.Header
	header.SetCanonical(nameETag, tag)
	header.SetCanonical(nameLastModified, e.modField)
	if e.cacheValue != nil {
		header.SetCanonical(nameCacheControl, e.cacheValue)
	}
	h.vary(ctx, e)
}

// vary tells caches that another Accept-Encoding may get another answer: on every
// form, the plain one too (RFC 9110 section 12.5.5).
func (h *Handler) vary(ctx *fasthttp.RequestCtx, e *entry) {
	switch {
	case !e.vary:
	case h.extra.origins == nil:
		ctx.Response.Header.SetCanonical(nameVary, valueAcceptEncoding)
	default:
		h.addVary(ctx, "Accept-Encoding")
	}
}

// unsatisfiable answers 416 and tells the size, so that the client can ask again.
func (h *Handler) unsatisfiable(ctx *fasthttp.RequestCtx, size int64) {
	h.status(ctx, fasthttp.StatusRequestedRangeNotSatisfiable)
	value := appendUnsatisfied(make([]byte, 0, 32), size)
	ctx.Response.Header.SetCanonical(nameContentRange, value)
}

// body puts the part of the form into the response.
func (h *Handler) body(ctx *fasthttp.RequestCtx, e *entry, f *form, part byteRange) error {
	if ctx.IsHead() {
		ctx.Response.SkipBody = true
		ctx.Response.Header.SetContentLength(int(part.length))
		return nil
	}
	if !f.encoded && f.size > memoryLimit {
		file, err := h.open(e, f)
		if err != nil {
			return err
		}
		ctx.Response.SetBodyStream(h.newFileBody(ctx, file, f.version, part), int(part.length))
		return nil
	}
	b, err := h.bytes(e, f)
	if err != nil {
		return err
	}
	h.setBytes(ctx, b[part.start:part.start+part.length])
	return nil
}

// bytes returns the body of a form that is kept in memory.
func (h *Handler) bytes(e *entry, f *form) ([]byte, error) {
	if blob := f.bytes.Load(); blob != nil {
		if b := blob.get(); b != nil {
			return b, nil
		}
	}
	if f.size == 0 {
		return nil, nil
	}
	b, err := h.store.get(h.key(e, f))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) != f.size {
		// An encoder that does not repeat itself, here or at a peer, would serve a body
		// that its tag and length do not fit. The next look makes the form anew.
		return nil, fmt.Errorf("%w: coded form of %d bytes, want %d", errChanged, len(b), f.size)
	}
	f.bytes.Store(newBlob(b))
	return b, nil
}
