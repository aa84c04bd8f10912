package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"overlay/tlsauth"
	"overlay/tlsauth/tlstest"

	"github.com/valyala/fasthttp"
)

// A body that ends with the connection is never taken for a complete one, wherever
// the end comes: fasthttp alone calls five of these complete.
func TestCutBodyIsAnError(t *testing.T) {
	ca := tlstest.NewCA(t)
	certificate, key := ca.Issue(t).Files(t)
	config, _, err := tlsauth.Options{CertificateFile: certificate, KeyFile: key}.Config()
	if err != nil {
		t.Fatal(err)
	}
	const head = "POST / HTTP/1.1\r\nHost: h\r\n"
	rows := []struct{ name, sent, want string }{
		{"complete", head + "Content-Length: 3\r\n\r\nabc", "[200]"},
		{"within the part that is read ahead", head + "Content-Length: 3\r\n\r\nab", "[400]"},
		{"behind the part that is read ahead", head + "Content-Length: 9000\r\n\r\n" + strings.Repeat("a", 8999), "[400]"},
		{"chunked, complete", head + "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", "[200]"},
		{"before the first chunk", head + "Transfer-Encoding: chunked\r\n\r\n", "[400]"},
		{"between chunks", head + "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n", "[400]"},
		{"within a chunk", head + "Transfer-Encoding: chunked\r\n\r\n2\r\na", "[400]"},
		{"within the size of a chunk", head + "Transfer-Encoding: chunked\r\n\r\n1", "[400]"},
		{"behind the last chunk", head + "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n", "[400]"},
		{"within the trailers", head + "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nA: b\r\n", "[400]"},
		{"behind the last chunk, unread", "POST /unread HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "[200]"},
	}
	for _, encrypted := range []bool{false, true} {
		for _, row := range rows {
			t.Run(fmt.Sprintf("TLS %v, %s", encrypted, row.name), func(t *testing.T) {
				t.Parallel()
				listener, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				defer listener.Close()
				kept := listenConnections(listener, timeouts{})
				if encrypted {
					kept = listenTLSConnections(listener, timeouts{}, config)
				}
				var body recorder
				server := &fasthttp.Server{Logger: quietLogger{}}
				(&hygiene{}).install(server, body.handle)
				go func() { _ = server.Serve(kept) }()

				plain := dial(t, listener.Addr().String())
				var client interface {
					net.Conn
					CloseWrite() error
				} = plain
				if encrypted {
					client = tls.Client(plain, &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost"})
				}
				send(t, client, row.sent)
				if err := client.CloseWrite(); err != nil {
					t.Fatal(err)
				}
				if got := fmt.Sprint(statusesUntilClose(t, client)); got != row.want {
					t.Errorf("statuses %s, want %s", got, row.want)
				}
			})
		}
	}
}

// The phases of a TLS connection follow the requests: where they stood still, the header timeout would end every connection.
func TestPhasesOverTLS(t *testing.T) {
	ca := tlstest.NewCA(t)
	certificate, key := ca.Issue(t).Files(t)
	config, _, err := tlsauth.Options{CertificateFile: certificate, KeyFile: key}.Config()
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	server := &fasthttp.Server{Logger: quietLogger{}}
	phases := make(chan phase, 1)
	(&hygiene{}).install(server, func(ctx *fasthttp.RequestCtx) {
		phases <- connectionOf(ctx.Conn()).phase
		if ctx.Request.IsBodyStream() {
			_, _ = io.Copy(io.Discard, bodyOf(ctx))
		}
	})
	go func() {
		_ = server.Serve(listenTLSConnections(listener, timeouts{header: long, keepAlive: long, socket: long}, config))
	}()
	client := tls.Client(dial(t, listener.Addr().String()), &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost"})
	reader := bufio.NewReader(client)
	for i, step := range []struct {
		sent string
		want phase
	}{
		{plainGet, phaseHead},
		{"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\na", phaseBody},
		{plainGet, phaseHead},
	} {
		send(t, client, step.sent)
		if got := <-phases; got != step.want {
			t.Errorf("request %d: phase %d, want %d", i, got, step.want)
		}
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, response.Body)
	}
}

// A handshake that fails leaves no line in the access log, and a client that speaks
// plain HTTP is told so.
func TestPlainHTTPOnTLSPort(t *testing.T) {
	s := startHTTP2(t, config{}, answerOK)
	for sent, want := range map[string]string{
		plainGet: "HTTP/1.0 400 Bad Request", "POST / HTTP/1.1\r\n\r\n": "This port speaks HTTPS", "\x16\x03\x01\x00\x05xxxxx": "\x15", "hello, world\r\n": "",
	} {
		c := dial(t, strings.TrimPrefix(s.url, "https://"))
		send(t, c, sent)
		got, _ := io.ReadAll(c)
		if !strings.Contains(string(got), want) {
			t.Errorf("%q: got %q, want %q in it", sent, got, want)
		}
	}
	if response, _ := s.exchange(t, request(t, "GET", s.url+"/marker", nil)); response.StatusCode != 200 {
		t.Fatal(response.Status)
	}
	pollUntil(t, "the marker in the log", func() bool { return strings.Contains(s.log.String(), "/marker") })
	if lines := strings.Count(s.log.String(), "\n"); lines != 1 {
		t.Errorf("access log %q, want the marker alone", s.log.String())
	}
}
