package pybridge

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

// browserHead is about what a browser sends.
const browserHead = "GET /catalogue/item?id=42&lang=en HTTP/1.1\r\n" +
	"Host: www.example.org:8000\r\n" +
	"Connection: keep-alive\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n" +
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n" +
	"Accept-Language: en-GB,en;q=0.5\r\n" +
	"Accept-Encoding: gzip, deflate, br, zstd\r\n" +
	"Referer: http://www.example.org:8000/catalogue\r\n" +
	"Cookie: sessionid=0123456789abcdef0123456789abcdef; csrftoken=0123456789abcdef\r\n" +
	"Sec-Fetch-Mode: navigate\r\n\r\n"

// djangoHead is about what a Django view answers.
const djangoHead = "200 OK\nContent-Type\ntext/html; charset=utf-8\nX-Frame-Options\nDENY\nVary\nCookie\n" +
	"X-Content-Type-Options\nnosniff\nReferrer-Policy\nsame-origin\nCross-Origin-Opener-Policy\nsame-origin\nContent-Length\n12"

// Allocations for each request in this package, the exchange apart.
const (
	appendRequestAllocs = 0
	applyHeadAllocs     = 0
	serveAllocs         = 0 // Worker.Serve: both of them, the exchange and the frames
)

func BenchmarkAppendRequest(b *testing.B) {
	ctx := contextOf(b, plainConn, browserHead)
	r := &Request{Path: []byte("/catalogue/item")}
	var fields fieldList
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = appendRequest(buf[:0], 1, ctx, r, &fields)
	}
}

func BenchmarkApplyHead(b *testing.B) {
	head := []byte(djangoHead)
	var resp fasthttp.Response
	b.ReportAllocs()
	for b.Loop() {
		resp.Reset()
		if _, err := applyHead(&resp, head); err != nil {
			b.Fatal(err)
		}
	}
}

// startQuickPeer starts a Worker whose other side answers every request at
// once, and allocates nothing for it.
func startQuickPeer(t testing.TB) *peer {
	t.Helper()
	p, started := offerPeer(t)
	p.hello(t)
	p.ready(t, started)
	answer := appendFrameHeader(nil, frameHeader{
		length: len(djangoHead) + 12, kind: frameResponse, flags: flagEnd | flagLast, head: len(djangoHead),
	})
	answer = append(append(answer, djangoHead...), "Hello World!"...)
	go func() {
		in, out := make([]byte, 1<<20), make([]byte, 0, 1<<20)
		for n := 0; ; {
			m, err := p.data.Read(in[n:])
			if err != nil {
				return
			}
			n += m
			done := 0
			out = out[:0]
			for {
				h, _, size, err := readFrame(in[done:n])
				if err != nil || size == 0 {
					break
				}
				start := len(out)
				out = append(out, answer...)
				binary.LittleEndian.PutUint32(out[start+4:], h.request)
				done += size
			}
			n = copy(in, in[done:n])
			if _, err := p.data.Write(out); err != nil {
				return
			}
		}
	}()
	return p
}

// BenchmarkServe is a request through a Worker whose other side, in this
// process, answers at once: both ends of the sockets, no Python. Several
// clients at once show what batching saves.
func BenchmarkServe(b *testing.B) {
	for _, clients := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			p := startQuickPeer(b)
			b.ReportAllocs()
			b.SetParallelism(max(clients/2, 1)) // times GOMAXPROCS
			b.RunParallel(func(pb *testing.PB) {
				ctx := new(fasthttp.RequestCtx)
				ctx.Init2(plainConn, nil, false)
				if err := ctx.Request.Header.Read(bufio.NewReader(strings.NewReader(browserHead))); err != nil {
					b.Error(err)
					return
				}
				r := &Request{Path: []byte("/catalogue/item")}
				free := func() {}
				for pb.Next() {
					ctx.Response.Reset()
					if err := p.worker.Serve(ctx, r, free); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}
