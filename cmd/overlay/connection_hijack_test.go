package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"overlay/tlsauth"
	"overlay/tlsauth/tlstest"

	"github.com/valyala/fasthttp"
)

// startHijacker serves connections that body takes over, with TLS or without, and
// returns a client's connection on which a request has been sent.
func startHijacker(t *testing.T, encrypted bool, limits timeouts, count *hijacked, body func(net.Conn)) net.Conn {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	kept := listenConnections(listener, limits)
	if encrypted {
		certificate, key := tlstest.NewCA(t).Issue(t).Files(t)
		config, _, err := tlsauth.Options{CertificateFile: certificate, KeyFile: key}.Config()
		if err != nil {
			t.Fatal(err)
		}
		kept = listenTLSConnections(listener, limits, config)
	}
	server := &fasthttp.Server{Logger: quietLogger{}}
	(&hygiene{}).install(server, func(ctx *fasthttp.RequestCtx) {
		ctx.HijackSetNoResponse(true)
		ctx.Hijack(func(c net.Conn) { body(c.(interface{ UnsafeConn() net.Conn }).UnsafeConn()) })
	})
	server.Handler = count.watch(server.Handler)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(kept)
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
	var client net.Conn = dial(t, listener.Addr().String())
	if encrypted {
		client = tls.Client(client, &tls.Config{InsecureSkipVerify: true})
	}
	send(t, client, "GET / HTTP/1.0\r\n\r\n")
	return client
}

// TestHijackedWritesAreBounded: a client that takes nothing is cut at the socket
// timeout, though fasthttp has taken the deadlines off the connection.
func TestHijackedWritesAreBounded(t *testing.T) {
	for _, encrypted := range []bool{false, true} {
		t.Run(fmt.Sprintf("TLS %v", encrypted), func(t *testing.T) {
			failed := make(chan error, 1)
			client := startHijacker(t, encrypted, timeouts{socket: short}, new(hijacked), func(c net.Conn) {
				c.(interface{ KeepTime() }).KeepTime()
				_, err := c.Write(make([]byte, 64<<20))
				failed <- err
			})
			if c, ok := client.(*tls.Conn); ok {
				if err := c.Handshake(); err != nil {
					t.Fatal(err)
				}
			}
			select {
			case err := <-failed:
				if !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("the write ended with %v, want the deadline", err)
				}
			case <-time.After(patience):
				t.Fatal("the write goes on although nothing is read")
			}
		})
	}
}

// TestResponseTimeout: within a response, its own timeout is what counts.
func TestResponseTimeout(t *testing.T) {
	for _, row := range []struct {
		name   string
		limits timeouts
	}{
		{"that of bodies is longer", timeouts{socket: long, response: short}},
		{"there is none of its own", timeouts{socket: short}},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, server := tcpPair(t)
			failed := make(chan error, 1)
			go func() {
				_, err := newConnection(server, &row.limits).Write(make([]byte, 64<<20))
				failed <- err
			}()
			select {
			case err := <-failed:
				if !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("the write ended with %v, want the deadline", err)
				}
			case <-time.After(patience):
				t.Fatal("the write goes on although nothing is read")
			}
		})
	}
}

// TestAbort: what is cut does not look complete, not even below TLS, where an alert
// would say that all has been sent.
func TestAbort(t *testing.T) {
	for _, encrypted := range []bool{false, true} {
		for _, abort := range []bool{false, true} {
			t.Run(fmt.Sprintf("TLS %v, abort %v", encrypted, abort), func(t *testing.T) {
				read := make(chan struct{})
				client := startHijacker(t, encrypted, timeouts{}, new(hijacked), func(c net.Conn) {
					_, _ = io.WriteString(c, "part")
					<-read
					if abort {
						c.(interface{ Abort() }).Abort()
					}
				})
				if _, err := io.ReadFull(client, make([]byte, 4)); err != nil {
					t.Fatal(err)
				}
				close(read)
				n, err := client.Read(make([]byte, 10))
				if n != 0 || (err == io.EOF) == abort {
					t.Errorf("Read = %d, %v; want an end that looks complete: %v", n, err, !abort)
				}
			})
		}
	}
}

// TestHijackedWait: a stop waits for the connections that fasthttp has let go, as
// long as it may.
func TestHijackedWait(t *testing.T) {
	var count hijacked
	began, end := make(chan struct{}), make(chan struct{})
	client := startHijacker(t, false, timeouts{}, &count, func(net.Conn) {
		close(began)
		<-end
	})
	<-began
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := count.wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("wait = %v with a connection that is open and no time left", err)
	}
	close(end)
	if err := count.wait(t.Context()); err != nil {
		t.Errorf("wait = %v", err)
	}
	if _, err := client.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("wait returned before the connection was closed: %v", err)
	}
}

// closeCounter is a body stream that is not read.
type closeCounter struct{ closed *int }

func (closeCounter) Read([]byte) (int, error) { return 0, io.EOF }

func (c closeCounter) Close() error {
	*c.closed++
	return nil
}

// TestHijackNotReached: the responses before the one that takes the connection over cannot be
// sent. Whoever makes that one learns that nobody reads it.
func TestHijackNotReached(t *testing.T) {
	var count hijacked
	closed := 0
	server := &fasthttp.Server{Logger: quietLogger{}}
	(&hygiene{}).install(server, func(ctx *fasthttp.RequestCtx) {
		if string(ctx.Path()) == "/first" {
			ctx.SetBodyString("stays in the buffer")
			return
		}
		ctx.Response.SetBodyStream(closeCounter{&closed}, -1)
		ctx.HijackSetNoResponse(true)
		ctx.Hijack(func(net.Conn) { t.Error("the connection was taken over though it does not work") })
	})
	server.Handler = count.watch(server.Handler)
	client, inner := tcpPair(t)
	c := newConnection(&countedConn{Conn: inner, failAfter: -1}, &timeouts{})
	send(t, client, "GET /first HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /second HTTP/1.0\r\n\r\n")
	if err := server.ServeConn(c); !errors.Is(err, errCounted) {
		t.Errorf("ServeConn = %v, want the error of the connection", err)
	}
	if closed != 1 {
		t.Errorf("the body stream was closed %d times, want once", closed)
	}
	if err := count.wait(t.Context()); err != nil {
		t.Error(err)
	}
}
