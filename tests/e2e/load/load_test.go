package load

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// serve answers each connection with the next of replies, then closes it.
func serve(t *testing.T, replies ...string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for _, reply := range replies {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = http.ReadRequest(bufio.NewReader(conn))
			_, _ = io.WriteString(conn, reply)
			conn.Close()
		}
		listener.Close()
	}()
	return listener.Addr().String()
}

func TestFates(t *testing.T) {
	for _, row := range []struct {
		name, reply string
		fate        Fate
		status      int
	}{
		{"complete", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", Answered, 200},
		{"complete, closed by the server", "HTTP/1.1 502 Bad Gateway\r\nConnection: close\r\n\r\nno", Answered, 502},
		{"nothing", "", Dropped, 0},
		{"half a head", "HTTP/1.1 200 OK\r\nContent-Le", Cut, 0},
		{"half a body", "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhi", Cut, 200},
		{"chunked without its end", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", Cut, 200},
	} {
		t.Run(row.name, func(t *testing.T) {
			client := Client{Addr: serve(t, row.reply)}
			defer client.Close()
			o := client.Get("/")
			if o.Fate != row.fate || o.Status != row.status || (o.Err == nil) != (row.fate == Answered) {
				t.Errorf("got %v, status %d, error %v; want %v, %d", o.Fate, o.Status, o.Err, row.fate, row.status)
			}
		})
	}
}

// TestNothingIsSentTwice breaks a kept connection: net/http would send again.
func TestNothingIsSentTwice(t *testing.T) {
	addr := serve(t, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	client := Client{Addr: addr}
	defer client.Close()
	for i, want := range []Fate{Answered, Dropped, Answered} {
		if o := client.Get("/"); o.Fate != want {
			t.Errorf("request %d: got %v (%v), want %v", i, o.Fate, o.Err, want)
		}
	}
}

func TestAccount(t *testing.T) {
	addr := serve(t, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", "")
	var account Account
	account.Run(context.Background(), addr, 1, func(int) string { return "/" })
	if got := account.String(); !strings.HasPrefix(got, "3 requests: 1 answered 200, 1 dropped, 1 refused") {
		t.Errorf("got %q", got)
	}
}
