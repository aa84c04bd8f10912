package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttputil"
)

// countedStream is a body stream that is cut short after the bytes of Reader.
type countedStream struct {
	io.Reader
	sent *int64
}

func (s *countedStream) CountInto(sent *int64) { s.sent = sent }
func (s *countedStream) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	*s.sent += int64(n)
	return n, err
}

// serveLogged answers the raw requests on one connection with handler, and
// returns what the access log has about them.
func serveLogged(t *testing.T, format, requests string, handler fasthttp.RequestHandler) string {
	t.Helper()
	var log bytes.Buffer
	l, err := newAccessLog(&log, format)
	if err != nil {
		t.Fatal(err)
	}
	server := &fasthttp.Server{
		Handler:       l.wrap(handler),
		ErrorHandler:  l.wrapError(func(ctx *fasthttp.RequestCtx, _ error) { ctx.Error("bad\n", 400) }),
		ExpectHandler: l.wrapExpect(func(*fasthttp.RequestCtx) int { return 417 }),
		Logger:        discardLogger{},
	}
	listener := fasthttputil.NewInmemoryListener()
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	conn, err := listener.Dial()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, requests); err != nil {
		t.Fatal(err)
	}
	// The last request closes the connection, which happens after its line is made.
	if _, err := io.Copy(io.Discard, conn); err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	_ = conn.Close()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-served; err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return log.String()
}

type discardLogger struct{}

func (discardLogger) Printf(string, ...any) {}

func TestAccessLogCommon(t *testing.T) {
	body := func(ctx *fasthttp.RequestCtx) { ctx.SetBodyString("hello") }
	for _, test := range []struct {
		name, request string
		handler       fasthttp.RequestHandler
		want          string // behind the time
	}{
		{"body in memory", "GET /a?b=c HTTP/1.1", body, `"GET /a?b=c HTTP/1.1" 200 5`},
		{"head", "HEAD / HTTP/1.1", body, `"HEAD / HTTP/1.1" 200 -`},
		{"HTTP/1.0", "GET / HTTP/1.0", body, `"GET / HTTP/1.0" 200 5`},
		{"uri as sent", "GET /a%2F..//b HTTP/1.1", body, `"GET /a%2F..//b HTTP/1.1" 200 5`},
		{"not modified", "GET / HTTP/1.1", func(ctx *fasthttp.RequestCtx) { ctx.SetBodyString("x"); ctx.SetStatusCode(304) }, `"GET / HTTP/1.1" 304 -`},
		{"quotes", "GET /\"x\\ HTTP/1.1", body, `"GET /\"x\\ HTTP/1.1" 200 5`},
		{"bytes outside of ASCII", "GET /\xc3\xa9\xff HTTP/1.1", body, `"GET /\xc3\xa9\xff HTTP/1.1" 200 5`},
		{"stream of known length", "GET / HTTP/1.1", func(ctx *fasthttp.RequestCtx) {
			ctx.SetBodyStream(strings.NewReader("seven b"), 7)
		}, `"GET / HTTP/1.1" 200 7`},
		{"stream of unknown length", "GET / HTTP/1.1", func(ctx *fasthttp.RequestCtx) {
			ctx.SetBodyStream(strings.NewReader("seven b"), -1)
		}, `"GET / HTTP/1.1" 200 -`},
		{"counted stream of unknown length", "GET / HTTP/1.1", func(ctx *fasthttp.RequestCtx) {
			ctx.SetBodyStream(&countedStream{Reader: strings.NewReader("seven b")}, -1)
		}, `"GET / HTTP/1.1" 200 7`},
		{"counted stream cut short", "GET / HTTP/1.1", func(ctx *fasthttp.RequestCtx) {
			ctx.SetBodyStream(&countedStream{Reader: strings.NewReader("abc")}, 100)
		}, `"GET / HTTP/1.1" 200 3`},
		{"limited stream cut short", "GET / HTTP/1.1", func(ctx *fasthttp.RequestCtx) {
			ctx.SetBodyStream(&io.LimitedReader{R: strings.NewReader("abc"), N: 100}, 100)
		}, `"GET / HTTP/1.1" 200 3`},
		{"stream never read", "HEAD / HTTP/1.1", func(ctx *fasthttp.RequestCtx) {
			ctx.SetBodyStream(strings.NewReader("abc"), 3)
		}, `"HEAD / HTTP/1.1" 200 -`},
		{"refused before the handler", "POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3", body, `"POST / HTTP/1.1" 417 -`},
		{"no request", "nonsense", body, `"-" 400 4`},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := serveLogged(t, "common", test.request+"\r\nHost: x\r\nConnection: close\r\n\r\n", test.handler)
			want := regexp.MustCompile(`^(0\.0\.0\.0|-) - - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] ` + regexp.QuoteMeta(test.want) + `\n$`)
			if !want.MatchString(got) {
				t.Errorf("%q is logged as %q, want %v", test.request, got, want)
			}
		})
	}
}

// A connection that is closed without a response has no line.
func TestAccessLogWithoutResponse(t *testing.T) {
	var log bytes.Buffer
	l, err := newAccessLog(&log, "common")
	if err != nil {
		t.Fatal(err)
	}
	ctx := newAccessCtx("/")
	l.wrapError(func(*fasthttp.RequestCtx, error) {})(ctx, io.EOF)
	ctx.Request.Reset()
	if err := l.Close(); err != nil || log.Len() > 0 {
		t.Errorf("got %v and %q, want nothing", err, log.String())
	}
}

func TestAccessLogLinesOfOneConnection(t *testing.T) {
	requests := "GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\nGET /3 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
	got := serveLogged(t, "common", requests, func(ctx *fasthttp.RequestCtx) { ctx.SetBody(ctx.RequestURI()) })
	var uris []string
	for _, line := range strings.Split(strings.TrimSuffix(got, "\n"), "\n") {
		uris = append(uris, strings.Fields(line)[6])
	}
	if strings.Join(uris, " ") != "/1 /2 /3" {
		t.Errorf("three pipelined requests are logged as\n%s", got)
	}
}

func TestAccessLogCombined(t *testing.T) {
	request := "GET / HTTP/1.1\r\nHost: x\r\nReferer: http://a/\"\r\nUser-Agent: b\xc2\x9b31m\r\nConnection: close\r\n\r\n"
	got := serveLogged(t, "combined", request, func(*fasthttp.RequestCtx) {})
	if want := ` 200 - "http://a/\"" "b\xc2\x9b31m"` + "\n"; !strings.HasSuffix(got, want) {
		t.Errorf("got %q, want the end %q", got, want)
	}
	got = serveLogged(t, "combined", "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", func(*fasthttp.RequestCtx) {})
	if want := ` 200 - "-" "-"` + "\n"; !strings.HasSuffix(got, want) {
		t.Errorf("without fields: got %q, want the end %q", got, want)
	}
}

func TestAccessLogJSON(t *testing.T) {
	request := "GET /a\"\\\xff\xc2\x9b\U0001F600 HTTP/1.1\r\nHost: x\r\nUser-Agent: b\u202e\r\nConnection: close\r\n\r\n"
	got := serveLogged(t, "json", request, func(ctx *fasthttp.RequestCtx) { ctx.SetBodyString("hello") })
	var entry map[string]any
	if err := json.Unmarshal([]byte(got), &entry); err != nil {
		t.Fatalf("%q: %v", got, err)
	}
	if _, err := time.Parse(time.RFC3339, entry["time"].(string)); err != nil {
		t.Error(err)
	}
	if ms, ok := entry["duration_ms"].(float64); !ok || ms < 0 {
		t.Errorf("duration_ms: got %v", entry["duration_ms"])
	}
	for key, want := range map[string]any{
		"method": "GET", "uri": "/a\"\\\uFFFD\u009b\U0001F600", "protocol": "HTTP/1.1", "host": "x",
		"user_agent": "b\u202e", "status": 200.0, "bytes": 5.0, "referer": nil,
	} {
		if entry[key] != want {
			t.Errorf("%s: got %q, want %q", key, entry[key], want)
		}
	}
	if strings.ContainsAny(got, "\u202e\u009b") {
		t.Errorf("control characters are left in %q", got)
	}
	got = serveLogged(t, "json", "nonsense\r\n\r\n", func(*fasthttp.RequestCtx) {})
	if strings.Contains(got, "method") || !strings.Contains(got, `"status":400,"bytes":4,`) {
		t.Errorf("a request that cannot be read is logged as %s", got)
	}
}

func TestAccessLogFormat(t *testing.T) {
	if _, err := newAccessLog(io.Discard, "%h"); err == nil {
		t.Error("an unknown format is accepted")
	}
}

func TestAccessLogOff(t *testing.T) {
	var l *accessLog
	called := false
	l.wrap(func(*fasthttp.RequestCtx) { called = true })(nil)
	if !called || l.wrapError(nil) != nil || l.wrapExpect(nil) != nil || l.Close() != nil {
		t.Error("a nil access log does something")
	}
}

// gate is a writer that waits until it is opened.
type gate struct {
	opened chan struct{}
	mu     sync.Mutex
	bytes.Buffer
}

func (g *gate) Write(p []byte) (int, error) {
	<-g.opened
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.Buffer.Write(p)
}

func (g *gate) lines() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return bytes.Count(g.Bytes(), []byte("\n"))
}

// newAccessCtx returns a request as it is when its handler is called.
func newAccessCtx(uri string) *fasthttp.RequestCtx {
	var req fasthttp.Request
	req.SetRequestURI(uri)
	req.Header.SetUserAgent("test")
	ctx := &fasthttp.RequestCtx{}
	ctx.Init(&req, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 1}, nil)
	return ctx
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within a minute", what)
		}
	}
}

func TestAccessLogIsWrittenWhenIdle(t *testing.T) {
	out := &gate{opened: make(chan struct{})}
	close(out.opened)
	l, err := newAccessLog(out, "common")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	handler := l.wrap(func(*fasthttp.RequestCtx) {})
	for want := 1; want <= 3; want++ {
		ctx := newAccessCtx("/")
		handler(ctx)
		ctx.Request.Reset()
		waitFor(t, "the line", func() bool { return out.lines() == want })
	}
}

// A reader of the log that stands still stops the requests at the bound, not
// before, and none of their lines is lost.
func TestAccessLogBound(t *testing.T) {
	out := &gate{opened: make(chan struct{})}
	l, err := newAccessLog(out, "common")
	if err != nil {
		t.Fatal(err)
	}
	handler := l.wrap(func(*fasthttp.RequestCtx) {})
	uri := "/" + strings.Repeat("x", 8000)
	const requests = 600 // 4.8 MB
	logged := make(chan struct{}, requests)
	go func() {
		for range requests {
			ctx := newAccessCtx(uri)
			handler(ctx)
			ctx.Request.Reset()
			logged <- struct{}{}
		}
	}()
	pending := func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.pending)
	}
	waitFor(t, "the bound", func() bool { return pending() >= accessMaxBytes })
	if n := pending(); n > accessMaxBytes+len(uri)+200 {
		t.Errorf("%d bytes are pending, want at most %d and a line", n, accessMaxBytes)
	}
	if len(logged) == requests {
		t.Error("no request waits for the log")
	}
	close(out.opened)
	for range requests {
		<-logged
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if got := out.lines(); got != requests {
		t.Errorf("%d lines are written, want %d", got, requests)
	}
}

// Close lets go of requests that wait for a log that nobody reads.
func TestAccessLogCloseWhileFull(t *testing.T) {
	out := &gate{opened: make(chan struct{})}
	l, err := newAccessLog(out, "common")
	if err != nil {
		t.Fatal(err)
	}
	handler := l.wrap(func(*fasthttp.RequestCtx) {})
	var requests sync.WaitGroup
	for range 8 {
		requests.Go(func() {
			for range 100 {
				ctx := newAccessCtx("/" + strings.Repeat("x", 8000))
				handler(ctx)
				ctx.Request.Reset()
			}
		})
	}
	waitFor(t, "the bound", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.pending) >= accessMaxBytes
	})
	closed := make(chan error)
	go func() { closed <- l.Close() }()
	requests.Wait()
	close(out.opened)
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if err := l.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
}

// A reader of the log that stands still for good does not keep the server from ending.
func TestAccessLogCloseStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &gate{opened: make(chan struct{})}
		l, err := newAccessLog(out, "common")
		if err != nil {
			t.Fatal(err)
		}
		ctx := newAccessCtx("/")
		l.wrap(func(*fasthttp.RequestCtx) {})(ctx)
		ctx.Request.Reset()
		if err := l.Close(); !errors.Is(err, errAccessLogStuck) {
			t.Errorf("Close = %v, want errAccessLogStuck", err)
		}
		close(out.opened)
		if err := l.Close(); err != nil || out.lines() != 1 {
			t.Errorf("once it is read: Close = %v, %d lines", err, out.lines())
		}
	})
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestAccessLogError(t *testing.T) {
	l, err := newAccessLog(failingWriter{}, "common")
	if err != nil {
		t.Fatal(err)
	}
	reported := make(chan error, 10)
	l.onError = func(err error) { reported <- err }
	handler := l.wrap(func(*fasthttp.RequestCtx) {})
	for range 2 {
		ctx := newAccessCtx("/")
		handler(ctx)
		ctx.Request.Reset()
	}
	const want = "write access log: disk full"
	if got := <-reported; got.Error() != want {
		t.Errorf("reported %q, want %q", got, want)
	}
	if err := l.Close(); err == nil || err.Error() != want {
		t.Errorf("Close: %v, want %q", err, want)
	}
	if len(reported) > 0 {
		t.Error("the error is reported twice")
	}
}

// FuzzAccessLog asserts that nothing a client sends makes a second line or a
// control character, and that JSON stays JSON.
func FuzzAccessLog(f *testing.F) {
	f.Add("/", "agent")
	f.Add("/\x00\"\\\n", "\x1b]0;title\x07\u202e\u2028\xff")
	f.Fuzz(func(t *testing.T, uri, agent string) {
		for _, format := range []string{"combined", "json"} {
			var log bytes.Buffer
			l, err := newAccessLog(&log, format)
			if err != nil {
				t.Fatal(err)
			}
			ctx := newAccessCtx("/")
			ctx.Request.Header.SetRequestURI(uri)
			ctx.Request.Header.SetUserAgent(agent)
			l.wrap(func(*fasthttp.RequestCtx) {})(ctx)
			ctx.Request.Reset()
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			line, _ := bufio.NewReader(&log).ReadString('\n')
			if log.Len() > 0 && strings.Count(line, "\n") != 1 {
				t.Fatalf("%s: more than a line for %q %q", format, uri, agent)
			}
			for _, r := range strings.TrimSuffix(line, "\n") {
				if r < ' ' || (r >= 0x7f && r < 0xa0) || r == '\u202e' || r == '\u2028' {
					t.Fatalf("%s: %q holds %q", format, line, r)
				}
			}
			if format == "json" && !json.Valid([]byte(line)) {
				t.Fatalf("no JSON: %q", line)
			}
		}
	})
}

func BenchmarkAccessLog(b *testing.B) {
	for _, format := range []string{"off", "common", "combined", "json"} {
		b.Run(format, func(b *testing.B) {
			var l *accessLog
			if format != "off" {
				var err error
				if l, err = newAccessLog(io.Discard, format); err != nil {
					b.Fatal(err)
				}
				defer l.Close()
			}
			handler := l.wrap(func(*fasthttp.RequestCtx) {})
			ctx := newAccessCtx("/some/path?and=query")
			b.ReportAllocs()
			for b.Loop() {
				handler(ctx)
				ctx.Request.ResetUserValues()
			}
		})
	}
}
