package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"overlay/http2"
	"overlay/tlsauth"
	"overlay/tlsauth/tlstest"

	"github.com/valyala/fasthttp"
	nethttp2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// http2Site is a server of both HTTP/1.1 and HTTP/2 with one handler.
type http2Site struct {
	url    string
	ca     *tlstest.CA
	server *fasthttp.Server
	h2     *http2Server
	log    *sharedBuffer // access log
}

func startHTTP2(t testing.TB, cfg config, handler fasthttp.RequestHandler) *http2Site {
	t.Helper()
	s := &http2Site{ca: tlstest.NewCA(t), log: &sharedBuffer{}}
	certificate, key := s.ca.Issue(t).Files(t)
	served, err := tlsauth.New(tlsauth.Options{CertificateFile: certificate, KeyFile: key, NextProtos: []string{"h2", "http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	access, err := newAccessLog(s.log, "common")
	if err != nil {
		t.Fatal(err)
	}
	g := &clientGate{tls: served, log: slog.New(slog.DiscardHandler)}
	h := &hygiene{limitRequestBody: cfg.LimitRequestBody, checkTarget: targetError}
	s.server = &fasthttp.Server{Logger: quietLogger{}, CloseOnShutdown: true}
	h.install(s.server, g.wrap(handler))
	s.server.Handler = access.wrap(s.server.Handler)
	s.server.ErrorHandler = access.wrapError(s.server.ErrorHandler)
	s.h2 = newHTTP2Server(&cfg, h, g, access.wrap, s.server.ErrorHandler)
	s.server.NextProto("h2", s.h2.serve)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = s.server.Serve(listenTLSConnections(listener, timeouts{header: long, socket: cfg.SocketTimeout}, served.Config()))
	}()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		s.h2.shutDown(ctx)
		_ = s.server.ShutdownWithContext(ctx)
		_ = access.Close()
	})
	s.url = "https://" + listener.Addr().String()
	return s
}

// client returns an HTTP client that speaks HTTP/2 alone.
func (s *http2Site) client() *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.ca.Pool()}, Protocols: protocols}, Timeout: patience}
}

// exchange sends one request and returns status, fields and body.
func (s *http2Site) exchange(t testing.TB, r *http.Request) (*http.Response, string) {
	t.Helper()
	response, err := s.client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.ProtoMajor != 2 {
		t.Fatalf("protocol %s", response.Proto)
	}
	return response, string(body)
}

func request(t testing.TB, method, url string, body io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// What a handler sees of a request of HTTP/2, and what the client gets back.
func TestHTTP2Requests(t *testing.T) {
	s := startHTTP2(t, config{LimitRequestBody: 1000}, func(ctx *fasthttp.RequestCtx) {
		var body []byte
		if ctx.Request.IsBodyStream() {
			var err error
			if body, err = io.ReadAll(bodyOf(ctx)); err != nil {
				ctx.SetStatusCode(400)
				return
			}
		}
		ctx.Response.Header.Set("X-Seen", fmt.Sprintf("%s %s host=%s a=%q cookie=%q length=%d secure=%v body=%d remote=%v trailer=%q under=%q",
			ctx.Method(), ctx.RequestURI(), ctx.Host(), ctx.Request.Header.PeekAll("A"), ctx.Request.Header.Peek("Cookie"),
			ctx.Request.Header.ContentLength(), ctx.IsTLS(), len(body), ctx.RemoteIP(), ctx.Request.Header.Peek("T"), ctx.Request.Header.Peek("A_b")))
		ctx.Response.Header.Set("Connection", "keep-alive")
		ctx.Response.Header.Add("Set-Cookie", "x=1")
		ctx.SetContentType("text/x-own")
		ctx.SetBodyString("answer")
	})
	host := strings.TrimPrefix(s.url, "https://")
	for _, row := range []struct {
		name, method, target string
		change               func(*http.Request)
		status               int
		seen, body           string
	}{
		{"plain", "GET", "/a%20b?c=d", nil, 200, "GET /a%20b?c=d host=HOST a=[] cookie=\"\" length=-2 secure=true body=0 remote=127.0.0.1 trailer=\"\" under=\"\"", "answer"},
		{"HEAD", "HEAD", "/", nil, 200, "HEAD / host=HOST", ""},
		{"repeated fields", "GET", "/", func(r *http.Request) { r.Header["A"] = []string{"1", "2"} }, 200, `a=["1" "2"]`, "answer"},
		{"cookies", "GET", "/", func(r *http.Request) { r.Header["Cookie"] = []string{"a=1; b=2"} }, 200, `cookie="a=1; b=2"`, "answer"},
		{"underscore", "GET", "/", func(r *http.Request) { r.Header["A_b"] = []string{"1"} }, 200, `under=""`, "answer"},
		{"length known", "POST", "/", func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(strings.NewReader("abc")), 3 }, 200, "length=3 secure=true body=3", "answer"},
		{"length not known", "POST", "/", func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(strings.NewReader("abc")), -1 }, 200, "length=-1 secure=true body=3", "answer"},
		{"trailers are dropped", "POST", "/", func(r *http.Request) {
			r.Body, r.ContentLength, r.Trailer = io.NopCloser(strings.NewReader("abc")), -1, http.Header{"T": []string{"x"}}
		}, 200, `trailer=""`, "answer"},
		{"body over the limit", "POST", "/", func(r *http.Request) {
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(strings.Repeat("a", 1001))), 1001
		}, 413, "", ""},
		{"another method", "PROPFIND", "/", nil, 200, "PROPFIND /", "answer"},
		{"TRACE", "TRACE", "/", nil, 405, "", ""},
		{"host that is two", "GET", "/", func(r *http.Request) { r.Host = "a,b" }, 400, "", ""},
		{"path that climbs", "GET", "/../x", nil, 400, "", ""},
		{"NUL in the path", "GET", "/%00", nil, 400, "", ""},
		{"too many fields", "GET", "/", func(r *http.Request) {
			for i := range 200 {
				r.Header.Set(fmt.Sprintf("x-%d", i), "1")
			}
		}, 431, "", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := request(t, row.method, s.url+row.target, nil)
			if strings.Contains(row.target, "..") {
				r.URL.Opaque = row.target
			}
			if row.change != nil {
				row.change(r)
			}
			response, body := s.exchange(t, r)
			if response.StatusCode != row.status {
				t.Fatalf("status %d, want %d", response.StatusCode, row.status)
			}
			seen, want := response.Header.Get("X-Seen"), strings.Replace(row.seen, "HOST", host, 1)
			if !strings.Contains(seen, want) {
				t.Errorf("the handler saw %q, want %q in it", seen, want)
			}
			if row.status != 200 {
				return
			}
			if body != row.body || response.ContentLength != 6 || response.Header.Get("Content-Type") != "text/x-own" ||
				response.Header.Get("Server") != "overlay" || response.Header.Get("Set-Cookie") != "x=1" || response.Header.Get("Date") == "" {
				t.Errorf("body %q, length %d, fields %v", body, response.ContentLength, response.Header)
			}
		})
	}
	pollUntil(t, "the access log", func() bool {
		return strings.Contains(s.log.String(), `"GET /a%20b?c=d HTTP/2.0" 200 6`) && strings.Contains(s.log.String(), `"HEAD / HTTP/2.0" 200 -`)
	})
}

// A head that is no request, or too long, or refused, gets the page and the line in the log that
// it gets over HTTP/1.1, but its stream alone ends.
func TestHTTP2UnreadableHeads(t *testing.T) {
	s := startHTTP2(t, config{}, func(ctx *fasthttp.RequestCtx) { ctx.SetBodyString("answer") })
	conn, err := tls.Dial("tcp", strings.TrimPrefix(s.url, "https://"), &tls.Config{RootCAs: s.ca.Pool(), NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Write([]byte(nethttp2.ClientPreface)); err != nil {
		t.Fatal(err)
	}
	framer := nethttp2.NewFramer(conn, conn)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	_ = framer.WriteSettings()
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for i, row := range []struct {
		name, method string
		field        string // of x-field
		host         string
		status       string
		body         string // a part of it
		line         string
	}{
		{"fine", "GET", "1", "h", "200", "answer", `"GET / HTTP/2.0" 200 6`},
		{"a method that is none", "G(T", "1", "h", "400", "400 Bad Request", `"-" 400 `},
		{"another host", "GET", "1", "other", "400", "400 Bad Request", `"-" 400 `},
		{"refused", "TRACE", "1", "h", "405", "405 Method Not Allowed", `"TRACE / HTTP/2.0" 405 `},
		{"too much", "GET", strings.Repeat("a", maxHead), "h", "431", "431 Request Header Fields Too Large", `"-" 431 `},
		{"too much of HEAD", "HEAD", strings.Repeat("a", maxHead), "h", "431", "", `"-" 431 `},
		{"none of HEAD", "HEAD", "1", "other", "400", "", `"-" 400 `},
		{"fine again", "GET", "2", "h", "200", "answer", `"GET / HTTP/2.0" 200 6`},
	} {
		t.Run(row.name, func(t *testing.T) {
			id := uint32(2*i + 1)
			block.Reset()
			for _, f := range [][2]string{{":method", row.method}, {":scheme", "https"}, {":path", "/"}, {":authority", "h"}, {"host", row.host}, {"x-field", row.field}} {
				_ = encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
			}
			before := len(s.log.String())
			if err := framer.WriteHeaders(nethttp2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true}); err != nil {
				t.Fatal(err)
			}
			status, body := "", ""
			for ended := false; !ended; {
				f, err := framer.ReadFrame()
				if err != nil {
					t.Fatal(err)
				}
				switch f := f.(type) {
				case *nethttp2.MetaHeadersFrame:
					status, ended = f.PseudoValue("status"), f.StreamEnded()
				case *nethttp2.DataFrame:
					body, ended = body+string(f.Data()), f.StreamEnded()
				case *nethttp2.GoAwayFrame, *nethttp2.RSTStreamFrame:
					t.Fatalf("%v", f)
				}
			}
			if status != row.status || !strings.Contains(body, row.body) || row.method == "HEAD" && body != "" {
				t.Errorf("status %s, body %q", status, body)
			}
			pollUntil(t, "the access log", func() bool { return strings.Contains(s.log.String()[before:], row.line) })
		})
	}
}

// A client may have many requests wait: each holds little of the server's memory.
func TestHTTP2MemoryOfWaiting(t *testing.T) {
	const conns, streams, limit = 5, 100, 32 << 10
	entered, leave := make(chan struct{}), make(chan struct{})
	s := startHTTP2(t, config{}, detached(func(ctx *fasthttp.RequestCtx) {
		entered <- struct{}{}
		<-leave
		ctx.SetBodyString("answer")
	}))
	defer close(leave)
	used := func() uint64 {
		runtime.GC()
		runtime.GC() // what pools keep is gone with the second
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc + m.StackInuse
	}
	before := used()
	for range conns {
		conn, err := tls.Dial("tcp", strings.TrimPrefix(s.url, "https://"), &tls.Config{RootCAs: s.ca.Pool(), NextProtos: []string{"h2"}})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		b := bytes.NewBufferString(nethttp2.ClientPreface)
		framer := nethttp2.NewFramer(b, nil)
		_ = framer.WriteSettings()
		for i := range uint32(streams) {
			// GET https://h/ of the static table
			_ = framer.WriteHeaders(nethttp2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: []byte("\x82\x87\x84\x41\x01h"), EndStream: true, EndHeaders: true})
		}
		if _, err := conn.Write(b.Bytes()); err != nil {
			t.Fatal(err)
		}
		for range streams {
			<-entered
		}
	}
	if each := (int64(used()) - int64(before)) / (conns * streams); each > limit {
		t.Errorf("a request that waits holds %d bytes, want %d at most", each, limit)
	} else {
		t.Logf("a request that waits holds %d bytes", each)
	}
}

// What a response must not have in HTTP/2 is left out, and the rest arrives; several cookies
// of a request are one field, and an expectation that nobody knows is refused.
func TestHTTP2Fields(t *testing.T) {
	s := startHTTP2(t, config{}, func(ctx *fasthttp.RequestCtx) {
		header := &ctx.Response.Header
		header.Set("X-Own_Name", "kept")
		header.Set("X Space", "dropped")
		header.Set("Keep-Alive", "dropped")
		header.Set("Upgrade", "dropped")
		header.Add("Set-Cookie", "a=1")
		header.Add("Set-Cookie", "b=2")
		header.Set("X-Cookie", string(ctx.Request.Header.Peek("Cookie")))
	})
	client := s.client()
	for range 2 { // the second is in the table of fields
		r := request(t, "GET", s.url, nil)
		r.Header["Cookie"] = []string{"a=1", "b=2"}
		response, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if date, err := http.ParseTime(response.Header.Get("Date")); err != nil || time.Since(date) > time.Hour {
			t.Errorf("Date %q", response.Header["Date"])
		}
		response.Header.Del("Date")
		want := http.Header{
			"X-Own_name": {"kept"}, "X-Cookie": {"a=1; b=2"}, "Set-Cookie": {"a=1", "b=2"},
			"Server": {"overlay"}, "Content-Length": {"0"},
		}
		if fmt.Sprint(response.Header) != fmt.Sprint(want) {
			t.Errorf("fields %v, want %v", response.Header, want)
		}
	}
	r := request(t, "POST", s.url, strings.NewReader("x"))
	r.Header.Set("Expect", "wonders")
	if response, _ := s.exchange(t, r); response.StatusCode != http.StatusExpectationFailed {
		t.Errorf("Expect: wonders: status %d", response.StatusCode)
	}
}

// Whoever asks late whether the client of a request is gone hears of that request, and not
// of a later one.
func TestHTTP2GoneLate(t *testing.T) {
	conns := make(chan net.Conn, 2)
	entered, leave := make(chan struct{}), make(chan struct{})
	s := startHTTP2(t, config{}, detached(func(ctx *fasthttp.RequestCtx) {
		conns <- ctx.Conn()
		if string(ctx.Path()) == "/wait" {
			close(entered)
			<-leave
		}
	}))
	client := s.client()
	response, err := client.Do(request(t, "GET", s.url+"/", nil))
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-entered
		cancel()
	}()
	if _, err := client.Do(request(t, "GET", s.url+"/wait", nil).WithContext(ctx)); err == nil {
		t.Error("a request that was given up is answered")
	}
	first, second := <-conns, <-conns
	pollUntil(t, "the end of the second request to be known", func() bool { return second.(*http2Conn).Gone() })
	if first.(*http2Conn).Gone() {
		t.Error("the first request is gone with the second")
	}
	close(leave)
}

// A response comes as it is made, and one that is cut short never looks complete.
func TestHTTP2Responses(t *testing.T) {
	next := make(chan string)
	s := startHTTP2(t, config{}, func(ctx *fasthttp.RequestCtx) {
		switch string(ctx.Path()) {
		case "/stream":
			ctx.SetBodyStream(&channelReader{c: next}, -1)
		case "/cut":
			ctx.SetBodyStream(io.MultiReader(strings.NewReader("half"), failingReader{}), -1)
		case "/short":
			ctx.SetBodyStream(strings.NewReader("half"), 8)
		case "/panic":
			panic("a bug")
		case "/empty":
			ctx.SetStatusCode(204)
		case "/untyped":
			ctx.Response.Header.SetNoDefaultContentType(true)
			ctx.SetBodyString("<html>")
		}
	})
	go func() { next <- "one" }()
	response, err := s.client().Do(request(t, "GET", s.url+"/stream", nil))
	if err != nil {
		t.Fatal(err)
	}
	for i, part := range []string{"one", "two"} {
		if i > 0 {
			next <- part
		}
		got := make([]byte, len(part)) // arrives although the response is not over
		if _, err := io.ReadFull(response.Body, got); err != nil || string(got) != part {
			t.Fatalf("read %q, %v, want %q", got, err, part)
		}
	}
	close(next)
	if rest, err := io.ReadAll(response.Body); err != nil || len(rest) > 0 {
		t.Errorf("rest %q, %v", rest, err)
	}
	for _, target := range []string{"/cut", "/short"} {
		response, err := s.client().Do(request(t, "GET", s.url+target, nil))
		if err == nil {
			_, err = io.ReadAll(response.Body)
		}
		if err == nil {
			t.Errorf("%s: a response that is cut short looks complete", target)
		}
	}
	for target, want := range map[string]int{"/panic": 500, "/empty": 204} {
		if response, _ := s.exchange(t, request(t, "GET", s.url+target, nil)); response.StatusCode != want {
			t.Errorf("%s: status %d, want %d", target, response.StatusCode, want)
		}
	}
	if response, _ := s.exchange(t, request(t, "GET", s.url+"/untyped", nil)); response.Header["Content-Type"] != nil {
		t.Errorf("Content-Type %q, though the handler set none", response.Header["Content-Type"])
	}
}

// channelReader is a body whose parts come when the test sends them. It knows how
// to write itself, as the body of an application does.
type channelReader struct{ c chan string }

func (r *channelReader) Read([]byte) (int, error) { return 0, errors.New("WriteTo is there") }

func (r *channelReader) WriteTo(w io.Writer) (total int64, err error) {
	for part := range r.c {
		n, err := io.WriteString(w, part)
		if total += int64(n); err != nil {
			return total, err
		}
		if err := w.(interface{ Flush() error }).Flush(); err != nil {
			return total, err
		}
	}
	return total, nil
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, errors.New("the disk is gone") }

// endless counts what is read from it.
type endless struct{ sent atomic.Int64 }

func (e *endless) Read(p []byte) (int, error) {
	e.sent.Add(int64(len(p)))
	return len(p), nil
}

// A client that does not read stops the sender, and one that does not read for too
// long is cut; meanwhile other streams of its connection go on.
func TestHTTP2BackPressure(t *testing.T) {
	var body endless
	ended := make(chan struct{})
	s := startHTTP2(t, config{SocketTimeout: 500 * time.Millisecond}, func(ctx *fasthttp.RequestCtx) {
		if string(ctx.Path()) == "/endless" {
			ctx.SetBodyStream(&closing{Reader: &body, closed: ended}, -1)
		}
	})
	client := s.client()
	response, err := client.Do(request(t, "GET", s.url+"/endless", nil))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	for range 3 {
		other, err := client.Do(request(t, "GET", s.url+"/", nil))
		if err != nil {
			t.Fatal(err)
		}
		_ = other.Body.Close()
	}
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatal("a client that reads nothing is still served")
	}
	if n := body.sent.Load(); n > 32<<20 {
		t.Errorf("%d bytes were made for a client that reads nothing", n)
	}
}

type closing struct {
	io.Reader
	closed chan struct{}
}

func (c *closing) Close() error {
	close(c.closed)
	return nil
}

// The body of a request comes as it is wanted: a handler that does not read holds
// up the sender, one that reads gets all of it.
func TestHTTP2Upload(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789abcdef"), 1<<16) // 1 MiB
	wait := make(chan struct{})
	s := startHTTP2(t, config{}, func(ctx *fasthttp.RequestCtx) {
		switch string(ctx.Path()) {
		case "/read":
			n, err := io.Copy(io.Discard, bodyOf(ctx))
			fmt.Fprintf(ctx, "%d %v", n, err)
		case "/wait":
			<-wait
		}
	})
	if _, body := s.exchange(t, request(t, "POST", s.url+"/read", io.MultiReader(bytes.NewReader(content)))); body != "1048576 <nil>" {
		t.Errorf("the handler read %q", body)
	}
	var sent endless
	ctx, cancel := context.WithCancel(t.Context())
	r := request(t, "POST", s.url+"/wait", &sent).WithContext(ctx)
	done := make(chan error, 1)
	go func() {
		_, err := s.client().Do(r)
		done <- err
	}()
	pollUntil(t, "the sender to stop", func() bool {
		before := sent.sent.Load()
		time.Sleep(50 * time.Millisecond)
		return before > 0 && before == sent.sent.Load()
	})
	if n := sent.sent.Load(); n > 8<<20 {
		t.Errorf("%d bytes were taken from a client though nobody reads them", n)
	}
	cancel()
	close(wait)
	if err := <-done; err == nil {
		t.Error("an upload without an end was answered")
	}
}

// A body that stops coming, or comes too slowly, ends with a timeout that the
// handler can tell, and the client gets its answer.
func TestHTTP2SlowUpload(t *testing.T) {
	for name, cfg := range map[string]config{
		"silence": {SocketTimeout: 4 * short},
		"rate":    {SocketTimeout: long, BodyTimeout: 4 * short, BodyMinRate: 1000},
	} {
		t.Run(name, func(t *testing.T) {
			s := startHTTP2(t, cfg, func(ctx *fasthttp.RequestCtx) {
				n, err := io.Copy(io.Discard, bodyOf(ctx))
				var timeout net.Error
				ctx.SetStatusCode(fasthttp.StatusRequestTimeout)
				fmt.Fprintf(ctx, "%d %v", n, errors.As(err, &timeout) && timeout.Timeout())
			})
			reader, writer := io.Pipe()
			go func() { _, _ = writer.Write([]byte("abc")) }()
			response, body := s.exchange(t, request(t, "POST", s.url, reader))
			_ = writer.Close()
			if response.StatusCode != 408 || body != "3 true" {
				t.Errorf("status %d, the handler read %q", response.StatusCode, body)
			}
		})
	}
}

// A stop lets streams in flight finish and takes no more.
func TestHTTP2Shutdown(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	s := startHTTP2(t, config{}, func(ctx *fasthttp.RequestCtx) {
		close(entered)
		<-leave
		ctx.SetBodyString("finished")
	})
	client := s.client()
	answer := make(chan string, 1)
	go func() {
		response, err := client.Do(request(t, "GET", s.url+"/", nil))
		if err != nil {
			answer <- err.Error()
			return
		}
		body, _ := io.ReadAll(response.Body)
		answer <- string(body)
	}()
	<-entered
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	stopped := make(chan error, 1)
	s.h2.shutDown(ctx)
	go func() { stopped <- s.server.ShutdownWithContext(ctx) }()
	pollUntil(t, "new connections to be refused", func() bool {
		c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "https://"))
		if err == nil {
			_ = c.Close() // accepted, it would be waited for
		}
		return err != nil
	})
	close(leave)
	if got := <-answer; got != "finished" {
		t.Errorf("the stream in flight got %q", got)
	}
	if err := <-stopped; err != nil {
		t.Errorf("ShutdownWithContext: %v", err)
	}
}

// closeAfterResponse ends the connection of HTTP/2 as well.
func TestHTTP2ConnectionClose(t *testing.T) {
	s := startHTTP2(t, config{}, func(ctx *fasthttp.RequestCtx) { closeAfterResponse(ctx) })
	client := s.client()
	reused := true
	pollUntil(t, "a second connection", func() bool {
		trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { reused = info.Reused }}
		r := request(t, "GET", s.url+"/", nil)
		response, err := client.Do(r.WithContext(httptrace.WithClientTrace(r.Context(), trace)))
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		first := !reused
		_, err = client.Do(r.WithContext(httptrace.WithClientTrace(r.Context(), trace)))
		return err == nil && first && !reused
	})
}

// A request of HTTP/2 becomes one of HTTP/1.1 with the same parts, or none: nothing
// that a client puts into a part makes another line of it. What package http2 lets through
// is narrower still.
func FuzzHTTP2Head(f *testing.F) {
	f.Add("GET", "/a?b", "h:1", "x-a", "value", int64(0), true)
	f.Add("GET / HTTP/1.1\r\nX: y\r\n\r\nGET", "/", "h", "a", "1", int64(-1), false)
	f.Add("GET", "/ HTTP/1.1\r\nX: y", "h", "a", "1", int64(1), true)
	f.Add("GET", "/", "h\r\nX: y", "a", "1", int64(5), true)
	f.Add("GET", "/", "h", "cookie", "7", int64(-1), true)
	f.Add("CONNECT", "", "h:1", "host", "h:1", int64(-1), false)
	s := &http2Server{}
	f.Fuzz(func(t *testing.T, method, target, host, name, value string, length int64, hasBody bool) {
		for _, c := range name {
			if c < '!' || c > '~' || c == ':' || c >= 'A' && c <= 'Z' {
				return // never let through
			}
		}
		if name == "" || name == "content-length" || name == "transfer-encoding" || strings.ContainsAny(value, "\r\n\x00") {
			return
		}
		x := newHTTP2Stream(s)
		st := &http2.Stream{Request: http2.Request{
			Method: method, Path: target, Authority: host, Fields: []http2.Field{{Name: name, Value: value}}, ContentLength: max(length, -1), HasBody: hasBody,
		}}
		if !x.readHead(st) {
			return
		}
		if method == "CONNECT" {
			target = host
		}
		if host == "" && name == "host" {
			host = value
		}
		head := &x.ctx.Request.Header
		if string(head.Method()) != method || string(head.RequestURI()) != target || string(head.Host()) != host {
			t.Fatalf("%q %q %q became %q %q %q", method, target, host, head.Method(), head.RequestURI(), head.Host())
		}
		var lines []string
		for line := range strings.SplitSeq(strings.TrimSuffix(string(head.RawHeaders()), "\r\n\r\n"), "\r\n") {
			lines = append(lines, line)
		}
		want := []string{"Host: " + host}
		switch name {
		case "host":
		case "cookie":
			want = append(want, "Cookie: "+value)
		default:
			want = append(want, name+": "+value)
		}
		switch {
		case st.ContentLength >= 0:
			want = append(want, fmt.Sprintf("Content-Length: %d", st.ContentLength))
		case hasBody:
			want = append(want, "Transfer-Encoding: chunked")
		}
		if fmt.Sprint(lines) != fmt.Sprint(want) {
			t.Fatalf("lines %q, want %q", lines, want)
		}
	})
}
