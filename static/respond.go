package static

import (
	"strconv"

	"github.com/valyala/fasthttp"
)

// status answers with a status code and, where one is allowed, a line of text that
// says no more than the code: nothing of an error or a file name reaches a client.
func (h *Handler) status(ctx *fasthttp.RequestCtx, code int) {
	h.common(ctx)
	ctx.Response.SetStatusCode(code)
	if code == fasthttp.StatusNoContent || code == fasthttp.StatusNotModified {
		return
	}
	ctx.Response.Header.SetCanonical(nameNosniff, valueNosniff)
	if h.opts.ErrorDocuments != nil && h.ErrorDocument(ctx, code) {
		return
	}
	if h.opts.ErrorPage != nil && code >= fasthttp.StatusBadRequest {
		h.opts.ErrorPage(ctx, code)
		return
	}
	ctx.Response.Header.SetContentType("text/plain; charset=utf-8")
	ctx.Response.SetBodyRaw(statusLines[code])
}

// statusLines are the bodies of answers without a file: "404 Not Found\n".
var statusLines = func() (lines [600][]byte) {
	for code := 300; code < len(lines); code++ {
		lines[code] = []byte(strconv.Itoa(code) + " " + fasthttp.StatusMessage(code) + "\n")
	}
	return lines
}()

// leaveBody is called for every request that is answered here. A body that came with
// it is not read: the connection is closed after the answer instead, since what
// follows on it would be the rest of that body, taken for a request.
func (h *Handler) leaveBody(ctx *fasthttp.RequestCtx) {
	if n := ctx.Request.Header.ContentLength(); n > 0 || n == -1 {
		ctx.Response.SetConnectionClose()
	}
}

// Names and values of response fields that are set as they stand.
var (
	nameNosniff      = []byte("X-Content-Type-Options")
	valueNosniff     = []byte("nosniff")
	nameETag         = []byte("Etag")
	nameLastModified = []byte("Last-Modified")
	nameAcceptRanges = []byte("Accept-Ranges")
	valueBytes       = []byte("bytes")
	nameContentRange = []byte("Content-Range")
	nameCacheControl = []byte("Cache-Control")
	nameVary         = []byte("Vary")

	valueAcceptEncoding = []byte("Accept-Encoding")
)
