package main

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/valyala/fasthttp"
)

// panicking is the body of a response that panics when fasthttp comes to it, long after
// the handler has returned.
type panicking struct{ in string }

func (p *panicking) at(place string) {
	if p.in == place {
		panic("the cause")
	}
}

func (p *panicking) Read(b []byte) (int, error) {
	p.at("Read")
	return 0, io.EOF
}

// panickingWriter is one that writes itself.
type panickingWriter struct{ panicking }

func (p *panickingWriter) SupportsBodyWriteTo() bool { return true }
func (p *panickingWriter) WriteTo(w io.Writer) (int64, error) {
	_, err := io.WriteString(w, "half")
	p.at("WriteTo")
	return 4, err
}

// syncBuffer is a log that several goroutines write.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// A panic in a body stream ends its connection and nothing else, and is in the log. The
// end of the process would fail this test, and all others.
func TestPanicOfABodyStream(t *testing.T) {
	for _, request := range []string{"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "HEAD / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"} {
		for _, length := range []int{-1, 10} {
			for _, body := range []io.Reader{&panicking{"Read"}, &panickingWriter{panicking{"WriteTo"}}} {
				var log syncBuffer
				server := &fasthttp.Server{Logger: serverLog{slog.New(slog.NewTextHandler(&log, nil))}}
				(&hygiene{}).install(server, func(ctx *fasthttp.RequestCtx) {
					if len(ctx.Request.Header.Peek("Good")) > 0 {
						return
					}
					ctx.Response.SetBodyStream(body, length)
				})
				listener, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				done := make(chan struct{})
				go func() {
					defer close(done)
					_ = server.Serve(listenConnections(listener, timeouts{}))
				}()
				c := dial(t, listener.Addr().String())
				send(t, c, request)
				_, err = io.ReadAll(c)
				if err != nil && !errors.Is(err, net.ErrClosed) && !strings.Contains(err.Error(), "reset") {
					t.Errorf("%q, %+v: %v", request, body, err)
				}
				c = dial(t, listener.Addr().String())
				send(t, c, "GET / HTTP/1.1\r\nHost: h\r\nGood: yes\r\nConnection: close\r\n\r\n")
				if got := statusesUntilClose(t, c); len(got) != 1 || got[0] != 200 {
					t.Errorf("%q, %+v: then %v, want 200", request, body, got)
				}
				_ = listener.Close()
				<-done
				if text := log.String(); !strings.HasPrefix(request, "HEAD") && (!strings.Contains(text, "level=ERROR") || !strings.Contains(text, "the cause")) {
					t.Errorf("%q, %+v: the log has %q", request, body, text)
				}
			}
		}
	}
}
