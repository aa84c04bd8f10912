//go:build !race && !asan

package pybridge

import (
	"testing"

	"github.com/valyala/fasthttp"
)

// TestAllocations: what a request and its answer are made of is used again.
func TestAllocations(t *testing.T) {
	ctx := contextOf(t, plainConn, browserHead)
	r := &Request{Path: []byte("/catalogue/item"), HasBody: true, Body: []byte("a=b")}
	var fields fieldList
	var buf []byte
	if got := testing.AllocsPerRun(1000, func() { buf = appendRequest(buf[:0], 1, ctx, r, &fields) }); got != appendRequestAllocs {
		t.Errorf("appendRequest allocates %v times, want %d", got, appendRequestAllocs)
	}
	p := startQuickPeer(t)
	free := func() {}
	if got := testing.AllocsPerRun(1000, func() {
		ctx.Response.Reset()
		if err := p.worker.Serve(ctx, r, free); err != nil {
			t.Fatal(err)
		}
	}); got != serveAllocs {
		t.Errorf("Serve allocates %v times, want %d", got, serveAllocs)
	}
	head := []byte(djangoHead)
	var resp fasthttp.Response
	if got := testing.AllocsPerRun(1000, func() {
		resp.Reset()
		if _, err := applyHead(&resp, head); err != nil {
			t.Fatal(err)
		}
	}); got != applyHeadAllocs {
		t.Errorf("applyHead allocates %v times, want %d", got, applyHeadAllocs)
	}
}
