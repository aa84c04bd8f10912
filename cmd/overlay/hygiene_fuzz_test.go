package main

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"overlay/static"

	"github.com/valyala/fasthttp"
)

// FuzzHygiene sends any bytes over one connection. Every request that gets executed
// must be one that net/http, reading the same bytes from the same place, would read
// with the same method and body: then both agree where each request ends, and no
// byte of a body or of a refused request is ever executed.
func FuzzHygiene(f *testing.F) {
	for _, seed := range []string{
		plainGet + plainGet,
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc" + plainGet,
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3;x=\"y\"\r\nabc\r\n0\r\nT: u\r\n\r\n" + plainGet,
		"POST /unread HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" + plainGet,
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n" + plainGet,
		"GET http://u/ HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + plainGet,
		"GET / HTTP/1.1\r\nHost: h\r\nA: b\n\n" + plainGet,
		"GET / HTTP/1.1\nHost: h\n\n",
		"GET /% HTTP/1.1\r\nHost: h\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n",      // was taken for complete
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", // was taken for complete, too
		"\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na",
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9000\r\n\r\n" + strings.Repeat(plainGet, 300),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		h := &hygiene{
			limitRequestBody: 64 << 10,
			checkTarget:      func(ctx *fasthttp.RequestCtx) error { return static.TargetOf(ctx).Err },
		}
		_, requests, _ := serveScript(t, h, string(input))
		reader := bufio.NewReaderSize(bytes.NewReader(input), 1<<20)
		for i, got := range requests {
			skipEmptyLines(reader)
			want, err := http.ReadRequest(reader)
			if err != nil {
				t.Fatalf("request %d executed: %v; net/http: %v", i, got, err)
			}
			if want.Method != got.method {
				t.Fatalf("request %d executed: %v; net/http reads method %q", i, got, want.Method)
			}
			if want.Host != got.host {
				t.Fatalf("request %d executed: %v; net/http reads host %q", i, got, want.Host)
			}
			body, err := io.ReadAll(want.Body)
			unread := strings.HasPrefix(got.target, "/unread")
			if (err == nil) != (got.bodyErr == nil) && !unread {
				t.Fatalf("request %d executed: %v, body error %v; net/http: %v", i, got, got.bodyErr, err)
			}
			if string(body) != got.body && !unread && err == nil {
				t.Fatalf("request %d executed: %v; net/http reads body %q", i, got, body)
			}
			if err != nil && i+1 < len(requests) {
				t.Fatalf("request %d has a broken body (%v), and %v was executed after it", i, err, requests[i+1])
			}
		}
	})
}

// skipEmptyLines does what RFC 9112 section 2.2 recommends and net/http does not.
func skipEmptyLines(reader *bufio.Reader) {
	for {
		start, _ := reader.Peek(2)
		switch {
		case len(start) > 0 && start[0] == '\n':
			_, _ = reader.Discard(1)
		case string(start) == "\r\n":
			_, _ = reader.Discard(2)
		default:
			return
		}
	}
}

// FuzzScanFields: what is accepted consists of lines that each have a token for a
// name, a colon, no line end within, and CR LF behind.
func FuzzScanFields(f *testing.F) {
	for _, seed := range []string{"Host: h\r\n\r\n", "A_b: c\r\nProxy: d\r\n\r\n", "A: b\r\n c\r\n\r\n", "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", "\r\n", ":"} {
		f.Add([]byte(seed))
	}
	const token = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	f.Fuzz(func(t *testing.T, block []byte) {
		var fields fieldSummary
		if scanFields(block, &fields) != accepted {
			return
		}
		hosts, lines := 0, 0
		for _, line := range strings.SplitAfter(string(block), "\n") {
			if line == "\r\n" || line == "" {
				break
			}
			line, crlf := strings.CutSuffix(line, "\r\n")
			name, _, found := strings.Cut(line, ":")
			if !crlf || !found || name == "" || strings.Trim(name, token) != "" {
				t.Fatalf("line %q was accepted in %q", line, block)
			}
			if strings.EqualFold(name, "host") {
				hosts++
			}
			lines++
		}
		if lines > maxFields {
			t.Fatalf("%d lines were accepted", lines)
		}
		if fields.host != hosts {
			t.Fatalf("%d Host fields counted in %q, want %d", fields.host, block, hosts)
		}
	})
}

// FuzzValidHost: an accepted host has no byte that ends a host anywhere.
func FuzzValidHost(f *testing.F) {
	for _, seed := range []string{"h", "h:80", "[::1]:80", "u@h", "a/b", "", ":", "[", "[::1%25eth0]"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, host []byte) {
		if !validHost(host) {
			return
		}
		if len(host) == 0 || bytes.ContainsAny(host, "@/\\?#, \t\r\n<>\"") {
			t.Fatalf("host %q was accepted", host)
		}
		for _, c := range host {
			if c <= ' ' || c >= 0x7f {
				t.Fatalf("host %q was accepted", host)
			}
		}
	})
}
