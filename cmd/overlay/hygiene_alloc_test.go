//go:build !race

package main

import (
	"testing"

	"github.com/valyala/fasthttp"
)

func TestHeaderReceivedAllocatesNothing(t *testing.T) {
	h := &hygiene{limitRequestBody: 10 << 20}
	for _, row := range []struct{ name, head string }{
		{"plain", eightFields},
		{"body and expectation", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"},
		{"refused", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 999999999\r\n\r\n"},
	} {
		header := parseHead(t, row.head)
		if n := testing.AllocsPerRun(1000, func() { h.headerReceived(header) }); n != 0 {
			t.Errorf("%s: %v allocations, want 0", row.name, n)
		}
	}
}

func TestHandleAllocatesNothing(t *testing.T) {
	h := &hygiene{}
	h.install(&fasthttp.Server{}, func(*fasthttp.RequestCtx) {})
	var ctx fasthttp.RequestCtx
	parseHead(t, eightFields).CopyTo(&ctx.Request.Header)
	if n := testing.AllocsPerRun(1000, func() { h.handle(&ctx) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func TestMetricsAllocateNothing(t *testing.T) {
	m := &siteMetrics{}
	handler := m.wrap(func(*fasthttp.RequestCtx) {})
	var ctx fasthttp.RequestCtx
	if n := testing.AllocsPerRun(1000, func() { handler(&ctx) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
