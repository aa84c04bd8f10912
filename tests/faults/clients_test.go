package faults

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"overlay/tests/e2e/load"
)

// dial connects to the server and sends text.
func dial(t *testing.T, addr, text string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	return conn
}

// TestFullQueue: what finds no room is refused at once with Retry-After, and
// everything else is answered.
func TestFullQueue(t *testing.T) {
	t.Parallel()
	s, _ := start(t, "--threads", "1", "--queue-backlog", "2")
	account := under(t, s, 12, plain, func(account *load.Account) {
		await(t, "refusals", func() bool {
			return len(account.Select(func(o load.Outcome) bool { return o.Status == 503 })) > 20
		})
	})
	answers(t, account, len(account.Outcomes()), 503)
	served := 0
	for _, o := range account.Outcomes() {
		if o.Status == 503 && o.Header.Get("Retry-After") == "" {
			t.Errorf("%s: 503 without Retry-After", o.Target)
		}
		if o.Status == 200 {
			served++
		}
	}
	if served == 0 {
		t.Error("nothing was served")
	}
}

// TestSlowReaders: clients that do not read their response hold no thread: with
// more of them than threads, others are answered, and their bodies are right.
func TestSlowReaders(t *testing.T) {
	t.Parallel()
	s, _ := start(t, "--threads", "2")
	var slow []net.Conn
	for n := range 6 {
		slow = append(slow, dial(t, s.Addr, fmt.Sprintf("GET /?do=big&n=%d HTTP/1.1\r\nHost: h\r\n\r\n", n)))
	}
	account := under(t, s, 4, plain, func(*load.Account) {})
	answers(t, account, 0)
	for n, conn := range slow {
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		want := bytes.Repeat(fmt.Appendf(nil, "%s%d", strings.Repeat(".", 49), n), 100_000)
		if err != nil || !bytes.Equal(body, want) {
			t.Errorf("slow reader %d got %d bytes, %v; want %d of its own", n, len(body), err, len(want))
		}
	}
}

// TestSlowWriters: clients that do not finish their body hold no thread.
func TestSlowWriters(t *testing.T) {
	t.Parallel()
	s, _ := start(t, "--threads", "2")
	const size = 200_000
	head := fmt.Sprintf("POST /?n=7 HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", size)
	var slow []net.Conn
	for range 6 {
		slow = append(slow, dial(t, s.Addr, head+strings.Repeat("a", size-1)))
	}
	account := under(t, s, 4, plain, func(*load.Account) {})
	answers(t, account, 0)
	for _, conn := range slow {
		if _, err := io.WriteString(conn, "a"); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != 200 || !strings.HasSuffix(strings.TrimSpace(string(body)), fmt.Sprint(" ", size)) {
			t.Errorf("slow writer got %d %q, want 200 and its %d bytes counted", resp.StatusCode, body, size)
		}
	}
}

// TestClientsLeave: clients that close in the queue, in the application and in
// the middle of a response take nothing from the others.
func TestClientsLeave(t *testing.T) {
	t.Parallel()
	s, _ := start(t, "--threads", "2", "--access-log")
	account := under(t, s, 4, plain, func(*load.Account) {
		var leaving sync.WaitGroup
		for n := range 40 {
			leaving.Go(func() {
				target := "/?do=sleep&seconds=0.05"
				if n%2 == 0 {
					target = "/?do=big"
				}
				conn, err := net.Dial("tcp", s.Addr)
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
				_, _ = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", target)
				if n%4 == 0 {
					_, _ = conn.Read(make([]byte, 1000))
				}
			})
		}
		leaving.Wait()
	})
	answers(t, account, 0)
	if strings.Contains(s.Log(), "Traceback") {
		t.Error("a client that left is in the log with a traceback")
	}
}

// TestOldClients: HTTP/1.0 knows no chunks, so the connection ends with a response
// whose length nobody knows. Such a client is not worse off, nor are the others.
func TestOldClients(t *testing.T) {
	t.Parallel()
	t.Run("that read nothing hold no thread for ever", func(t *testing.T) {
		t.Parallel()
		s, _ := start(t, "--threads", "1", "--socket-timeout", "1", "--response-spool-size", "0")
		for range 3 {
			dial(t, s.Addr, "GET /?do=endless HTTP/1.0\r\nHost: h\r\n\r\n")
		}
		account := under(t, s, 2, plain, func(*load.Account) {})
		answers(t, account, 0)
	})
	t.Run("get their whole response when the server stops", func(t *testing.T) {
		t.Parallel()
		s, _ := start(t)
		conn := dial(t, s.Addr, "GET /?do=drip HTTP/1.0\r\nHost: h\r\n\r\n")
		reader := bufio.NewReader(conn)
		for line := ""; line != "line 1\n"; {
			var err error
			if line, err = reader.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
		s.Signal(syscall.SIGTERM)
		rest, err := io.ReadAll(reader)
		if err != nil || !strings.HasSuffix(string(rest), "line 9\n") {
			t.Errorf("after SIGTERM got %q, %v, want every line", rest, err)
		}
		if code := s.Wait(); code != 0 {
			t.Errorf("exit code %d", code)
		}
	})
}

// TestClientsGone: clients that leave while they wait, in the application and in the
// queue, are 499 in the access log; the one in the queue never reaches the application.
func TestClientsGone(t *testing.T) {
	t.Parallel()
	s, _ := start(t, "--threads", "1", "--access-log", "--response-spool-size", "0")
	gone := []net.Conn{dial(t, s.Addr, "GET /?n=1&do=hold HTTP/1.1\r\nHost: h\r\n\r\n")}
	awaitLog(t, s, "holds the thread", 1)
	for _, target := range []string{"/?n=2&do=sleep&seconds=60", "/?n=3&do=sleep&seconds=60"} {
		gone = append(gone, dial(t, s.Addr, "GET "+target+" HTTP/1.1\r\nHost: h\r\n\r\n"))
	}
	for _, conn := range gone {
		_ = conn.Close()
	}
	awaitLog(t, s, "HTTP/1.1\" 499 ", len(gone))
	// Had one of the last two begun, its 60 s would be over first.
	client := load.Client{Addr: s.Addr, Timeout: 50 * time.Second}
	defer client.Close()
	if o := client.Get("/?n=4"); o.Status != 200 {
		t.Errorf("after that got %d, %v, want 200", o.Status, o.Err)
	}
	// A body that nobody reads any more ends the iterable, though its thread waits.
	conn := dial(t, s.Addr, "GET /?do=endless HTTP/1.1\r\nHost: h\r\n\r\n")
	if _, err := conn.Read(make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	if o := client.Get("/?n=5"); o.Status != 200 {
		t.Errorf("after a response that was left got %d, %v, want 200", o.Status, o.Err)
	}
	if strings.Contains(s.Log(), "Traceback") {
		t.Error("a client that left is in the log with a traceback")
	}
}

// TestStopWithoutPatience: what a stop does not wait for is answered, and has its line
// in the access log.
func TestStopWithoutPatience(t *testing.T) {
	t.Parallel()
	s, _ := start(t, "--graceful-timeout", "0.2", "--access-log")
	conn := dial(t, s.Addr, "GET /?n=1&do=hold&seconds=60 HTTP/1.1\r\nHost: h\r\n\r\n")
	awaitLog(t, s, "holds the thread", 1)
	dripping := dial(t, s.Addr, "GET /?do=drip HTTP/1.1\r\nHost: h\r\n\r\n")
	if _, err := dripping.Read(make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	s.Signal(syscall.SIGTERM)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || resp.StatusCode != 502 {
		t.Errorf("the request that was lost got %v, %v, want 502", resp, err)
	}
	s.Wait()
	for _, want := range []string{`n=1&do=hold&seconds=60 HTTP/1.1" 502 `, `do=drip HTTP/1.1" 200 `} {
		if !strings.Contains(s.Log(), want) {
			t.Errorf("the access log lacks %q", want)
		}
	}
}

// TestGivenBack: requests that were handed ahead to a quick worker process wait
// in the queue again when its threads block: they are refused at the queue
// timeout, not when a thread is free.
func TestGivenBack(t *testing.T) {
	t.Parallel()
	s, _ := start(t, "--threads", "2", "--queue-timeout", "1", "--request-timeout", "60")
	quick := func(n int) string { return fmt.Sprintf("/?n=%d", n) }
	account := under(t, s, 16, quick, func(account *load.Account) {
		await(t, "a quick pace", func() bool { return len(account.Outcomes()) > 1000 })
		var blocked sync.WaitGroup
		for range 2 {
			blocked.Go(func() {
				client := load.Client{Addr: s.Addr}
				defer client.Close()
				if o := client.Get("/?do=sleep&seconds=4"); o.Status != 200 {
					t.Errorf("the request that blocked got %d, want 200", o.Status)
				}
			})
		}
		blocked.Wait()
	})
	answers(t, account, 16*4, 503) // each client may be refused each second
	if len(account.Select(func(o load.Outcome) bool { return o.Status == 503 })) == 0 {
		t.Error("nothing was refused at the queue timeout: requests waited for the blocked threads")
	}
}
