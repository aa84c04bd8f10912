package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"overlay/tlsauth"
	"overlay/tlsauth/tlstest"

	"github.com/valyala/fasthttp"
)

// startBodies serves next over TLS and without it; run is called once for each, with
// what connects a client.
func startBodies(t *testing.T, next fasthttp.RequestHandler, run func(t *testing.T, connect func() net.Conn)) {
	t.Helper()
	ca := tlstest.NewCA(t)
	certificate, key := ca.Issue(t).Files(t)
	config, _, err := tlsauth.Options{CertificateFile: certificate, KeyFile: key}.Config()
	if err != nil {
		t.Fatal(err)
	}
	t.Run("plain", func(t *testing.T) {
		address := startServer(t, timeouts{}, next)
		run(t, func() net.Conn { return dial(t, address) })
	})
	t.Run("TLS", func(t *testing.T) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		server := &fasthttp.Server{Logger: quietLogger{}}
		(&hygiene{}).install(server, next)
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = server.Serve(listenTLSConnections(listener, timeouts{}, config))
		}()
		t.Cleanup(func() {
			_ = listener.Close()
			<-done
		})
		run(t, func() net.Conn {
			return tls.Client(dial(t, listener.Addr().String()), &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost"})
		})
	})
}

// answerBody answers with the body; /deaf and what is below leave it unread.
func answerBody(ctx *fasthttp.RequestCtx) {
	if strings.HasPrefix(string(ctx.Request.Header.RequestURI()), "/deaf") {
		ctx.SetStatusCode(fasthttp.StatusNotFound)
		return
	}
	if body := bodyOf(ctx); body != nil {
		data, err := io.ReadAll(body)
		if err != nil {
			ctx.SetStatusCode(fasthttp.StatusBadRequest)
			return
		}
		ctx.SetBody(data)
	}
}

// What a client that waits for "100 Continue" sees, and when.
func TestContinueComesWithTheFirstRead(t *testing.T) {
	const post = "POST %s HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n%s\r\n\r\n"
	expecting := func(path, framing string) string { return fmt.Sprintf(post, path, framing) }
	long := strings.Repeat("abcdefgh", 20_000)
	big := strings.Repeat("g", 3000) // several of these fill the buffer of fasthttp
	rows := []struct {
		name   string
		sent   string
		first  []int // statuses before the body is sent
		body   string
		second []int
		last   string // body of the last response
		closed bool
	}{
		{"length", expecting("/", "Content-Length: 3"), []int{100}, "abc", []int{200}, "abc", false},
		{"chunked", expecting("/", "Transfer-Encoding: chunked"), []int{100}, "3\r\nabc\r\n0\r\n\r\n", []int{200}, "abc", false},
		{"long", expecting("/", fmt.Sprintf("Content-Length: %d", len(long))), []int{100}, long, []int{200}, long, false},
		{"with the next request behind", expecting("/", "Content-Length: 3"), []int{100}, "abc" + plainGet, []int{200, 200}, "", false},
		{"not wanted", expecting("/deaf", "Content-Length: 3"), []int{404}, "", nil, "", true},
		{"chunked, not wanted", expecting("/deaf", "Transfer-Encoding: chunked"), []int{404}, "", nil, "", true},
		{"not waited for", expecting("/", "Content-Length: 3") + "abc", []int{100, 200}, "", nil, "abc", false},
		{"behind another request", plainGet + expecting("/", "Content-Length: 3"), []int{200, 100}, "abc", []int{200}, "abc", false},
		{"behind some", plainGet + plainGet + plainGet + expecting("/", "Content-Length: 3"), []int{200, 200, 200, 100}, "abc", []int{200}, "abc", false},
		{"behind answers larger than a buffer", strings.Repeat("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3000\r\n\r\n"+big, 3) +
			expecting("/", "Content-Length: 3"), []int{200, 200, 200, 100}, "abc", []int{200}, "abc", false},
	}
	startBodies(t, answerBody, func(t *testing.T, connect func() net.Conn) {
		for _, row := range rows {
			t.Run(row.name, func(t *testing.T) {
				c := connect()
				reader := bufio.NewReader(c)
				last := ""
				read := func(want []int) {
					t.Helper()
					for i, status := range want {
						response, err := http.ReadResponse(reader, nil)
						if err != nil || response.StatusCode != status {
							t.Fatalf("response %d: %v, %v, want %d", i, response, err, status)
						}
						data, err := io.ReadAll(response.Body)
						if err != nil {
							t.Fatal(err)
						}
						last = string(data)
					}
				}
				send(t, c, row.sent)
				read(row.first)
				send(t, c, row.body)
				read(row.second)
				if last != row.last {
					t.Errorf("the last response has %d bytes, want %d", len(last), len(row.last))
				}
				if row.closed {
					if _, err := reader.Peek(1); !errors.Is(err, io.EOF) {
						t.Errorf("the connection is not closed: %v", err)
					}
					return
				}
				send(t, c, plainGet)
				read([]int{200})
			})
		}
	})
}

// A body whose bytes come when they come is read whole, and what follows it is the
// next request.
func TestBodyInPieces(t *testing.T) {
	text := strings.Repeat("0123456789", 3000)
	head := fmt.Sprintf("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", len(text))
	started := make(chan struct{}, 1)
	handler := func(ctx *fasthttp.RequestCtx) {
		started <- struct{}{}
		answerBody(ctx)
	}
	startBodies(t, handler, func(t *testing.T, connect func() net.Conn) {
		for _, row := range []struct {
			name   string
			first  string // with the head
			pieces []string
		}{
			{"at once", text, nil},
			{"nothing with the head", "", []string{text}},
			{"one byte with the head", text[:1], []string{text[1:]}},
			{"two pieces", "", []string{text[:1], text[1:]}},
			{"all but the last byte", text[:len(text)-1], []string{text[len(text)-1:]}},
			{"the next request behind", "", []string{text + plainGet}},
		} {
			t.Run(row.name, func(t *testing.T) {
				c := connect()
				reader := bufio.NewReader(c)
				send(t, c, head+row.first)
				<-started // before any byte of the body, if there was none
				for _, piece := range row.pieces {
					send(t, c, piece)
				}
				if row.name != "the next request behind" {
					send(t, c, plainGet)
				}
				for i, want := range []string{text, ""} {
					response, err := http.ReadResponse(reader, nil)
					if err != nil {
						t.Fatalf("response %d: %v", i, err)
					}
					if got, err := io.ReadAll(response.Body); err != nil || string(got) != want {
						t.Errorf("response %d has %d bytes, %v, want %d", i, len(got), err, len(want))
					}
				}
				<-started
			})
		}
	})
}

// While the body waits to be read, the client's time stands still: only what it takes
// while somebody reads counts against its least rate.
func TestBodyClockStandsStill(t *testing.T) {
	now := time.Hour
	limits := timeouts{socket: 1000, body: transferRate{timeout: 100}, now: func() time.Duration { return now }}
	c := newConnection(&slowConn{step: func() { now += 10 }}, &limits)
	_ = c.SetReadDeadline(time.Time{})
	ctx := new(fasthttp.RequestCtx)
	ctx.Init2(c, nil, false)
	ctx.Request.SetBodyStream(bytes.NewReader(nil), 1000)
	c.body.feigned = true
	c.body.begin(ctx, c)
	for i := range 5 {
		if _, err := c.body.Read(make([]byte, 1)); err != nil {
			t.Fatalf("read %d: %v", i, err)
		}
		now += 500 // of the application
	}
	// Five reads have taken 50 of the 100.
	_, _ = c.body.Read(make([]byte, 1))
	if got, want := c.began+100-now, time.Duration(100-60); got != want {
		t.Errorf("the body may take another %d, want %d", got, want)
	}
}

// slowConn has a byte for each read, which takes a step.
type slowConn struct {
	net.Conn
	step func()
}

func (c *slowConn) Read(p []byte) (int, error) {
	c.step()
	return 1, nil
}
func (c *slowConn) SetReadDeadline(time.Time) error { return nil }

// Interrupt ends a read that waits for the client, and each one after it, and the
// connection serves no further request.
func TestInterruptedBody(t *testing.T) {
	for _, framing := range []string{"Content-Length: 10\r\n\r\n", "Content-Length: 10\r\n\r\n12345",
		"Transfer-Encoding: chunked\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n", "Transfer-Encoding: chunked\r\n\r\n0\r\n"} {
		startBodies(t, func(ctx *fasthttp.RequestCtx) {
			body := bodyOf(ctx).(*requestBody)
			body.Share()
			ended := make(chan error, 1)
			reading := make(chan struct{})
			go func() {
				close(reading)
				_, err := io.Copy(io.Discard, body)
				ended <- err
			}()
			<-reading
			body.Interrupt()
			if err := <-ended; err == nil {
				t.Errorf("%q: the read says that this is the end", framing)
			}
			if _, err := body.Read(make([]byte, 1)); err == nil {
				t.Errorf("%q: the next read goes on", framing)
			}
		}, func(t *testing.T, connect func() net.Conn) {
			c := connect()
			send(t, c, "POST / HTTP/1.1\r\nHost: h\r\n"+framing)
			if got := fmt.Sprint(statusesUntilClose(t, c)); got != "[200]" {
				t.Errorf("%q: statuses %s, want [200]", framing, got)
			}
		})
	}
}

// FuzzContinueHold: however fasthttp's output is cut into writes, all of it but the "100
// Continue" at its end goes to the client, in order, and that is known for what it is.
func FuzzContinueHold(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\n\r\n"), 7)
	f.Add([]byte(""), 1)
	f.Add([]byte("HTTP/1.1 100 Continue\r\n\r\n"), 24)
	f.Add(bytes.Repeat([]byte("x"), 5000), 4096)
	f.Fuzz(func(t *testing.T, before []byte, each int) {
		if each <= 0 {
			return
		}
		for _, line := range []string{string(continueLine), ""} {
			var hold continueHold
			var sent bytes.Buffer
			hold.begin()
			for rest := append(bytes.Clone(before), line...); len(rest) > 0; {
				piece := rest[:min(each, len(rest))]
				rest = rest[len(piece):]
				if n, err := hold.write(&sent, piece); n != len(piece) || err != nil {
					t.Fatalf("write of %d bytes: %d, %v", len(piece), n, err)
				}
			}
			kept := string(hold.held)
			all := sent.String() + kept
			if all != string(before)+line {
				t.Fatalf("%q became %q", string(before)+line, all)
			}
			if continues := hold.end(); continues != (kept == string(continueLine)) || line != "" && !continues {
				t.Fatalf("%q: a 100 at the end: %v", all, continues)
			}
		}
	})
}
