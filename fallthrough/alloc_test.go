//go:build !race

package fallthru

import (
	"strings"
	"testing"
)

// TestHandleAllocations holds the hot path to handleAllocs.
func TestHandleAllocations(t *testing.T) {
	h := newTestHandler(t, Options{Mounts: []Mount{{Path: "/", Group: GroupOptions{Start: always(t, nil).start}}}})
	if err := h.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx := get(t, "/")
	if got := testing.AllocsPerRun(1000, func() { h.Handle(ctx) }); got != handleAllocs {
		t.Errorf("a request allocates %v times, want %d", got, handleAllocs)
	}
	body := strings.NewReader("")
	post := bodyCtx(body, 20_000)
	data := strings.Repeat("x", 20_000)
	if got := testing.AllocsPerRun(1000, func() {
		body.Reset(data)
		h.Handle(post)
	}); got != handleAllocs {
		t.Errorf("a request with a body in memory allocates %v times, want %d", got, handleAllocs)
	}
	if status := post.Response.StatusCode(); status != 200 {
		t.Errorf("status %d: %s", status, post.Response.Body())
	}
}
