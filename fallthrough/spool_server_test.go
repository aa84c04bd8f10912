package fallthru

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

type noLog struct{}

func (noLog) Printf(string, ...any) {}

// TestBodiesOverAConnection: the errors of a real connection get the status
// that their kind asks for. Made readers cannot show that: fasthttp wraps them.
func TestBodiesOverAConnection(t *testing.T) {
	tests := []struct {
		name    string
		request string
		hangUp  bool // the client ends its side
		status  int
	}{
		{"whole", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", false, 200},
		{"chunked", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", false, 200},
		{"stalled", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nab", false, 408},
		{"stalled before the first byte", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n", false, 408},
		{"stalled in a chunk", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", false, 408},
		{"stalled between chunks", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", false, 408},
		{"malformed size of a chunk", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nab\r\n", false, 400},
		{"malformed end of a chunk", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabcd\r\n", false, 400},
		{"ended early", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nab", true, 400},
		{"ended in a chunk", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", true, 400},
		{"too large", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\nhello world", false, 413},
		{"chunked, too large", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nb\r\nhello world\r\n0\r\n\r\n", false, 413},
	}
	h := newTestHandler(t, Options{LimitRequestBody: 10, Mounts: []Mount{{Path: "/", Group: GroupOptions{Start: always(t, nil).start}}}})
	if err := h.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &fasthttp.Server{Handler: h.Handle, StreamRequestBody: true, ReadTimeout: 300 * time.Millisecond, Logger: noLog{}}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(l) // it ends with the listener
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-ended
	})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			conn, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, tt.request); err != nil {
				t.Fatal(err)
			}
			if tt.hangUp {
				if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
					t.Fatal(err)
				}
			}
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != tt.status || resp.Close != (tt.status != 200) {
				t.Errorf("status %d, connection closed: %v, want %d", resp.StatusCode, resp.Close, tt.status)
			}
			if body, err := io.ReadAll(resp.Body); err == nil && strings.Contains(string(body), "fallthru") {
				t.Errorf("the error itself reached the client: %q", body)
			}
		})
	}
}
