package main

import (
	"bufio"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

// eightFields is a request as a browser sends it.
const eightFields = "GET /some/path?with=a%20query HTTP/1.1\r\n" +
	"Host: www.example.org:8000\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n" +
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n" +
	"Accept-Language: en-US,en;q=0.5\r\n" +
	"Accept-Encoding: gzip, deflate, br, zstd\r\n" +
	"Connection: keep-alive\r\n" +
	"Cookie: sessionid=0123456789abcdef0123456789abcdef\r\n" +
	"Cache-Control: max-age=0\r\n\r\n"

// parseHead lets fasthttp parse head.
func parseHead(t testing.TB, head string) *fasthttp.RequestHeader {
	t.Helper()
	header := &fasthttp.RequestHeader{}
	if err := header.Read(bufio.NewReaderSize(strings.NewReader(head), maxHead)); err != nil {
		t.Fatal(err)
	}
	return header
}

func BenchmarkHeaderReceived(b *testing.B) {
	h := &hygiene{limitRequestBody: 10 << 20}
	for _, bench := range []struct{ name, head string }{
		{"8 fields", eightFields},
		{"1 field", "GET / HTTP/1.1\r\nHost: h\r\n\r\n"},
	} {
		b.Run(bench.name, func(b *testing.B) {
			header := parseHead(b, bench.head)
			b.ReportAllocs()
			for b.Loop() {
				if config := h.headerReceived(header); config.ReadTimeout != 0 {
					b.Fatal("a body was seen")
				}
			}
			if why := refusalOf(header); why != accepted {
				b.Fatalf("refused: %v", why)
			}
		})
	}
}
