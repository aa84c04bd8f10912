//go:build !race

package static

import (
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

func TestDeclinedAllocs(t *testing.T) {
	calls := 0
	h, err := New(Options{Root: t.TempDir(), HideSource: true, Hide: []string{"*.bak", "/a/*"}, Next: func(*fasthttp.RequestCtx) { calls++ }})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	for _, target := range []string{"/polls/17/vote?next=/", "/a%20b/c", "/", "/with//empty", "http://host/x"} {
		ctx := benchRequest(t, h, target)
		before := calls
		if n := testing.AllocsPerRun(100, func() { again(ctx); h.Handle(ctx) }); n != declinedAllocs {
			t.Errorf("GET %s declined: %v allocations, want %d", target, n, declinedAllocs)
		}
		if calls == before {
			t.Errorf("GET %s was not declined", target)
		}
	}
}

// A hit allocates nothing, whatever it ends in.
func TestHitAllocs(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.txt", "0123456789")
	write(t, dir, "page.html", script)
	write(t, dir, "photo.png", script)
	h, err := New(Options{Root: dir, CacheRevalidate: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	h.believeAges()
	for _, tt := range []struct {
		name, target string
		fields       [][2]string
		status       int
	}{
		{"small file", "/a.txt", nil, 200},
		{"file that leaves the write buffer", "/photo.png", nil, 200},
		{"coded form", "/page.html", [][2]string{{"Accept-Encoding", "gzip, deflate, br, zstd"}}, 200},
		{"not modified", "/a.txt", [][2]string{{"If-None-Match", "*"}}, 304},
		{"not found", "/missing", nil, 404},
	} {
		ctx := new(fasthttp.RequestCtx)
		ctx.Request.Header.SetRequestURI(tt.target)
		for _, f := range tt.fields {
			ctx.Request.Header.Set(f[0], f[1])
		}
		run := func() { again(ctx); h.Handle(ctx) }
		for range 3 {
			run()
		}
		if n := testing.AllocsPerRun(200, run); n != 0 {
			t.Errorf("%s: %v allocations, want none", tt.name, n)
		}
		if got := ctx.Response.StatusCode(); got != tt.status {
			t.Errorf("%s: status %d, want %d", tt.name, got, tt.status)
		}
	}
}
