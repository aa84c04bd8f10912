package main

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

// What happens to a connection whose handler leaves (a part of) the body.
func TestUnreadBody(t *testing.T) {
	const more = "GET /2 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
	head := func(n int) string {
		return fmt.Sprintf("POST /1 HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", n)
	}
	const chunkedHead = "POST /1 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
	for _, row := range []struct {
		name   string
		sent   string
		read   int64 // of the body of /1
		status int   // of /1
		want   string
	}{
		{"small, unread", head(3) + "abc" + more, 0, 200, "[200 200]"},
		{"small, read", head(3) + "abc" + more, 3, 200, "[200 200]"},
		{"small, answered with an error", head(3) + "abc" + more, 0, 404, "[404 200]"},
		{"as large as is dropped", head(drainLimit) + strings.Repeat("a", drainLimit) + more, 0, 200, "[200 200]"},
		{"larger than what is dropped", head(3*drainLimit) + strings.Repeat("a", 3*drainLimit) + more, 0, 200, "[200]"},
		{"larger, but read nearly to the end", head(3*drainLimit) + strings.Repeat("a", 3*drainLimit) + more, 3*drainLimit - 1, 200, "[200 200]"},
		{"not arrived yet", head(100_000) + strings.Repeat("a", 99_999), 0, 200, "[200]"},
		{"chunked, unread", chunkedHead + "1\r\na\r\n0\r\n\r\n" + more, 0, 200, "[200 200]"},
		{"chunked, read but for the last chunk", chunkedHead + "1\r\na\r\n0\r\n\r\n" + more, 1, 200, "[200 200]"},
		{"chunked, answered with an error", chunkedHead + "1\r\na\r\n0\r\n\r\n" + more, 9, 404, "[404 200]"},
		{"chunked, malformed, answered with an error", chunkedHead + "1\r\nab\r\n0\r\n\r\n" + more, 9, 404, "[404]"},
		{"chunked, its end not arrived yet", chunkedHead + "1\r\na\r\n0\r\n", 0, 200, "[200]"},
		{"chunked, malformed, unread", chunkedHead + "1\r\nab\r\n0\r\n\r\n" + more, 0, 200, "[200]"},
		{"chunked, not arrived yet", chunkedHead + "2\r\na", 0, 200, "[200]"},
	} {
		t.Run(row.name, func(t *testing.T) {
			server := &fasthttp.Server{Logger: quietLogger{}}
			(&hygiene{}).install(server, func(ctx *fasthttp.RequestCtx) {
				if ctx.Request.IsBodyStream() {
					_, _ = io.CopyN(io.Discard, bodyOf(ctx), row.read)
					ctx.SetStatusCode(row.status)
				}
			})
			client, inner := tcpPair(t)
			// All of it is here before it is looked at: no row depends on the speed.
			if err := inner.SetReadBuffer(1 << 20); err != nil {
				t.Fatal(err)
			}
			send(t, client, row.sent)
			pollUntil(t, "the request to arrive", func() bool { return inputQueue(t, inner) == len(row.sent) })
			go func() { _ = server.ServeConn(newConnection(inner, &timeouts{})) }()
			if got := fmt.Sprint(statusesUntilClose(t, client)); got != row.want {
				t.Errorf("statuses %s, want %s", got, row.want)
			}
		})
	}
}

// The end of the process would fail this test, and all others.
func TestPanic(t *testing.T) {
	var log bytes.Buffer
	server := &fasthttp.Server{Logger: quietLogger{}}
	h := &hygiene{log: slog.New(slog.NewTextHandler(&log, nil))}
	h.install(server, func(ctx *fasthttp.RequestCtx) {
		ctx.SetBodyStream(strings.NewReader("half an answer"), -1)
		ctx.Response.Header.Set("X-Half", "yes")
		panic("the cause")
	})
	client := &scriptedConn{}
	client.input.Reset([]byte(plainGet + smuggled))
	if err := server.ServeConn(newConnection(client, &timeouts{})); err != nil {
		t.Fatal(err)
	}
	output := client.output.String()
	if got := finalStatuses(t, output, nil); !slices.Equal(got, []int{500}) {
		t.Errorf("statuses %v, want [500]", got)
	}
	for _, unwanted := range []string{"half", "X-Half", "the cause", "goroutine"} {
		if strings.Contains(output, unwanted) {
			t.Errorf("the client got %q: %q", unwanted, output)
		}
	}
	for _, wanted := range []string{"the cause", "hygiene_body_test.go"} {
		if !strings.Contains(log.String(), wanted) {
			t.Errorf("the log lacks %q: %q", wanted, log.String())
		}
	}
}

func TestDropTrailers(t *testing.T) {
	const late = "X-Late: 1\r\nX_Late: 2\r\nA: 3\r\nX-Forwarded: 4\r\n"
	for _, row := range []struct {
		name, trailers string
		fields         string
		want           string // the values of A
	}{
		{"none", "", "A: 1\r\nA: 2\r\n", `["1" "2"]`},
		{"some", late, "A: 1\r\nA: 2\r\nCookie: c=d\r\n", `["1" "2"]`},
		{"some where the fields have dropped ones", late, "A: 1\r\nProxy: p\r\nA_b: c\r\nD_e: f\r\nG_h: i\r\nJ_k: l\r\n", `["1"]`},
	} {
		t.Run(row.name, func(t *testing.T) {
			var after string
			server := &fasthttp.Server{Logger: quietLogger{}}
			(&hygiene{}).install(server, func(ctx *fasthttp.RequestCtx) {
				_, _ = io.Copy(io.Discard, bodyOf(ctx))
			})
			inner := server.Handler
			server.Handler = func(ctx *fasthttp.RequestCtx) { // where an access log stands
				inner(ctx)
				header := &ctx.Request.Header
				after = fmt.Sprintf("%q", header.PeekAll("A"))
				for _, name := range []string{"X-Late", "X_late", "X-Forwarded", "Proxy", "A_b"} {
					if value := header.Peek(name); len(value) > 0 {
						t.Errorf("%s is %q", name, value)
					}
				}
				if string(header.Host()) != "h" {
					t.Errorf("the host is lost: %q", header.Host())
				}
			}
			client := &scriptedConn{}
			client.input.Reset([]byte("POST / HTTP/1.1\r\nHost: h\r\n" + row.fields +
				"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n" + row.trailers + "\r\n"))
			_ = server.ServeConn(newConnection(client, &timeouts{}))
			if after != row.want {
				t.Errorf("A has values %s, want %s; output %q", after, row.want, client.output.String())
			}
		})
	}
}

// A refusal is logged without a byte that could forge a line.
func TestRefusalLog(t *testing.T) {
	var log bytes.Buffer
	h := &hygiene{log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	for _, request := range []string{
		"GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n",
		"GET /\x1b[31m\xff HTTP/1.1\r\nHost: h\r\nA: b\x00\rlevel=ERROR\r\n\r\n",
	} {
		log.Reset()
		serveScript(t, h, request)
		text := log.String()
		if strings.Count(text, "\n") != 1 || !strings.Contains(text, "status=400") {
			t.Errorf("%q is logged as %q, want one line with the status", request, text)
		}
		for _, c := range []byte(strings.TrimSuffix(text, "\n")) {
			if c < ' ' || c >= 0x7f {
				t.Errorf("%q: byte %#x in the log", request, c)
			}
		}
	}
}
