package static

import (
	"errors"
	"time"

	"github.com/valyala/fasthttp"
)

// memoryLimit is the size up to which a file is read into memory and sent with its
// header in one write; larger ones go by sendfile.
const memoryLimit = 64 << 10

// serveFile answers with the file f: validators, preconditions, range, body.
func (h *Handler) serveFile(ctx *fasthttp.RequestCtx, t *Target, s *scratch, f found, now time.Time) {
	file, v, err := f.tree.open(s.room())
	if err != nil || v.kind != kindRegular || (v != f.version && h.private(v)) {
		// Removed or replaced since the look-up.
		if err == nil {
			file.release()
		}
		if err == nil || errors.Is(err, errAbsent) {
			h.decline(ctx)
			return
		}
		h.trouble(ctx, t, err)
		return
	}
	defer file.release()

	h.leaveBody(ctx)
	val := validators{etag: appendETag(make([]byte, 0, 48), v, ""), modified: v.lastModified(now)}
	val.field = val.modified.AppendFormat(make([]byte, 0, len(httpDate)), httpDate)
	header := &ctx.Response.Header
	header.SetCanonical(nameETag, val.etag)
	header.SetCanonical(nameLastModified, val.field)

	switch verdict, tag := val.evaluate(&ctx.Request.Header); verdict {
	case verdictFailed:
		h.status(ctx, fasthttp.StatusPreconditionFailed)
		return
	case verdictNotModified:
		header.SetCanonical(nameETag, tag)
		h.status(ctx, fasthttp.StatusNotModified)
		return
	}
	header.SetCanonical(nameAcceptRanges, valueBytes)
	header.SetCanonical(nameContentType, h.types.of(string(f.name)))
	header.SetCanonical(nameNosniff, valueNosniff)

	part := byteRange{0, v.size}
	if value := ctx.Request.Header.Peek("Range"); value != nil && ctx.IsGet() &&
		val.rangeHolds(ctx.Request.Header.Peek("If-Range"), now) {
		var one [1]byteRange
		ranges, result := parseRange(one[:0], value, v.size)
		switch {
		case result == rangeUnsatisfiable:
			h.unsatisfiable(ctx, v.size)
			return
		case result == rangeSatisfiable && len(ranges) == 1:
			part = ranges[0]
			ctx.SetStatusCode(fasthttp.StatusPartialContent)
			header.SetCanonical(nameContentRange, part.appendContentRange(make([]byte, 0, 64), v.size))
		}
	}
	h.send(ctx, file, v, part)
}

// unsatisfiable answers 416 and tells the size, so that the client can ask again.
func (h *Handler) unsatisfiable(ctx *fasthttp.RequestCtx, size int64) {
	ctx.Response.Header.Del("Accept-Ranges")
	h.status(ctx, fasthttp.StatusRequestedRangeNotSatisfiable)
	value := appendUnsatisfied(make([]byte, 0, 32), size)
	ctx.Response.Header.SetCanonical(nameContentRange, value)
}

// send puts the part of the file into the response.
func (h *Handler) send(ctx *fasthttp.RequestCtx, f *file, v version, part byteRange) {
	if part.length > memoryLimit {
		ctx.Response.SetBodyStream(h.newFileBody(ctx, f, v, part), int(part.length))
		return
	}
	if ctx.IsHead() {
		ctx.Response.SkipBody = true
		ctx.Response.Header.SetContentLength(int(part.length))
		return
	}
	b := make([]byte, part.length)
	if err := readExactly(f, v, b, part.start); err != nil {
		h.opts.Logger.Warn("static: read file", "error", err)
		ctx.Response.Reset()
		h.status(ctx, fasthttp.StatusInternalServerError)
		return
	}
	ctx.Response.SetBodyRaw(b)
}
