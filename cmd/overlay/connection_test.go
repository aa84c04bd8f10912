package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// patience is how long a test waits for an event that must come. It is generous: it
// decides how soon a broken test fails, never whether a test passes.
const patience = 30 * time.Second

// short is a timeout for tests that wait for it; long is one that never comes.
const (
	short = 50 * time.Millisecond
	long  = time.Hour
)

const plainGet = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"

// startServer serves next behind hygiene with limits and returns its address.
func startServer(t testing.TB, limits timeouts, next fasthttp.RequestHandler) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &fasthttp.Server{Name: "overlay", Logger: quietLogger{}}
	(&hygiene{socketTimeout: limits.socket}).install(server, next)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listenConnections(listener, limits))
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
	return listener.Addr().String()
}

// dial connects to address. Reads and writes of the result fail after patience.
func dial(t testing.TB, address string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c.(*net.TCPConn)
}

// tcpPair returns the two ends of one connection.
func tcpPair(t testing.TB) (client, server *net.TCPConn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	client = dial(t, listener.Addr().String())
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = accepted.Close() })
	return client, accepted.(*net.TCPConn)
}

func send(t testing.TB, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}

func answerOK(ctx *fasthttp.RequestCtx) { ctx.SetBodyString("ok") }

// statusesUntilClose reads responses until the server closes.
func statusesUntilClose(t *testing.T, c net.Conn) (statuses []int) {
	t.Helper()
	reader := bufio.NewReader(c)
	for {
		if _, err := reader.Peek(1); err == io.EOF {
			return statuses
		}
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatalf("after %v: %v", statuses, err)
		}
		if _, err := io.Copy(io.Discard, response.Body); err != nil {
			t.Fatalf("after %v: %v", statuses, err)
		}
		statuses = append(statuses, response.StatusCode)
	}
}

// pollUntil polls until ready reports true.
func pollUntil(t *testing.T, what string, ready func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ready(); {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
		time.Sleep(100 * time.Microsecond) // what is waited for may need the only processor
	}
}

func TestTimeoutsCut(t *testing.T) {
	for _, row := range []struct {
		name   string
		limits timeouts
		sent   string
		want   string // statuses before the end of the connection
	}{
		{"silence on a new connection", timeouts{header: short, keepAlive: long, socket: long}, "", "[]"},
		{"half a request line", timeouts{header: short, keepAlive: long, socket: long}, "GET /", "[408]"},
		{"half a field block", timeouts{header: short, keepAlive: long, socket: long}, "GET / HTTP/1.1\r\nHost: h\r\nA:", "[408]"},
		{"half of a second request", timeouts{header: short, keepAlive: long, socket: long}, plainGet + "GET /", "[200 408]"},
		{"silence between requests", timeouts{header: long, keepAlive: short, socket: long}, plainGet, "[200]"},
		{"silence after pipelined requests", timeouts{header: long, keepAlive: short, socket: long}, plainGet + plainGet, "[200 200]"},
		{"silence at the start of a body", timeouts{header: long, keepAlive: long, socket: short},
			"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n", "[408]"},
		{"silence in the middle of a body", timeouts{header: long, keepAlive: long, socket: short},
			"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n1234", "[408]"},
		{"silence behind what fasthttp reads ahead", timeouts{header: long, keepAlive: long, socket: short},
			"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9000\r\n\r\n" + strings.Repeat("a", 8999), "[408]"},
		{"silence within a chunk", timeouts{header: long, keepAlive: long, socket: short},
			"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n1234", "[408]"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			server := &fasthttp.Server{Logger: quietLogger{}}
			(&hygiene{}).install(server, func(ctx *fasthttp.RequestCtx) {
				if ctx.Request.IsBodyStream() {
					if _, err := io.Copy(io.Discard, bodyOf(ctx)); err != nil {
						writeErrorPage(ctx, fasthttp.StatusRequestTimeout)
						return
					}
				}
				answerOK(ctx)
			})
			c, inner := tcpPair(t)
			send(t, c, row.sent) // before the clock of the server starts
			go func() { _ = server.ServeConn(newConnection(inner, &row.limits)) }()
			if got := fmt.Sprint(statusesUntilClose(t, c)); got != row.want {
				t.Errorf("statuses %s, want %s", got, row.want)
			}
		})
	}
}

// The bounds of the phases, by a clock that the test moves.
func TestReadDeadline(t *testing.T) {
	now := time.Hour
	limits := timeouts{header: 10, keepAlive: 100, socket: 1000, now: func() time.Duration { return now }}
	c := newConnection(nil, &limits)
	for _, step := range []struct {
		name  string
		enter func()
		after time.Duration // since the step before
		want  time.Duration // the deadline, from time.Hour on; 0: none
	}{
		{"a new connection counts from its acceptance", func() {}, 3, 10},
		{"a new connection, called active", func() { connectionState(c, fasthttp.StateActive) }, 1, 10},
		{"the head counts from its first byte", func() { c.enter(phaseHead) }, 1, 15},
		{"the head does not start anew with each byte", func() {}, 4, 15},
		{"a body starts anew", func() { _ = c.SetReadDeadline(time.Time{}) }, 1, 1010},
		{"with each read", func() {}, 500, 1510},
		{"and again", func() {}, 990, 2500},
		{"idle counts from the response on", func() { connectionState(c, fasthttp.StateIdle) }, 10, 1610},
		{"and does not start anew", func() {}, 50, 1610},
		{"the next head", func() { connectionState(c, fasthttp.StateActive) }, 10, 1580},
		{"no bound", func() { connectionState(c, fasthttp.StateIdle); limits.keepAlive = 0 }, 10, 0},
	} {
		step.enter()
		now += step.after
		want := step.want
		if want != 0 {
			want += time.Hour
		}
		if got := c.readDeadline(); got != want {
			t.Errorf("%s: deadline %d after the start, want %d", step.name, got-time.Hour, step.want)
		}
	}
}

// A deadline that was armed for an earlier wait and fires in this one cuts nothing.
func TestStaleReadDeadline(t *testing.T) {
	for _, row := range []struct {
		name   string
		limits timeouts
	}{
		{"time left", timeouts{header: long, keepAlive: long, socket: long}},
		{"no bound", timeouts{}},
	} {
		for _, p := range []phase{phaseNew, phaseIdle, phaseHead, phaseBody} {
			t.Run(fmt.Sprintf("%s, phase %d", row.name, p), func(t *testing.T) {
				client, server := tcpPair(t)
				c := newConnection(server, &row.limits)
				c.phase = p
				c.armRead(1) // just behind the epoch: fired already
				send(t, client, "a")
				if n, err := c.Read(make([]byte, 8)); n != 1 || err != nil {
					t.Errorf("Read = %d, %v, want 1 byte", n, err)
				}
			})
		}
	}
}

// bigFile makes a file larger than what two sockets buffer.
func bigFile(t testing.TB) (path string, sum [32]byte) {
	t.Helper()
	content := bytes.Repeat([]byte("0123456789abcdef"), 2<<20) // 32 MiB
	for i := 0; i < len(content); i += 4096 {
		copy(content[i:], fmt.Sprintf("%08x", i))
	}
	path = filepath.Join(t.TempDir(), "big")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, sha256.Sum256(content)
}

// responders are the ways in which a response reaches a connection.
func responders(path string) map[string]fasthttp.RequestHandler {
	return map[string]fasthttp.RequestHandler{
		"memory": func(ctx *fasthttp.RequestCtx) {
			content, _ := os.ReadFile(path)
			ctx.SetBody(content)
		},
		"file": func(ctx *fasthttp.RequestCtx) {
			file, _ := os.Open(path)
			info, _ := file.Stat()
			ctx.SetBodyStream(file, int(info.Size()))
		},
		"part of a file": func(ctx *fasthttp.RequestCtx) {
			file, _ := os.Open(path)
			info, _ := file.Stat()
			ctx.SetBodyStream(&io.LimitedReader{R: file, N: info.Size()}, int(info.Size()))
		},
		"reader": func(ctx *fasthttp.RequestCtx) {
			file, _ := os.Open(path)
			ctx.SetBodyStream(struct{ io.Reader }{file}, -1)
		},
		"descriptor": func(ctx *fasthttp.RequestCtx) {
			content, _ := os.ReadFile(path)
			ctx.SetBodyStream(&rawBody{conn: ctx.Conn(), content: content}, len(content))
		},
	}
}

// A client that takes nothing must be cut, whatever way the response is sent.
func TestDeafClientIsCut(t *testing.T) {
	path, _ := bigFile(t)
	for name, respond := range responders(path) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, inner := tcpPair(t)
			server := &fasthttp.Server{Logger: quietLogger{}}
			(&hygiene{}).install(server, respond)
			send(t, client, plainGet)
			served := make(chan error, 1)
			go func() { served <- server.ServeConn(newConnection(inner, &timeouts{socket: 4 * short})) }()
			select {
			case err := <-served:
				if !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("ServeConn: %v, want a timeout", err)
				}
			case <-time.After(patience):
				t.Error("the client is still served")
			}
		})
	}
}

// A client that reads slowly gets everything, unchanged, however often the server
// looks whether it still reads.
func TestSlowReaderIsServed(t *testing.T) {
	path, want := bigFile(t)
	for name, respond := range responders(path) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := startServer(t, timeouts{socket: long, step: time.Millisecond}, respond)
			c := dial(t, address)
			_ = c.SetReadBuffer(128 << 10) // little room, so that the server has to wait
			send(t, c, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
			response, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			sum := sha256.New()
			for range 50 { // several looks pass between two of these pieces
				time.Sleep(5 * time.Millisecond)
				if _, err := io.CopyN(sum, response.Body, 64<<10); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := io.Copy(sum, response.Body); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(sum.Sum(nil), want[:]) {
				t.Error("the content arrived changed")
			}
		})
	}
}

// What counts as progress of a response, by a clock that the test moves.
func TestWriteProgress(t *testing.T) {
	client, server := tcpPair(t)
	now := time.Hour
	c := newConnection(server, &timeouts{socket: 100, now: func() time.Duration { return now }})
	// Fill the kernel's queue: the client reads nothing.
	if err := server.SetWriteDeadline(time.Now().Add(short)); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Write(make([]byte, 64<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("filling the queue: %v", err)
	}
	for _, step := range []struct {
		name  string
		after time.Duration
		n     int64
		err   error
		want  bool
	}{
		{"the first look only takes note", 1, 0, os.ErrDeadlineExceeded, true},
		{"nothing moved, time left", 99, 0, os.ErrDeadlineExceeded, true},
		{"the kernel took some", 10, 1, os.ErrDeadlineExceeded, true},
		{"nothing moved for a little less than the timeout", 99, 0, os.ErrDeadlineExceeded, true},
		{"nothing moved for the timeout", 1, 0, os.ErrDeadlineExceeded, false},
		{"the connection broke", 0, 1, io.ErrClosedPipe, false},
	} {
		now += step.after
		if got := c.writer.goesOn(c, step.n, step.err); got != step.want {
			t.Errorf("%s: goes on = %v, want %v", step.name, got, step.want)
		}
	}
	before := outputQueue(server)
	if before == 0 {
		t.Skip("no look into the kernel's queue on this system")
	}
	pollUntil(t, "the queue to shrink", func() bool {
		_, _ = client.Read(make([]byte, 64<<10))
		return outputQueue(server) < before
	})
	if now += 1000; !c.writer.goesOn(c, 0, os.ErrDeadlineExceeded) {
		t.Error("the client reads, and is cut all the same")
	}
}

// An expired write deadline of an earlier wait makes net read a piece of the file
// without sending it: nothing may be missing from the response.
func TestSendfileAfterStaleDeadline(t *testing.T) {
	path, want := bigFile(t)
	client, inner := tcpPair(t)
	c := newConnection(inner, &timeouts{socket: long})
	c.writer.armed = true
	if err := inner.SetWriteDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	sent := make(chan error, 1)
	go func() {
		_, err := c.ReadFrom(file)
		_ = c.Close()
		sent <- err
	}()
	sum := sha256.New()
	if _, err := io.Copy(sum, client); err != nil {
		t.Fatal(err)
	}
	if err := <-sent; err != nil {
		t.Errorf("ReadFrom: %v", err)
	}
	if !bytes.Equal(sum.Sum(nil), want[:]) {
		t.Error("the content arrived changed")
	}
}

// A refused client that goes on sending still gets to read why.
func TestRefusalReachesASendingClient(t *testing.T) {
	t.Parallel()
	address := startServer(t, timeouts{}, answerOK)
	c := dial(t, address)
	send(t, c, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\nExpect: wonders\r\n\r\n"+strings.Repeat("a", 500_000))
	_ = c.CloseWrite()
	if got := fmt.Sprint(statusesUntilClose(t, c)); got != "[417]" {
		t.Errorf("statuses %s, want [417]", got)
	}
}

// eagerConn gives and takes everything at once, so that a benchmark sees the price
// of what is around it.
type eagerConn struct{ net.Conn }

func (eagerConn) Read(p []byte) (int, error)       { return len(p), nil }
func (eagerConn) Write(p []byte) (int, error)      { return len(p), nil }
func (eagerConn) SetReadDeadline(time.Time) error  { return nil }
func (eagerConn) SetWriteDeadline(time.Time) error { return nil }

// BenchmarkConnection is what keeping the timeouts costs a request on a kept
// connection: two changes of phase, one read, one write.
func BenchmarkConnection(b *testing.B) {
	var c net.Conn = newConnection(eagerConn{}, &timeouts{header: time.Minute, keepAlive: time.Minute, socket: time.Minute})
	var p [64]byte
	b.ReportAllocs()
	for b.Loop() {
		connectionState(c, fasthttp.StateIdle)
		_, _ = c.Read(p[:])
		connectionState(c, fasthttp.StateActive)
		_, _ = c.Write(p[:])
	}
}
