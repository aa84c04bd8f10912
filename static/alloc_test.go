//go:build !race

package static

import (
	"testing"

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
