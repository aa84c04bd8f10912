//go:build linux

package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"

	"overlay/tlsauth/tlstest"

	"github.com/valyala/fasthttp"
)

// lockedBuffer is a log that may be read while it is written.
type lockedBuffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// badStream is a body whose end is a bug.
type badStream struct{ io.Reader }

func (badStream) Close() error { panic("bad stream") }

// TestPanicAfterHandler: a panic when a response has been made ends the connection, and leaves
// the others, the access log and the counts as they are.
func TestPanicAfterHandler(t *testing.T) {
	config := tlsConfig(t)
	for _, row := range []struct {
		name    string
		overTLS bool
		bad     func(s *site)
		want    string
	}{
		{"a body stream, plain", false, badBody, "bad stream"},
		{"a body stream, TLS", true, badBody, "bad stream"},
		{"a line of the access log", false, badLine, "bad line"},
	} {
		t.Run(row.name, func(t *testing.T) {
			var said lockedBuffer
			cfg, err := parseConfig(t.TempDir(), "--port", "0", "--access-log", "--document-root", t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			s := &site{cfg: cfg, log: slog.New(slog.NewTextHandler(&said, nil))}
			if err := s.build(io.Discard); err != nil {
				t.Fatal(err)
			}
			row.bad(s)
			inner, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			l := listenConnections(inner, timeouts{})
			if row.overTLS {
				l = listenTLSConnections(inner, timeouts{}, config)
			}
			served := make(chan error, 1)
			go func() {
				served <- s.server.Serve(&servingListener{Listener: l, serve: s.serveConn, log: s.log})
			}()
			dial := func() (net.Conn, *bufio.Reader) {
				c, err := net.Dial("tcp", inner.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = c.Close() })
				if row.overTLS {
					c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
				}
				return c, bufio.NewReader(c)
			}
			ask := func(c net.Conn, in *bufio.Reader, path string) error {
				if _, err := io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
					return err
				}
				response, err := http.ReadResponse(in, nil)
				if err == nil {
					_, err = io.Copy(io.Discard, response.Body)
				}
				return err
			}
			other, otherIn := dial()
			if err := ask(other, otherIn, "/"); err != nil {
				t.Fatal(err)
			}
			c, in := dial()
			_ = ask(c, in, "/bad") // may be answered, or not
			if _, err := in.ReadByte(); err == nil {
				t.Error("the connection goes on after the panic")
			}
			if err := ask(other, otherIn, "/"); err != nil {
				t.Errorf("another connection: %v", err)
			}
			pollUntil(t, "the count of connections", func() bool { return s.connections() == 1 })
			if text := said.String(); !strings.Contains(text, row.want) || !strings.Contains(text, "connection_serve_test.go") {
				t.Errorf("the log says %q", text)
			}
			if err := s.server.ShutdownWithContext(t.Context()); err != nil {
				t.Error(err)
			}
			if err := <-served; err != nil {
				t.Errorf("Serve: %v", err)
			}
			s.close()
		})
	}
}

func badBody(s *site) {
	inner := s.server.Handler
	s.server.Handler = func(ctx *fasthttp.RequestCtx) {
		inner(ctx)
		if string(ctx.Path()) == "/bad" {
			ctx.Response.SetBodyStream(badStream{strings.NewReader("x")}, 1)
		}
	}
}

func badLine(s *site) {
	inner := s.accessLog.appendLine
	s.accessLog.appendLine = func(line []byte, e *accessEntry, l *accessLog) []byte {
		if string(e.ctx.Path()) == "/bad" {
			panic("bad line")
		}
		return inner(line, e, l)
	}
}

func tlsConfig(t *testing.T) *tls.Config {
	t.Helper()
	return &tls.Config{Certificates: []tls.Certificate{tlstest.NewCA(t).Issue(t).TLS(t)}}
}

// failingListener gives errors, and then the end.
type failingListener struct {
	net.Listener
	errs []error
}

func (l *failingListener) Accept() (net.Conn, error) {
	err := l.errs[0]
	l.errs = l.errs[1:]
	return nil, err
}

// TestServingListenerErrors: what comes free again does not end the server, anything else does.
func TestServingListenerErrors(t *testing.T) {
	for _, row := range []struct {
		name string
		errs []error
		want error
		said bool
	}{
		{"no descriptors", []error{acceptError(syscall.EMFILE), acceptError(syscall.EMFILE), acceptError(syscall.ENFILE), net.ErrClosed}, net.ErrClosed, true},
		{"no memory", []error{acceptError(syscall.ENOMEM), net.ErrClosed}, net.ErrClosed, true},
		{"closed", []error{net.ErrClosed}, net.ErrClosed, false},
		{"no socket", []error{acceptError(syscall.EBADF)}, syscall.EBADF, false},
	} {
		var said lockedBuffer
		l := &servingListener{Listener: &failingListener{errs: row.errs}, log: slog.New(slog.NewTextHandler(&said, nil))}
		if _, err := l.Accept(); !errors.Is(err, row.want) {
			t.Errorf("%s: Accept = %v, want %v", row.name, err, row.want)
		}
		want := 0
		if row.said {
			want = 1
		}
		if got := strings.Count(said.String(), "accept"); (got > 0) != (want > 0) {
			t.Errorf("%s: the log says %q", row.name, said.String())
		}
	}
}

func acceptError(errno syscall.Errno) error {
	return &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", errno)}
}
