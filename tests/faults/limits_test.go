package faults

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"overlay/tests/e2e/load"
)

// TestLimits: while requests come all the time, each limit that worker processes reach by
// serving has every process of the start replaced, and nobody notices.
func TestLimits(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"restart interval": {"--restart-interval", "1"},
		"CPU time limit":   {"--cpu-time-limit", "1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := start(t, append(args, "--processes", "2")...)
			target := func(n int) string { return fmt.Sprintf("/?n=%d&do=burn", n) }
			account := under(t, s, 4, target, func(account *load.Account) {
				await(t, "both processes", func() bool { return len(pids(account)) >= 2 })
				awaitLog(t, s, name+" of", 2)
				await(t, "other processes", func() bool { return len(pids(account)) >= 4 })
			})
			answers(t, account, 0)
		})
	}
}

// TestResponseBounds: a client that reads nothing holds no thread while what it was sent fits in
// --response-buffer-size and --response-spool-size. Beyond both, the application waits for it, and
// goes on when it reads.
func TestResponseBounds(t *testing.T) {
	t.Parallel()
	const spool = 8 << 20
	for _, row := range []struct {
		name  string
		size  int
		holds bool
	}{
		{"within the bounds", spool, false},
		{"beyond", spool + 64<<20, true}, // more than the sockets of both sides keep
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s, _ := start(t, "--threads", "1", "--response-buffer-size", "256K", "--response-spool-size", fmt.Sprint(spool),
				"--queue-timeout", "2")
			conn := dial(t, s.Addr, fmt.Sprintf("GET /?do=size&size=%d HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", row.size))
			if row.holds {
				awaitLog(t, s, "the response begins", 1)
			} else {
				awaitLog(t, s, "the response ends", 1)
			}
			client := load.Client{Addr: s.Addr}
			defer client.Close()
			want := map[bool]int{false: 200, true: 503}[row.holds]
			if o := client.Get("/?n=1"); o.Status != want {
				t.Errorf("another client got %d, want %d", o.Status, want)
			}
			if row.holds && strings.Contains(s.Log(), "the response ends") {
				t.Error("the application has given all of it")
			}
			n := 0
			buf := make([]byte, 1<<20)
			_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
			for {
				m, err := conn.Read(buf)
				n += m
				if err != nil {
					break
				}
			}
			if n < row.size {
				t.Errorf("the slow client got %d bytes, want %d and a head", n, row.size)
			}
			if o := client.Get("/?n=2"); o.Status != 200 {
				t.Errorf("after that another client got %d, want 200", o.Status)
			}
		})
	}
}
