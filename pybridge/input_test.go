package pybridge

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// arriving is a body whose bytes come when the test says so.
type arriving struct {
	steps       chan step
	interrupted chan struct{}
	once        sync.Once
	reads       atomic.Int32
	taken       atomic.Int64 // bytes
	rest        []byte
}

// step is what a Read returns.
type step struct {
	data string
	err  error
}

func newArriving(steps ...step) *arriving {
	a := &arriving{steps: make(chan step, 100), interrupted: make(chan struct{})}
	for _, s := range steps {
		a.steps <- s
	}
	return a
}

var errStopped = errors.New("interrupted")

func (a *arriving) Read(p []byte) (int, error) {
	a.reads.Add(1)
	if len(a.rest) == 0 {
		select {
		case s := <-a.steps:
			if s.err != nil {
				return copy(p, s.data), s.err
			}
			a.rest = []byte(s.data)
		case <-a.interrupted:
			return 0, errStopped
		}
	}
	n := copy(p, a.rest)
	a.rest = a.rest[n:]
	a.taken.Add(int64(n))
	return n, nil
}

func (a *arriving) Interrupt() { a.once.Do(func() { close(a.interrupted) }) }

// stopped reports whether Interrupt was called.
func (a *arriving) stopped() bool {
	select {
	case <-a.interrupted:
		return true
	default:
		return false
	}
}

// served is a request whose body arrives, in the hands of a Worker.
type served struct {
	ctx   *fasthttp.RequestCtx
	err   chan error // what Serve returns
	freed atomic.Int32
}

// serveBody hands a request with body to w.
func serveBody(t *testing.T, w *Worker, body Input) *served {
	t.Helper()
	s := &served{ctx: contextOf(t, plainConn, "POST /up HTTP/1.1\r\nHost: h\r\n\r\n"), err: make(chan error, 1)}
	go func() {
		s.err <- w.Serve(s.ctx, &Request{Path: []byte("/up"), Input: body}, func() { s.freed.Add(1) })
	}()
	return s
}

// bodyOf waits for the request and returns it with the worker's end of its body.
func (p *peer) bodyOf() (id uint32, conn *net.UnixConn) {
	p.t.Helper()
	f := p.request()
	if f.file == nil {
		p.t.Fatal("no descriptor came with the request")
	}
	conn = connOf(p.t, f.file)
	p.t.Cleanup(func() { closeAll(conn) })
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	return f.request, conn
}

// askBody says that the application reads.
func askBody(t *testing.T, conn *net.UnixConn) {
	t.Helper()
	if _, err := conn.Write([]byte("?")); err != nil {
		t.Fatal(err)
	}
}

// readBody reads pieces until the end, whose number it returns; -1 means that the socket
// ended without a word.
func readBody(t *testing.T, conn *net.UnixConn) (data string, end int64) {
	t.Helper()
	var all bytes.Buffer
	for {
		var head [4]byte
		if _, err := io.ReadFull(conn, head[:]); err != nil {
			return all.String(), -1
		}
		n := binary.LittleEndian.Uint32(head[:])
		if n == 0 || n&inputFailure != 0 {
			return all.String(), int64(n &^ inputFailure)
		}
		if _, err := io.CopyN(&all, conn, int64(n)); err != nil {
			t.Fatalf("a piece of %d bytes was cut: %v", n, err)
		}
	}
}

// TestInput: a body arrives as it was sent, and its end is what the client's was.
func TestInput(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 3*inputPiece/16)
	tooLarge := fmt.Errorf("wrapped: %w", syscall.EFBIG)
	tests := []struct {
		name  string
		steps []step
		data  string
		end   int64
		err   error // of Serve, when the response has not begun
	}{
		{"empty", []step{{"", io.EOF}}, "", 0, nil},
		{"end with the last bytes", []step{{"ab", nil}, {"c", io.EOF}}, "abc", 0, nil},
		{"end on its own", []step{{"abc", nil}, {"", io.EOF}}, "abc", 0, nil},
		{"long", []step{{long, nil}, {"", io.EOF}}, long, 0, nil},
		{"an error with a number", []step{{"abc", nil}, {"", tooLarge}}, "abc", int64(syscall.EFBIG), tooLarge},
		{"an error with the last bytes", []step{{"abc", tooLarge}}, "abc", int64(syscall.EFBIG), tooLarge},
		{"an error without a number", []step{{"", io.ErrUnexpectedEOF}}, "", int64(syscall.EIO), io.ErrUnexpectedEOF},
	}
	p := startPeer(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			body := newArriving(tt.steps...)
			s := serveBody(t, p.worker, body)
			id, conn := p.bodyOf()
			askBody(t, conn)
			if data, end := readBody(t, conn); data != tt.data || end != tt.end {
				t.Errorf("got %d bytes, end %d, want %d and %d", len(data), end, len(tt.data), tt.end)
			}
			if tt.err != nil {
				if f := receive(t, "a frame that says that nobody waits", p.requests); f.kind != frameCancel || f.request != id {
					t.Errorf("got kind %d about %d, want a cancel about %d", f.kind, f.request, id)
				}
			}
			p.ok(id, "done")
			err := receive(t, "Serve returns", s.err)
			if !errors.Is(err, tt.err) {
				t.Errorf("Serve = %v, want %v", err, tt.err)
			}
			if err == nil && string(s.ctx.Response.Body()) != "done" {
				t.Errorf("got the answer %q", s.ctx.Response.Body())
			}
			waitFor(t, "the thread is given back", func() bool { return s.freed.Load() == 1 })
		})
	}
}

// TestInputUnread: nothing is read from a client before the application asks, and
// nothing after the answer.
func TestInputUnread(t *testing.T) {
	p := startPeer(t)
	tests := []struct {
		name   string
		before func(conn *net.UnixConn, body *arriving)
		reads  int32
	}{
		{"not asked for", func(*net.UnixConn, *arriving) {}, 0},
		{"closed by the application", func(conn *net.UnixConn, _ *arriving) { closeAll(conn) }, 0},
		{"waited for", func(conn *net.UnixConn, body *arriving) {
			askBody(t, conn)
			waitFor(t, "the body is read", func() bool { return body.reads.Load() > 0 })
		}, 1},
		{"half read", func(conn *net.UnixConn, body *arriving) {
			body.steps <- step{"half", nil}
			askBody(t, conn)
			waitFor(t, "the body is read again", func() bool { return body.reads.Load() > 1 })
		}, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			body := newArriving()
			s := serveBody(t, p.worker, body)
			id, conn := p.bodyOf()
			tt.before(conn, body)
			p.ok(id, "answered")
			if err := receive(t, "Serve returns", s.err); err != nil || string(s.ctx.Response.Body()) != "answered" {
				t.Errorf("Serve = %v with %q", err, s.ctx.Response.Body())
			}
			if got := body.reads.Load(); got != tt.reads {
				t.Errorf("the body was read %d times, want %d", got, tt.reads)
			}
			if _, end := readBody(t, conn); end != -1 {
				t.Errorf("the application was told of an end, %d", end)
			}
		})
	}
}

// TestInputWhileAnswering: the body goes on while the response is sent, and what is left
// of it is given up when that has ended.
func TestInputWhileAnswering(t *testing.T) {
	p := startPeer(t)
	for _, failure := range []error{nil, syscall.EFBIG} {
		body := newArriving(step{"one", nil})
		s := serveBody(t, p.worker, body)
		id, conn := p.bodyOf()
		askBody(t, conn)
		p.respond(id, 0, "200 OK", "begun, ")
		if err := receive(t, "Serve returns", s.err); err != nil {
			t.Fatal(err)
		}
		out := make(chan string, 1)
		go func() {
			var sent bytes.Buffer
			_, err := s.ctx.Response.BodyStream().(io.WriterTo).WriteTo(&sent)
			_ = s.ctx.Response.CloseBodyStream()
			out <- fmt.Sprint(sent.String(), err)
		}()
		body.steps <- step{"two", nil}
		if failure != nil {
			body.steps <- step{"", failure}
		}
		got := make([]byte, 4+3+4+3)
		if _, err := io.ReadFull(conn, got); err != nil || string(got[4:7])+string(got[11:]) != "onetwo" {
			t.Errorf("got %q, %v", got, err)
		}
		if failure != nil { // the application's affair: the response goes on
			if _, end := readBody(t, conn); end != int64(syscall.EFBIG) {
				t.Errorf("the body ended with %d", end)
			}
		}
		p.body(id, flagEnd|flagLast, "ended")
		if got := receive(t, "the response ends", out); got != "begun, ended<nil>" {
			t.Errorf("failure %v: sent %q", failure, got)
		}
		if failure == nil && !body.stopped() {
			t.Error("the rest of the body is still waited for")
		}
	}
}

// TestInputWindow: what the application does not read stays with the client, but for
// the window.
func TestInputWindow(t *testing.T) {
	p := startPeer(t)
	body := newArriving()
	for range 64 {
		body.steps <- step{strings.Repeat("x", 1<<20), nil}
	}
	s := serveBody(t, p.worker, body)
	id, conn := p.bodyOf()
	askBody(t, conn)
	var before int64
	for since := time.Now(); time.Since(since) < 200*time.Millisecond; time.Sleep(time.Millisecond) {
		if taken := body.taken.Load(); taken != before {
			before, since = taken, time.Now()
		}
	}
	// The kernel doubles what is asked for, and counts its own overhead with it.
	if before < inputPiece || before > 2*inputWindow+2*inputPiece {
		t.Errorf("%d bytes were taken from the client, want a window of about %d", before, inputWindow)
	}
	// What is read makes room.
	if _, err := io.CopyN(io.Discard, conn, 1<<20); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "more is taken", func() bool { return body.taken.Load() > before })
	p.ok(id, "")
	if err := receive(t, "Serve returns", s.err); err != nil {
		t.Fatal(err)
	}
}

// TestInputGivenBack: a request that comes back has lost nothing of its body.
func TestInputGivenBack(t *testing.T) {
	p := startPeer(t)
	for _, first := range []bool{true, false} {
		t.Run(fmt.Sprintf("closed first %t", first), func(t *testing.T) { giveBackInput(t, p, first) })
	}
}

// giveBackInput gives a request back, closes its body before or after, and takes it again.
func giveBackInput(t *testing.T, p *peer, closedFirst bool) {
	body := newArriving(step{"whole", io.EOF})
	s := serveBody(t, p.worker, body)
	id, conn := p.bodyOf()
	if closedFirst {
		closeAll(conn)
	}
	p.send(p.data, frameHeader{request: id, kind: frameGiveBack, flags: flagEnd | flagLast}, "")
	if err := receive(t, "Serve returns", s.err); !errors.Is(err, ErrGivenBack) {
		t.Fatalf("Serve = %v, want ErrGivenBack", err)
	}
	if got := body.reads.Load(); got != 0 || body.stopped() {
		t.Errorf("the body was read %d times, interrupted: %t; want neither", got, body.stopped())
	}
	s = serveBody(t, p.worker, body)
	id, conn = p.bodyOf()
	askBody(t, conn)
	if data, end := readBody(t, conn); data != "whole" || end != 0 {
		t.Errorf("the second time: %q, end %d", data, end)
	}
	p.ok(id, "")
	if err := receive(t, "Serve returns", s.err); err != nil {
		t.Fatal(err)
	}
}

// TestInputDeath: a worker process that ends in mid-body takes its request with it, and
// leaves neither a reader nor a descriptor.
func TestInputDeath(t *testing.T) {
	before := openDescriptors(t)
	t.Run("worker", func(t *testing.T) {
		p := startPeer(t)
		body := newArriving(step{"some", nil})
		s := serveBody(t, p.worker, body)
		_, conn := p.bodyOf()
		askBody(t, conn)
		waitFor(t, "the client is waited for", func() bool { return body.reads.Load() == 2 })
		p.worker.Kill()
		if err := receive(t, "Serve returns", s.err); !errors.Is(err, ErrGone) {
			t.Errorf("Serve = %v, want ErrGone", err)
		}
		if !body.stopped() {
			t.Error("the body is still waited for")
		}
		if s := serveBody(t, p.worker, newArriving()); !errors.Is(receive(t, "Serve returns", s.err), ErrNotSent) {
			t.Error("a later request was handed over")
		}
	})
	waitFor(t, "descriptors are closed", func() bool { return openDescriptors(t) <= before })
}

// TestInputOfPython: what the application sees of a body that arrives. Its default for
// the timeout of sockets is for its own.
func TestInputOfPython(t *testing.T) {
	w, rec := startScript(t, `
import socket
socket.setdefaulttimeout(0.01)

def application(environ, start_response):
    stream = environ["wsgi.input"]
    text = ""
    try:
        while True:
            data = stream.read1(100)
            if not data:
                break
            text += data.decode()
        text += ", end %r" % stream.read(1)
    except OSError as error:
        text += ", %s %s" % (type(error).__name__, error)
        try:
            stream.read(1)
        except OSError as again:
            text += ", again" if str(again) in text else ", then " + str(again)
    print(environ.get("CONTENT_LENGTH"), text)
    start_response("200 OK", [])
    return [b"seen"]
`)
	tests := []struct {
		name  string
		steps []step
		want  string // printed
	}{
		{"in pieces", []step{{"one", nil}, {"two", nil}, {"three", io.EOF}}, "None onetwothree, end b''"},
		{"the client leaves", []step{{"one", nil}, {"", fmt.Errorf("gone: %w", syscall.ECONNRESET)}},
			"None one, ConnectionResetError [Errno 104] the client left before it had sent the whole body, again"},
		{"the client is slow", []step{{"", fmt.Errorf("slow: %w", syscall.ETIMEDOUT)}},
			"None , TimeoutError [Errno 110] the client sends the body too slowly, again"},
		{"too large", []step{{"", syscall.EFBIG}}, "None , OSError [Errno 27] the body is larger than --limit-request-body, again"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			body := newArriving()
			s := serveBody(t, w, body)
			for _, one := range tt.steps {
				body.steps <- one
				// The next bytes come when the application has had these.
				waitFor(t, "they are read", func() bool { return len(body.steps) == 0 })
			}
			err := receive(t, "Serve returns", s.err)
			last := tt.steps[len(tt.steps)-1].err
			if (err == nil) != errors.Is(last, io.EOF) {
				t.Errorf("Serve = %v after %v", err, last)
			}
			waitFor(t, tt.want, func() bool {
				return strings.Contains(strings.Join(rec.printed(), "\n"), tt.want)
			})
			waitFor(t, "the thread is given back", func() bool { return s.freed.Load() == 1 })
		})
	}
	if log := rec.logged(); strings.Contains(log, "level=ERROR") {
		t.Errorf("what the client did is an error in the log:\n%s", log)
	}
}

// TestInputClientGone: the application reads a body whose client is found gone by a look at its
// connection, before the body says so. That its read fails is no error of the application.
func TestInputClientGone(t *testing.T) {
	var gone atomic.Bool
	w, rec := startScript(t, `
def application(environ, start_response):
    print("the body begins with", environ["wsgi.input"].read(3))
    environ["wsgi.input"].read()
`, func(o *Options) { o.ClientGone = func(net.Conn) bool { return gone.Load() } })
	s := serveBody(t, w, newArriving(step{"one", nil}))
	waitFor(t, "the application reads", func() bool { return len(rec.printed()) == 1 })
	gone.Store(true)
	if err := receive(t, "Serve returns", s.err); !errors.Is(err, ErrClientGone) {
		t.Errorf("Serve = %v, want ErrClientGone", err)
	}
	waitFor(t, "the thread is given back", func() bool { return s.freed.Load() == 1 })
	if log := rec.logged(); strings.Contains(log, "level=ERROR") || !strings.Contains(log, "ConnectionAbortedError") {
		t.Errorf("the log does not say it, or calls it an error:\n%s", log)
	}
}

// TestInputsCount: a body counts as long as the application may read it.
func TestInputsCount(t *testing.T) {
	p := startPeer(t)
	var count Backlogs
	p.worker.opts.Backlogs = &count
	body := newArriving()
	s := serveBody(t, p.worker, body)
	_, conn := p.bodyOf()
	askBody(t, conn)
	waitFor(t, "the body is counted", func() bool { return count.Inputs() == 1 })
	body.steps <- step{"x", io.EOF}
	if data, end := readBody(t, conn); data != "x" || end != 0 {
		t.Errorf("the application read %q, end %d", data, end)
	}
	waitFor(t, "it no longer is", func() bool { return count.Inputs() == 0 })
	_ = conn.Close()
	_ = s
}

// panickingInput is a body with a bug.
type panickingInput struct{}

func (panickingInput) Read([]byte) (int, error) { panic("the cause") }
func (panickingInput) Interrupt()               {}

// TestInputPanic: a panic while the body is read ends the request, and not the process.
func TestInputPanic(t *testing.T) {
	p := startPeer(t)
	s := serveBody(t, p.worker, panickingInput{})
	_, conn := p.bodyOf()
	askBody(t, conn)
	if _, end := readBody(t, conn); end != int64(syscall.EIO) {
		t.Errorf("the application was told of the end %d, want %d", end, int64(syscall.EIO))
	}
	if err := receive(t, "Serve returns", s.err); err == nil {
		t.Error("Serve returns no error")
	}
	if log := p.record.logged(); !strings.Contains(log, "the cause") {
		t.Errorf("the log lacks the panic: %s", log)
	}
}

// fragileConn panics when the body of a response is written to it.
type fragileConn struct {
	net.Conn
	closed chan struct{}
	once   sync.Once
}

func (c *fragileConn) Write(b []byte) (int, error) {
	if strings.HasPrefix(string(b), "body") {
		panic("the cause")
	}
	return c.Conn.Write(b)
}

func (c *fragileConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// TestPanicUntilClose: a panic while a response is sent that ends with its connection
// cuts that, and does not end the process: fasthttp has no part in it any more.
func TestPanicUntilClose(t *testing.T) {
	p := startPeer(t)
	client, inner := net.Pipe()
	defer client.Close()
	go func() { _, _ = io.Copy(io.Discard, client) }()
	c := &fragileConn{Conn: inner, closed: make(chan struct{})}
	served := make(chan error, 1)
	server := &fasthttp.Server{Logger: nowhere{}, Handler: func(ctx *fasthttp.RequestCtx) {
		served <- p.worker.Serve(ctx, &Request{Path: ctx.Path()}, func() {})
	}}
	go func() { _ = server.ServeConn(c) }()
	if _, err := io.WriteString(client, "GET /x HTTP/1.0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	id := p.request().request
	p.respond(id, 0, "200 OK", "body of unknown length")
	if err := receive(t, "Serve returns", served); err != nil {
		t.Fatal(err)
	}
	receive(t, "the connection is closed", c.closed)
	if f := receive(t, "a frame that says that nobody reads", p.requests); f.kind != frameCancel {
		t.Errorf("got a frame of kind %d, want a cancel", f.kind)
	}
	waitFor(t, "the panic is in the log", func() bool { return strings.Contains(p.record.logged(), "the cause") })
}
