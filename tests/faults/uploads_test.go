package faults

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"

	"overlay/tests/e2e/load"
	"overlay/tests/e2e/program"
)

// uploads sends bodies from several clients until the returned function is called, which
// returns the account of all of them. The body of the n-th has uploadSize(n) bytes, and
// goes in chunks when n is odd.
func uploads(t *testing.T, s *program.Server, clients int) (account *load.Account, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	account = new(load.Account)
	var running sync.WaitGroup
	var mu sync.Mutex
	number := 0
	for range clients {
		running.Go(func() {
			client := load.Client{Addr: s.Addr}
			defer client.Close()
			for ctx.Err() == nil {
				mu.Lock()
				n := number
				number++
				mu.Unlock()
				body := bytes.Repeat([]byte{byte(n)}, uploadSize(n))
				target := fmt.Sprintf("/?n=%d&upload", n)
				if n%2 == 0 {
					account.Add(client.Do("POST", target, "", body))
					continue
				}
				// The chunks follow the empty line that ends the head; the one that the client
				// adds ends the trailers.
				var chunked strings.Builder
				chunked.WriteString("Transfer-Encoding: chunked\r\n\r\n")
				for rest := body; len(rest) > 0; {
					piece := rest[:min(len(rest), 30_000)]
					rest = rest[len(piece):]
					fmt.Fprintf(&chunked, "%x\r\n%s\r\n", len(piece), piece)
				}
				account.Add(client.Do("POST", target, chunked.String()+"0\r\n", nil))
			}
		})
	}
	return account, func() {
		cancel()
		running.Wait()
		t.Log(account.String())
	}
}

func uploadSize(n int) int { return n * 7919 % 400_000 }

// TestUploadsUnderFaults: with bodies that the application reads as they arrive, worker
// processes that die take no upload with them but those that they held, clients that leave
// or send slowly take none of the others, and no body is ever short.
func TestUploadsUnderFaults(t *testing.T) {
	t.Parallel()
	const threads, kills = 6, 3
	s, _ := start(t, "--processes", "2", "--threads", fmt.Sprint(threads), "--stream-request-body", "*", "--access-log")
	account, stop := uploads(t, s, 4)
	await(t, "uploads", func() bool { return len(account.Outcomes()) > 30 })

	const leaving = 30
	var gone sync.WaitGroup
	for n := range leaving {
		gone.Go(func() {
			conn, err := net.Dial("tcp", s.Addr)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			framing := "Content-Length: 1000000\r\n\r\n"
			if n%2 == 0 {
				framing = "Transfer-Encoding: chunked\r\n\r\nf4240\r\n"
			}
			_, _ = fmt.Fprintf(conn, "POST /?leaves HTTP/1.1\r\nHost: h\r\n%s%s", framing, strings.Repeat("x", n*10_000))
		})
	}
	gone.Wait()
	awaitLog(t, s, `"POST /?leaves HTTP/1.1" 499 `, leaving)

	slow := make([]net.Conn, threads) // half of the threads
	for i := range slow {
		slow[i] = dial(t, s.Addr, "POST /?n=7 HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nabc")
	}
	killed := map[int]bool{}
	for range kills {
		before := len(account.Outcomes())
		pid := 0
		await(t, "an answer of a process that was not killed", func() bool {
			for pid = range pids(account) {
				if !killed[pid] {
					return true
				}
			}
			return false
		})
		killed[pid] = true // its number may be somebody else's soon
		_ = syscall.Kill(pid, syscall.SIGKILL)
		await(t, "the load to go on, with other processes", func() bool {
			return len(account.Outcomes()) > before+40 && !alive(pid)
		})
	}
	stop()
	answers(t, account, 2*threads*kills, 502)
	for _, o := range account.Outcomes() {
		var n, pid, size int
		if o.Status != 200 {
			continue
		}
		if _, err := fmt.Sscanf(string(o.Body), "%d %d %d", &n, &pid, &size); err != nil || size != uploadSize(n) {
			t.Errorf("%s: the application read %q, want %d bytes", o.Target, o.Body, uploadSize(n))
		}
	}
	answered, failed := 0, 0
	for _, conn := range slow {
		_, _ = io.WriteString(conn, "def") // the connection of one that failed is closed
		text, err := io.ReadAll(io.LimitReader(conn, 16))
		switch {
		case err == nil && strings.HasPrefix(string(text), "HTTP/1.1 200"):
			answered++
		case err == nil && strings.HasPrefix(string(text), "HTTP/1.1 502"):
			failed++
		default:
			t.Errorf("a slow client got %q, %v", text, err)
		}
	}
	t.Logf("of %d slow clients %d were answered, %d lost with their worker process", len(slow), answered, failed)
	if got := strings.Count(s.Log(), " 499 "); got != leaving {
		t.Errorf("the access log has 499 %d times, want %d", got, leaving)
	}
	if strings.Contains(s.Log(), "Traceback") {
		t.Error("a client that left is in the log with a traceback")
	}
}

// alive reports whether a process with this number runs.
func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }
