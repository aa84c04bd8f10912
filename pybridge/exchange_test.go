package pybridge

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/valyala/fasthttp"
	"golang.org/x/sys/unix"
)

// front is a server in front of a Worker.
type front struct {
	t      testing.TB
	addr   string
	freed  atomic.Int32
	errors chan error // what Serve returned
}

// serveFront serves w on a loopback port until the test ends.
func serveFront(t testing.TB, w *Worker) *front {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &front{t: t, addr: l.Addr().String(), errors: make(chan error, 1000)}
	s := &fasthttp.Server{
		Logger: nowhere{},
		Handler: func(ctx *fasthttp.RequestCtx) {
			r := &Request{Path: ctx.Path()}
			err := w.Serve(ctx, r, func() { f.freed.Add(1) })
			if err != nil {
				ctx.Response.Reset()
				ctx.Error("failed", 500)
			}
			f.errors <- err
		},
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.Serve(l) // it ends with the listener
	}()
	t.Cleanup(func() {
		closeAll(l)
		<-ended
	})
	return f
}

type nowhere struct{}

func (nowhere) Printf(string, ...any) {}

// send sends a request and returns the connection.
func (f *front) send(text string) net.Conn {
	f.t.Helper()
	conn, err := net.Dial("tcp", f.addr)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { closeAll(conn) })
	if _, err := io.WriteString(conn, text); err != nil {
		f.t.Fatal(err)
	}
	return conn
}

type reply struct {
	status int
	body   string
	err    error // of the head or the body
}

// read reads the response to a request of method.
func read(conn net.Conn, method string) reply {
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		return reply{err: err}
	}
	body, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, string(body), err}
}

const getRequest = "GET /x HTTP/1.1\r\nHost: h\r\n\r\n"

// TestAnswers: what a client reads of each way to answer.
func TestAnswers(t *testing.T) {
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeAll(file) })
	content := strings.Repeat("0123456789", 50_000)
	if _, err := file.WriteString(content); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("y", 100_000)
	tests := []struct {
		name    string
		request string
		answer  func(p *peer, id uint32)
		status  int
		body    string
		cut     bool // the client sees that the response is not complete
	}{
		{"in one frame", getRequest, func(p *peer, id uint32) { p.ok(id, "hello") }, 200, "hello", false},
		{"empty", getRequest, func(p *peer, id uint32) { p.ok(id, "") }, 200, "", false},
		{"larger than one piece", getRequest, func(p *peer, id uint32) { p.ok(id, long) }, 200, long, false},
		{"in parts with a length", getRequest, func(p *peer, id uint32) {
			p.respond(id, 0, "201 Created\nContent-Length\n6", "ab")
			p.body(id, 0, "cd")
			p.body(id, flagLast, "ef")
			p.body(id, flagEnd|flagLast, "")
		}, 201, "abcdef", false},
		{"in parts without a length", getRequest, func(p *peer, id uint32) {
			p.respond(id, 0, "200 OK", "")
			p.body(id, 0, "ab")
			p.body(id, 0, "cd")
			p.body(id, flagEnd|flagLast, "")
		}, 200, "abcd", false},
		{"HTTP/1.0 without a length", "GET /x HTTP/1.0\r\n\r\n", func(p *peer, id uint32) {
			p.respond(id, 0, "200 OK", "ab")
			p.body(id, flagEnd|flagLast, "cd")
		}, 200, "abcd", false},
		{"HEAD", "HEAD /x HTTP/1.1\r\nHost: h\r\n\r\n", func(p *peer, id uint32) {
			p.respond(id, flagEnd|flagLast, "200 OK\nContent-Length\n500", "")
		}, 200, "", false},
		{"no content", getRequest, func(p *peer, id uint32) { p.respond(id, flagEnd|flagLast, "204 No Content", "") }, 204, "", false},
		{"not modified", getRequest, func(p *peer, id uint32) { p.respond(id, flagEnd|flagLast, "304 Not Modified", "") }, 304, "", false},
		{"a file", getRequest, func(p *peer, id uint32) {
			p.respond(id, 0, fmt.Sprintf("200 OK\nContent-Length\n%d", len(content)), "")
			p.sendFile(id, flagLast, file, 0, int64(len(content)))
			p.body(id, flagEnd|flagLast, "")
		}, 200, content, false},
		{"part of a file", getRequest, func(p *peer, id uint32) {
			p.respond(id, 0, "200 OK\nContent-Length\n100000", "")
			p.sendFile(id, flagLast, file, 5, 100_000)
			p.body(id, flagEnd|flagLast, "")
		}, 200, content[5:100_005], false},
		{"a file that is too short", getRequest, func(p *peer, id uint32) {
			p.respond(id, 0, fmt.Sprintf("200 OK\nContent-Length\n%d", len(content)+1), "")
			p.sendFile(id, flagLast, file, 0, int64(len(content)+1))
			p.body(id, flagEnd|flagLast, "")
		}, 200, "", true},
		{"a note goes to the log alone", getRequest, func(p *peer, id uint32) {
			p.send(p.data, frameHeader{request: id, kind: frameNote}, "careless")
			p.ok(id, "hello")
		}, 200, "hello", false},

		{"error before the head", getRequest, func(p *peer, id uint32) {
			p.send(p.data, frameHeader{request: id, kind: frameError, flags: flagEnd | flagLast}, "Traceback")
		}, 500, "failed", false},
		{"end without an answer", getRequest, func(p *peer, id uint32) { p.body(id, flagEnd|flagLast, "") }, 500, "failed", false},
		{"a head that is none", getRequest, func(p *peer, id uint32) { p.respond(id, flagEnd|flagLast, "hello", "") }, 500, "failed", false},
		{"error in the middle, with a length", getRequest, func(p *peer, id uint32) {
			p.respond(id, 0, "200 OK\nContent-Length\n6", "ab")
			receive(p.t, "Serve returns", p.served)
			p.send(p.data, frameHeader{request: id, kind: frameError, flags: flagEnd | flagLast}, "Traceback")
		}, 200, "", true},
		{"error in the middle, without a length", getRequest, func(p *peer, id uint32) {
			p.respond(id, 0, "200 OK", "ab")
			receive(p.t, "Serve returns", p.served)
			p.send(p.data, frameHeader{request: id, kind: frameError, flags: flagEnd | flagLast}, "Traceback")
		}, 200, "", true},
		{"error in the middle, HTTP/1.0", "GET /x HTTP/1.0\r\n\r\n", func(p *peer, id uint32) {
			p.respond(id, 0, "200 OK", "ab")
			receive(p.t, "Serve returns", p.served)
			p.send(p.data, frameHeader{request: id, kind: frameError, flags: flagEnd | flagLast}, "Traceback")
		}, 200, "", true},
	}
	p := startPeer(t)
	f := serveFront(t, p.worker)
	p.served = f.errors
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for len(f.errors) > 0 {
				<-f.errors
			}
			conn := f.send(tt.request)
			tt.answer(p, p.request().request)
			method, _, _ := strings.Cut(tt.request, " ")
			got := read(conn, method)
			if tt.cut {
				if got.err == nil {
					t.Errorf("a response that was cut looks complete: %d with %d bytes", got.status, len(got.body))
				}
			} else if got.err != nil || got.status != tt.status || got.body != tt.body {
				t.Errorf("got %d with %d bytes, %v; want %d with %d", got.status, len(got.body), got.err, tt.status, len(tt.body))
			}
			waitFor(t, "the thread is given back once", func() bool { return f.freed.Load() == int32(i+1) })
		})
	}
	log := p.record.logged()
	for _, want := range []string{"detail=careless", "traceback=Traceback", "GET /x", "the answer of the application cannot be sent"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %q", want)
		}
	}
}

// TestMalformed: a worker process that does not keep to the protocol is
// killed, whatever it sends, and the request that it has ends.
func TestMalformed(t *testing.T) {
	const head = "200 OK"
	tests := []struct {
		name string
		send func(p *peer, id uint32)
	}{
		{"unknown kind", func(p *peer, id uint32) { p.send(p.data, frameHeader{request: id, kind: 99}, "") }},
		{"a kind of the other direction", func(p *peer, id uint32) { p.send(p.data, frameHeader{request: id, kind: frameRequest}, "") }},
		{"a request that nobody made", func(p *peer, id uint32) { p.ok(id+1, "x") }},
		{"an index far outside", func(p *peer, id uint32) { p.ok(exchangeIndex, "x") }},
		{"an earlier use of the number", func(p *peer, id uint32) { p.ok(id^exchangeGeneration, "x") }},
		{"body before its response", func(p *peer, id uint32) { p.body(id, 0, "x") }},
		{"two responses", func(p *peer, id uint32) { p.respond(id, 0, head, "a"); p.respond(id, 0, head, "b") }},
		{"too large", func(p *peer, id uint32) {
			_, _ = p.data.Write(appendFrameHeader(nil, frameHeader{length: maxFrame + 1, request: id, kind: frameBody}))
		}},
		{"head beyond the frame", func(p *peer, id uint32) {
			p.send(p.data, frameHeader{request: id, kind: frameResponse, head: 100}, head)
		}},
		{"more than the window", func(p *peer, id uint32) {
			p.respond(id, 0, head, strings.Repeat("x", minResponseBuffer+1))
		}},
		{"a file without a descriptor", func(p *peer, id uint32) {
			p.respond(id, 0, head, "")
			p.send(p.data, frameHeader{request: id, kind: frameFile, flags: flagLast}, strings.Repeat("\x00", 16))
		}},
		{"a descriptor announced and not sent", func(p *peer, id uint32) {
			p.respond(id, 0, head, "")
			p.send(p.data, frameHeader{request: id, kind: frameFile, flags: flagLast | flagDescriptor}, strings.Repeat("\x00", 16))
		}},
		{"a descriptor that nobody announced", func(p *peer, id uint32) {
			frame := append(appendFrameHeader(nil, frameHeader{length: 6, request: id, kind: frameResponse, head: 6}), head...)
			_, _, _ = p.data.WriteMsgUnix(frame, syscall.UnixRights(0), nil)
		}},
		{"two descriptors for one frame", func(p *peer, id uint32) {
			p.respond(id, 0, head, "")
			frame := appendFrameHeader(nil, frameHeader{length: 16, request: id, kind: frameFile, flags: flagLast | flagDescriptor})
			_, _, _ = p.data.WriteMsgUnix(frame, syscall.UnixRights(0, 0), nil)
		}},
		{"a file before its response", func(p *peer, id uint32) { p.sendFile(id, flagLast, os.Stdin, 0, 1) }},
		{"a second file", func(p *peer, id uint32) {
			p.respond(id, 0, head, "")
			p.sendFile(id, 0, os.Stdin, 0, 1)
			p.sendFile(id, 0, os.Stdin, 0, 1)
		}},
		{"an end before the last byte", func(p *peer, id uint32) { p.respond(id, flagEnd, "200 OK", "half") }},
		{"an answer after the end", func(p *peer, id uint32) { p.ok(id, "x"); p.body(id, 0, "more") }},
		{"ready twice", func(p *peer, id uint32) { p.send(p.control, frameHeader{kind: frameReady}, "") }},
		{"failed after ready", func(p *peer, id uint32) { p.send(p.control, frameHeader{kind: frameFailed}, "") }},
		{"the control socket", func(p *peer, id uint32) {
			_, _ = p.control.Write(appendFrameHeader(nil, frameHeader{length: maxFrame + 1, kind: frameLeaving}))
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := startPeer(t, func(o *Options) { o.ResponseBuffer = minResponseBuffer })
			f := serveFront(t, p.worker)
			conn := f.send(getRequest)
			tt.send(p, p.request().request)
			receive(t, "the worker process is killed", p.worker.Done())
			if log := p.record.logged(); !strings.Contains(log, "does not keep to the protocol") {
				t.Errorf("the log does not say why: %s", log)
			}
			read(conn, "GET") // it ends
			waitFor(t, "the thread is given back", func() bool { return f.freed.Load() == 1 })
		})
	}
}

// TestFileInPieces: a descriptor waits for the rest of the frame that it came with.
func TestFileInPieces(t *testing.T) {
	p := startPeer(t)
	f := serveFront(t, p.worker)
	conn := f.send(getRequest)
	id := p.request().request
	p.respond(id, 0, "200 OK\nContent-Length\n5", "")
	file := fileWith(t, "01234567")
	frame := appendFrameHeader(nil, frameHeader{length: 16, request: id, kind: frameFile, flags: flagLast | flagDescriptor})
	if _, _, err := p.data.WriteMsgUnix(frame[:7], syscall.UnixRights(int(file.Fd())), nil); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the first bytes have been read", func() bool { return queued(t, p.data) == 0 })
	_, _ = p.data.Write(append(frame[7:], "\x02\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00"...))
	p.body(id, flagEnd|flagLast, "")
	if got := read(conn, "GET"); got.err != nil || string(got.body) != "23456" {
		t.Errorf("got %q, %v, want 23456", got.body, got.err)
	}
}

// fileWith returns an open file with this content.
func fileWith(t *testing.T, content string) *os.File {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeAll(f) })
	return f
}

// queued returns how many bytes written to conn its other side has not read.
func queued(t *testing.T, conn *net.UnixConn) int {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var n int
	var ioctlErr error
	if err := raw.Control(func(fd uintptr) { n, ioctlErr = unix.IoctlGetInt(int(fd), unix.TIOCOUTQ) }); err != nil || ioctlErr != nil {
		t.Fatal(err, ioctlErr)
	}
	return n
}

// TestEndWithoutLast: a request that ends without the last byte of its body
// does not leave the client waiting, nor with what looks complete.
func TestEndWithoutLast(t *testing.T) {
	p := startPeer(t)
	f := serveFront(t, p.worker)
	conn := f.send(getRequest)
	p.respond(p.request().request, flagEnd, "200 OK", "half")
	done := make(chan reply, 1)
	go func() { done <- read(conn, "GET") }()
	if got := receive(t, "the response ends", done); got.err == nil && got.status == 200 {
		t.Errorf("got a complete response of %d bytes", len(got.body))
	}
}

// TestWorkerDeath: what becomes of a request when the worker process is killed.
func TestWorkerDeath(t *testing.T) {
	tests := []struct {
		name   string
		before func(p *peer, id uint32)
		err    error // of Serve
		cut    bool
		body   string
	}{
		{"before it answered", func(*peer, uint32) {}, ErrGone, false, ""},
		{"after the head", func(p *peer, id uint32) {
			p.respond(id, 0, "200 OK", "")
			receive(p.t, "Serve returns", p.served)
		}, nil, true, ""},
		{"in the middle of the body", func(p *peer, id uint32) {
			p.respond(id, 0, "200 OK\nContent-Length\n10", "abc")
			receive(p.t, "Serve returns", p.served)
		}, nil, true, ""},
		{"in the middle of a frame", func(p *peer, id uint32) {
			frame := append(appendFrameHeader(nil, frameHeader{length: 100, request: id, kind: frameResponse, head: 6}), "200 OK"...)
			_, _ = p.data.Write(frame)
		}, ErrGone, false, ""},
		{"after the last byte, before the end", func(p *peer, id uint32) {
			p.respond(id, flagLast, "200 OK\nContent-Length\n3", "abc")
		}, nil, false, "abc"},
		{"right after the answer", func(p *peer, id uint32) { p.ok(id, "abc") }, nil, false, "abc"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := startPeer(t)
			f := serveFront(t, p.worker)
			p.served = make(chan error, 1)
			served := make(chan error, 1)
			go func() {
				err := <-f.errors
				p.served <- err
				served <- err
			}()
			conn := f.send(getRequest)
			tt.before(p, p.request().request)
			p.worker.Kill()
			receive(t, "the worker process has ended", p.worker.Done())
			if err := receive(t, "Serve returns", served); !errors.Is(err, tt.err) {
				t.Errorf("Serve: %v, want %v", err, tt.err)
			}
			got := read(conn, "GET")
			if tt.cut && got.err == nil {
				t.Errorf("a response that was cut looks complete: %d with %q", got.status, got.body)
			}
			if tt.body != "" && (got.err != nil || got.body != tt.body) {
				t.Errorf("body %q, %v, want %q", got.body, got.err, tt.body)
			}
			waitFor(t, "the thread is given back once", func() bool { return f.freed.Load() == 1 })
			freed := 0
			err := p.worker.Serve(contextOf(t, plainConn, getRequest), &Request{Path: []byte("/")}, func() { freed++ })
			if !errors.Is(err, ErrNotSent) || freed != 1 {
				t.Errorf("Serve afterwards: %v, thread given back %d times, want ErrNotSent and once", err, freed)
			}
		})
	}
}

// TestWindow: a client that does not read keeps the application from sending
// more than the window; one that reads gets everything.
func TestWindow(t *testing.T) {
	p := startPeer(t, func(o *Options) { o.ResponseBuffer = minResponseBuffer })
	f := serveFront(t, p.worker)
	conn := f.send(getRequest)
	id := p.request().request
	random := rand.New(rand.NewPCG(1, 2))
	sent := make([]byte, 5<<20)
	for i := range sent {
		sent[i] = byte(random.Uint32())
	}
	done := make(chan reply, 1)
	go func() { done <- read(conn, "GET") }()
	p.respond(id, 0, "200 OK", "")
	window, acknowledged := minResponseBuffer, 0
	for rest := sent; len(rest) > 0; {
		n := min(len(rest), 100_000)
		for window < n {
			h := receive(t, "a window frame", p.requests)
			if h.kind != frameWindow || h.request != id || len(h.payload) != 4 {
				t.Fatalf("got frame %+v", h.frameHeader)
			}
			taken := int(h.payload[0]) | int(h.payload[1])<<8 | int(h.payload[2])<<16 | int(h.payload[3])<<24
			window += taken
			acknowledged += taken
			if acknowledged > len(sent)-len(rest) {
				t.Fatalf("%d bytes acknowledged of %d sent", acknowledged, len(sent)-len(rest))
			}
		}
		p.body(id, 0, string(rest[:n]))
		window -= n
		rest = rest[n:]
	}
	p.body(id, flagEnd|flagLast, "")
	got := receive(t, "the response", done)
	if got.err != nil || !bytes.Equal([]byte(got.body), sent) {
		t.Errorf("got %d bytes, %v; sent %d", len(got.body), got.err, len(sent))
	}
}

// TestClientGone: the application is told to stop when nobody reads any more.
func TestClientGone(t *testing.T) {
	p := startPeer(t, func(o *Options) { o.ResponseBuffer = minResponseBuffer })
	f := serveFront(t, p.worker)
	conn := f.send(getRequest)
	id := p.request().request
	p.respond(id, 0, "200 OK", "begin")
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	closeAll(conn)
	// It is found out by writing.
	window := minResponseBuffer - len("begin")
	for cancelled := false; !cancelled; {
		if window >= 1000 {
			p.body(id, 0, strings.Repeat("x", 1000))
			window -= 1000
		}
		select {
		case h := <-p.requests:
			cancelled = h.kind == frameCancel && h.request == id
			if h.kind == frameWindow {
				window += int(h.payload[0]) | int(h.payload[1])<<8 | int(h.payload[2])<<16 | int(h.payload[3])<<24
			}
		default:
			if window < 1000 {
				h := receive(t, "a window or cancel frame", p.requests)
				cancelled = h.kind == frameCancel && h.request == id
				if h.kind == frameWindow {
					window += int(h.payload[0]) | int(h.payload[1])<<8 | int(h.payload[2])<<16 | int(h.payload[3])<<24
				}
			}
		}
	}
	p.body(id, flagEnd|flagLast, "")
	waitFor(t, "the thread is given back", func() bool { return f.freed.Load() == 1 })
}

// TestRequestFile: a body in a file travels as a descriptor, from its
// beginning, and the caller may close its own at once.
func TestRequestFile(t *testing.T) {
	p := startPeer(t)
	for i := range 20 {
		text := fmt.Sprintf("body %d", i)
		file, err := os.CreateTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.WriteAt([]byte(text), 0); err != nil {
			t.Fatal(err)
		}
		served := make(chan error, 1)
		go func() {
			r := &Request{Path: []byte("/"), File: file, BodySize: int64(len(text)), HasBody: true}
			served <- p.worker.Serve(contextOf(t, plainConn, getRequest), r, func() {})
		}()
		f := p.request()
		if f.file == nil {
			t.Fatal("no descriptor came with the request")
		}
		p.ok(f.request, "")
		if err := <-served; err != nil {
			t.Fatal(err)
		}
		closeAll(file)
		got, err := io.ReadAll(f.file)
		closeAll(f.file)
		if err != nil || string(got) != text {
			t.Errorf("the file has %q, %v, want %q", got, err, text)
		}
	}
}

// TestNumbers: no two requests in flight share a number, not even one whose
// thread is free and whose body is still being sent, and answers in any order
// reach their own requests.
func TestNumbers(t *testing.T) {
	p := startPeer(t)
	const clients, rounds = 32, 20
	var answered sync.WaitGroup
	answered.Go(func() {
		random := rand.New(rand.NewPCG(3, 4))
		var held []peerFrame
		seen := map[uint32]bool{}
		for n := 0; n < clients*rounds; {
			if len(held) == 0 {
				held = append(held, receive(t, "a request", p.requests))
			}
			for more := true; more; {
				select {
				case f := <-p.requests:
					held = append(held, f)
				default:
					more = false
				}
			}
			for i := range held {
				for j := range i {
					if held[i].request == held[j].request {
						t.Errorf("number %d for two requests in flight", held[i].request)
					}
				}
			}
			i := random.IntN(len(held))
			f := held[i]
			held = append(held[:i], held[i+1:]...)
			if seen[f.request] {
				t.Errorf("number %d was used before, by a request whose late frames would meet this one", f.request)
			}
			seen[f.request] = true
			_, environ, _ := decodeEnviron(t, append(appendFrameHeader(nil, f.frameHeader), f.payload...))
			p.ok(f.request, environ["PATH_INFO"])
			n++
		}
	})
	var all sync.WaitGroup
	for c := range clients {
		all.Go(func() {
			for i := range rounds {
				path := fmt.Sprintf("/%d/%d", c, i)
				ctx := contextOf(t, plainConn, getRequest)
				freed := 0
				if err := p.worker.Serve(ctx, &Request{Path: []byte(path)}, func() { freed++ }); err != nil {
					t.Errorf("%s: %v", path, err)
				} else if got := string(ctx.Response.Body()); got != path {
					t.Errorf("%s got the answer %q", path, got)
				}
			}
		})
	}
	all.Wait()
	answered.Wait()
}
