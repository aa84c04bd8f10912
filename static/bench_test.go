package static

import (
	"bufio"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// declinedAllocs is the number of allocations of a request that static declines,
// Options.Next not counted.
const declinedAllocs = 0

func benchRequest(b testing.TB, h *Handler, target string, fields ...string) *fasthttp.RequestCtx {
	b.Helper()
	ctx := new(fasthttp.RequestCtx)
	head := "GET " + target + " HTTP/1.1\r\nHost: test\r\n" + strings.Join(append(fields, ""), "\r\n") + "\r\n"
	if err := ctx.Request.Header.Read(bufio.NewReader(strings.NewReader(head))); err != nil {
		b.Fatal(err)
	}
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

// BenchmarkHit is the way of a request for a cached small file, without the network:
// no system call, no allocation.
func BenchmarkHit(b *testing.B) {
	dir := b.TempDir()
	write(b, dir, "a.txt", "0123456789")
	h, err := New(Options{Root: dir, CacheRevalidate: time.Hour})
	if err != nil {
		b.Fatal(err)
	}
	defer h.Close()
	for name, fields := range map[string][]string{
		"bare": nil,
		"browser": {"User-Agent: Mozilla/5.0", "Accept: */*", "Accept-Language: en", "Accept-Encoding: gzip, deflate, br, zstd",
			"Referer: http://test/", "Sec-Fetch-Dest: style", "Sec-Fetch-Mode: no-cors", "Cookie: sessionid=0123456789abcdef"},
	} {
		b.Run(name, func(b *testing.B) {
			ctx := benchRequest(b, h, "/a.txt?v=1", fields...)
			b.ReportAllocs()
			for b.Loop() {
				again(ctx)
				h.Handle(ctx)
			}
		})
	}
}

// BenchmarkLookupDeep compares what looks for a file four folders down: openat2 with
// RESOLVE_BENEATH, and os.Root, which opens each folder on the way.
func BenchmarkLookupDeep(b *testing.B) {
	dir := b.TempDir()
	write(b, dir, "a/b/c/d/e.png", "x")
	for _, which := range []string{"openat2", "os.Root"} {
		b.Run(which, func(b *testing.B) {
			h, err := New(Options{Root: dir})
			if err != nil {
				b.Fatal(err)
			}
			defer h.Close()
			if which == "os.Root" {
				h.withoutOpenat2()
			}
			var s scratch
			b.ReportAllocs()
			for b.Loop() {
				if f, err := h.lookup(&s, []byte("/a/b/c/d/e.png")); err != nil || f.outcome != outcomeFile {
					b.Fatal(f, err)
				}
			}
		})
	}
}
