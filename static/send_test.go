package static

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// sendSizes are on both sides of every limit that the way of a body depends on.
var sendSizes = []int{0, 1, maxBuffered, maxBuffered + 1, 4096, 5000, maxRecord - 300, maxRecord, maxRecord + 1, memoryLimit - 1, memoryLimit,
	memoryLimit + 1, memoryLimit + tail, copyBuffer * 3, sendSlice + tail + 1}

func sendRoot(t *testing.T) (dir string, want map[int]string) {
	dir, want = t.TempDir(), map[int]string{}
	all := prose(sendSizes[len(sendSizes)-1])
	for _, n := range sendSizes {
		want[n] = all[:n]
		write(t, dir, fmt.Sprintf("%d.bin", n), all[:n])
	}
	return dir, want
}

// checkConversation asks for every size on one connection: one after the other, or
// all at once.
func checkConversation(t *testing.T, c net.Conn, want map[int]string, pipelined bool) {
	t.Helper()
	c.SetDeadline(time.Now().Add(60 * time.Second))
	br := bufio.NewReader(c)
	ask := func(n int) {
		fmt.Fprintf(c, "GET /%d.bin HTTP/1.1\r\nHost: test\r\n\r\n", n)
	}
	if pipelined {
		go func() { // the answers do not fit the buffers of the sockets
			for _, n := range sendSizes {
				ask(n)
			}
		}()
	}
	for _, n := range sendSizes {
		if !pipelined {
			ask(n)
		}
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatalf("%d bytes: %v", n, err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != 200 || string(body) != want[n] {
			t.Fatalf("%d bytes: status %d, got %d bytes, %v", n, resp.StatusCode, len(body), err)
		}
	}
}

func TestSend(t *testing.T) {
	dir, want := sendRoot(t)
	h, err := New(Options{Root: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	certificate := httptest.NewUnstartedServer(nil)
	certificate.StartTLS()
	defer certificate.Close()
	config := &tls.Config{Certificates: certificate.TLS.Certificates}
	for _, tt := range []struct {
		name   string
		listen func(net.Listener) net.Listener
		dial   func(string) (net.Conn, error)
	}{
		{"TCP", func(l net.Listener) net.Listener { return l }, func(a string) (net.Conn, error) { return net.Dial("tcp", a) }},
		{"TLS", func(l net.Listener) net.Listener { return tls.NewListener(l, config) },
			func(a string) (net.Conn, error) {
				return tls.Dial("tcp", a, &tls.Config{InsecureSkipVerify: true})
			}},
		{"wrapped", func(l net.Listener) net.Listener { return wrappingListener{l} }, func(a string) (net.Conn, error) { return net.Dial("tcp", a) }},
	} {
		for _, pipelined := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, pipelined %t", tt.name, pipelined), func(t *testing.T) {
				ln, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				s := &fasthttp.Server{Handler: h.Handle, StreamRequestBody: true, Logger: quiet{}}
				done := make(chan error, 1)
				go func() { done <- s.Serve(tt.listen(ln)) }()
				c, err := tt.dial(ln.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				checkConversation(t, c, want, pipelined)
				c.Close()
				s.Shutdown()
				<-done
			})
		}
	}
}

// wrappingListener gives out connections that are no *net.TCPConn and have no
// descriptor to be seen.
type wrappingListener struct{ net.Listener }

func (l wrappingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return struct{ net.Conn }{c}, err
}

// Whoever writes a body to something else than a connection gets it whole, and the
// access log learns its length.
func TestBodiesElsewhere(t *testing.T) {
	dir, want := sendRoot(t)
	h, err := New(Options{Root: dir, DirectoryDownload: true})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	for _, n := range sendSizes {
		ctx := benchRequest(t, h, fmt.Sprintf("/%d.bin", n))
		var sent int64
		counter, isStream := ctx.Response.BodyStream().(interface{ CountInto(*int64) })
		if isStream {
			counter.CountInto(&sent)
		}
		var b strings.Builder
		if err := ctx.Response.BodyWriteTo(&b); err != nil || b.String() != want[n] {
			t.Errorf("%d bytes: got %d, %v", n, b.Len(), err)
		}
		if isStream && sent != int64(n) {
			t.Errorf("%d bytes: counted %d", n, sent)
		}
		ctx.Response.CloseBodyStream()
	}
	for _, target := range []string{"/5000.bin", fmt.Sprintf("/%d.bin", memoryLimit+1)} {
		ctx := benchRequest(t, h, target, "Range: bytes=0-9,100-199")
		var sent int64
		ctx.Response.BodyStream().(interface{ CountInto(*int64) }).CountInto(&sent)
		length := ctx.Response.Header.ContentLength()
		var b strings.Builder
		if err := ctx.Response.BodyWriteTo(&b); err != nil {
			t.Error(err)
		}
		ctx.Response.CloseBodyStream()
		if b.Len() != int(sent) || length != b.Len() {
			t.Errorf("ranges of %s: %d bytes, counted %d, announced %d", target, b.Len(), sent, length)
		}
	}
}

// A file that shrinks while it is sent ends the connection.
func TestTruncatedWhileSent(t *testing.T) {
	dir := t.TempDir()
	p := write(t, dir, "a.bin", strings.Repeat("a", 32<<20))
	s := serve(t, Options{Root: dir})
	first := true
	wrapped := serveHandler(t, func(ctx *fasthttp.RequestCtx) {
		s.h.Handle(ctx)
		if first { // after the fields were decided, before the body is written
			first = false
			if err := os.Truncate(p, 1<<20); err != nil {
				t.Error(err)
			}
		}
	}, nil)
	got := roundTrip(t, wrapped, "GET", "/a.bin")
	if got.status != 200 || got.err == nil || len(got.body) >= 32<<20 {
		t.Errorf("truncated file = %d, %d bytes, %v, want a body cut short", got.status, len(got.body), got.err)
	}
}

// A file that is written over while it is sent, without a change of its size, never
// looks complete.
func TestOverwrittenWhileSent(t *testing.T) {
	dir := t.TempDir()
	const size = 4 << 20
	p := write(t, dir, "a.bin", strings.Repeat("a", size))
	s := serve(t, Options{Root: dir})
	wrapped := serveHandler(t, func(ctx *fasthttp.RequestCtx) {
		s.h.Handle(ctx)
		if err := os.WriteFile(p, []byte(strings.Repeat("b", size)), 0o644); err != nil {
			t.Error(err)
		}
	}, nil)
	if got := roundTrip(t, wrapped, "GET", "/a.bin"); got.err == nil {
		t.Errorf("overwritten file = %d, %d bytes and no error", got.status, len(got.body))
	}
}

// A client that takes nothing for SendTimeout is cut off, and the file is let go.
func TestSendTimeout(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.bin", strings.Repeat("a", 16<<20))
	s := serve(t, Options{Root: dir, SendTimeout: 50 * time.Millisecond, CacheRevalidate: time.Hour})
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	e, err := s.h.find([]byte("/a.bin"), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "GET /a.bin HTTP/1.1\r\nHost: test\r\n\r\n")
	wait := func(what string, done func(*file) bool) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
			if f := e.plain.file.Load(); f != nil && done(f) {
				return
			}
			if time.Now().After(deadline) {
				t.Fatal(what)
			}
		}
	}
	wait("the file is not sent", func(f *file) bool { return f.refs.Load() == 2 })
	wait("the client is not cut off", func(f *file) bool { return f.refs.Load() == 1 })
	c.SetDeadline(time.Now().Add(time.Minute))
	if n, err := io.Copy(io.Discard, c); n >= 16<<20 {
		t.Errorf("the client got %d bytes, %v, want the body cut short", n, err)
	}
	// Who takes it at his own pace, and always something, gets it all.
	if got := serve(t, Options{Root: dir, SendTimeout: 20 * time.Second}).get("/a.bin"); len(got.body) != 16<<20 {
		t.Errorf("%d bytes, %v", len(got.body), got.err)
	}
}
