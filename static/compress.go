package static

import (
	"strings"

	"github.com/valyala/fasthttp"
)

// level says how hard an encoder tries.
type level uint8

const (
	levelQuick level = iota // 80 to 140 MB/s: the first reader waits for it
	levelBest               // 1 to 30 MB/s: made in the background, then kept
	levels     = 2
)

func (l level) String() string { return [levels]string{"quick", "best"}[l] }

const (
	// encodeFloor is the size below which a coded form saves nothing: header and
	// body fit in one packet anyway.
	encodeFloor = 200
	// encodeInline is the size up to which the first reader waits for the quick
	// form (at most some 10 ms); for a larger file he gets it uncoded.
	encodeInline = 1 << 20
	// encodeMax is the size up to which a file is coded at all.
	encodeMax = 8 << 20
	// brotliSlow is the size up to which the best brotli level is 11 (0.65 MB/s); it
	// is 7 above (20 MB/s), which loses a hundredth against 9 and takes a third of
	// its memory.
	brotliSlow = 128 << 10
)

// compressible reports whether files of a type are worth coding: text, and the few
// binary types that are not compressed in themselves.
func compressible(contentType string) bool {
	t, _, _ := strings.Cut(contentType, ";")
	if strings.HasPrefix(t, "text/") || strings.HasSuffix(t, "+xml") || strings.HasSuffix(t, "+json") {
		return true
	}
	switch t {
	case "application/json", "application/xml", "application/jsonl", "application/wasm", "application/rtf",
		"application/postscript", "application/x-pem-file", "application/vnd.apple.mpegurl",
		"application/vnd.ms-fontobject", "application/x-tar", "application/vnd.sqlite3",
		"font/ttf", "font/otf", "font/collection", "image/bmp", "image/vnd.microsoft.icon",
		"model/gltf-binary", "audio/midi":
		return true
	}
	return false
}

// encodePage codes the body of an answer that is made for one request, such as a
// listing, as the client likes best. It returns nil when the client refuses every
// form.
func (h *Handler) encodePage(ctx *fasthttp.RequestCtx, page []byte) (coding, []byte) {
	w := acceptedCodings(&ctx.Request.Header)
	best := codingIdentity
	for c := codingIdentity; c > 0 && !h.opts.NoCompression && len(page) >= encodeFloor; {
		if c--; w[c] > 0 && w[c] >= w[best] {
			best = c
		}
	}
	if best != codingIdentity {
		coded, err := h.encoders.use(levelQuick, func(s *encoderSet) ([]byte, error) { return s.encode(best, page) })
		if err == nil {
			return best, coded
		}
		h.opts.Logger.Warn("static: encode", "coding", best.String(), "error", err)
	}
	if w[codingIdentity] == 0 {
		return codingIdentity, nil
	}
	return codingIdentity, page
}
