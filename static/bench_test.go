package static

import (
	"testing"

	"github.com/valyala/fasthttp"
)

// declinedAllocs is the number of allocations of a request that static declines,
// Options.Next not counted.
const declinedAllocs = 0

func benchRequest(b testing.TB, h *Handler, target string) *fasthttp.RequestCtx {
	b.Helper()
	ctx := new(fasthttp.RequestCtx)
	ctx.Request.Header.SetRequestURI(target)
	ctx.Request.Header.SetHost("test")
	h.Handle(ctx)
	return ctx
}

// again makes ctx ready for the same request once more, as a server does between two
// requests of a connection.
func again(ctx *fasthttp.RequestCtx) {
	ctx.Request.ResetUserValues()
	ctx.Response.Reset()
}

// BenchmarkDeclined is the way of a request for the application: one openat2 that
// finds nothing, declinedAllocs allocations.
func BenchmarkDeclined(b *testing.B) {
	h, err := New(Options{Root: b.TempDir(), HideSource: true, Next: func(*fasthttp.RequestCtx) {}})
	if err != nil {
		b.Fatal(err)
	}
	defer h.Close()
	ctx := benchRequest(b, h, "/polls/17/vote?next=/a%20b")
	b.ReportAllocs()
	for b.Loop() {
		again(ctx)
		h.Handle(ctx)
	}
}
