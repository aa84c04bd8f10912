//go:build !race

package main

import (
	"io"
	"testing"

	"github.com/valyala/fasthttp"
)

func TestAccessLogAllocatesNothing(t *testing.T) {
	for _, format := range []string{"common", "combined", "json"} {
		l, err := newAccessLog(io.Discard, format)
		if err != nil {
			t.Fatal(err)
		}
		handler := l.wrap(func(*fasthttp.RequestCtx) {})
		ctx := newAccessCtx("/some/path?and=query")
		run := func() {
			handler(ctx)
			ctx.Request.ResetUserValues()
		}
		for range 5000 { // both buffers reach their size
			run()
		}
		if got := testing.AllocsPerRun(5000, run); got >= 1 {
			t.Errorf("%s: %v allocations per request, want none", format, got)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}
