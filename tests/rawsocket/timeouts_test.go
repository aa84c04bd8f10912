package rawsocket

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

// never is a time that no test waits for.
const never = "1h"

// patient are the options about slow clients, none of which ends anything.
var patient = map[string]string{
	"--header-timeout": never, "--header-max-timeout": "0", "--header-min-rate": "500",
	"--body-timeout": never, "--body-max-timeout": "0", "--body-min-rate": "500",
	"--keep-alive-timeout": never, "--socket-timeout": never, "--response-socket-timeout": never,
	"--request-timeout": never, "--queue-timeout": never, "--access-log": "",
}

// startPatient starts a server on which nothing but changes, option to value, bounds the patience
// with a client.
func startPatient(t *testing.T, changes map[string]string) *site {
	t.Helper()
	all := map[string]string{}
	for option, value := range patient {
		all[option] = value
	}
	for option, value := range changes {
		all[option] = value
	}
	var args []string
	for option, value := range all {
		args = append(args, option)
		if value != "" {
			args = append(args, value)
		}
	}
	return start(t, args...)
}

// TestSlowClients: each option about slow clients ends what it says, no sooner than it says,
// and is the only one that does.
func TestSlowClients(t *testing.T) {
	const (
		get   = "GET /slow HTTP/1.1\r\nHost: h\r\n\r\n"
		post  = "POST /slow HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n"
		half  = "GET /slow HTTP/1.1\r\nHost: h\r\nX: "
		bytes = "0123456789012345678901234567890123456789"
	)
	for _, row := range []struct {
		name     string
		changes  map[string]string
		sent     string
		least    time.Duration // that the connection stays
		statuses []int
	}{
		{"header-timeout, silence", map[string]string{"--header-timeout": "0.3"}, "", 300 * time.Millisecond, nil},
		{"header-timeout", map[string]string{"--header-timeout": "0.3", "--header-min-rate": "1M"}, half, 300 * time.Millisecond, []int{408}},
		{"header-timeout, second request", map[string]string{"--header-timeout": "0.3", "--header-min-rate": "1M"}, get + half, 300 * time.Millisecond, []int{200, 408}},
		{"header-min-rate", map[string]string{"--header-timeout": "0.1", "--header-min-rate": "50"}, half, 100*time.Millisecond + time.Duration(len(half))*time.Second/50, []int{408}},
		{"header-max-timeout", map[string]string{"--header-timeout": "0.1", "--header-min-rate": "1", "--header-max-timeout": "0.4"}, half, 400 * time.Millisecond, []int{408}},
		{"keep-alive-timeout", map[string]string{"--keep-alive-timeout": "0.3"}, get, 300 * time.Millisecond, []int{200}},
		{"keep-alive-timeout, a file", map[string]string{"--keep-alive-timeout": "0.3"}, strings.Replace(get, "slow", "file.txt", 1), 300 * time.Millisecond, []int{200}},
		{"body-timeout", map[string]string{"--body-timeout": "0.3", "--body-min-rate": "1M"}, post, 300 * time.Millisecond, []int{408}},
		{"body-min-rate", map[string]string{"--body-timeout": "0.1", "--body-min-rate": "50"}, post, 100*time.Millisecond + time.Duration(len(bytes))*time.Second/50, []int{408}},
		{"body-max-timeout", map[string]string{"--body-timeout": "0.1", "--body-min-rate": "1", "--body-max-timeout": "0.4"}, post, 400 * time.Millisecond, []int{408}},
		{"socket-timeout", map[string]string{"--body-timeout": "0", "--socket-timeout": "0.3"}, post, 300 * time.Millisecond, []int{408}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := startPatient(t, row.changes)
			begun := time.Now() // a new connection counts from its acceptance, which may be before dial returns
			c := s.dial(t)
			c.send(row.sent)
			if row.sent == post {
				// Bytes that come with the head are read with it, and count as that.
				if a := c.read("POST"); a == nil || a.StatusCode != 100 {
					t.Fatalf("response %v, want 100", a)
				}
				c.send(bytes)
			}
			if got := c.statuses(); !slices.Equal(got, row.statuses) {
				t.Errorf("statuses %v, want %v", got, row.statuses)
			}
			if took := time.Since(begun); took < row.least {
				t.Errorf("cut after %v, want no sooner than %v", took, row.least)
			}
		})
	}
}

// TestPatience: what extends the time of a client lets it finish after the time that it would
// have without.
func TestPatience(t *testing.T) {
	const wait = 600 * time.Millisecond // twice the time below, so that a bound that does not move has ended it
	for _, row := range []struct {
		name          string
		changes       map[string]string
		first, second string
	}{
		{"header-min-rate", map[string]string{"--header-timeout": "0.3", "--header-min-rate": "1"}, "GET /slow HTTP/1.1\r\nHost: hhhhhhhhhhhhhhhhhhhhh", "\r\n\r\n"},
		{"body-min-rate", map[string]string{"--body-timeout": "0.3", "--body-min-rate": "1"},
			"POST /slow HTTP/1.1\r\nHost: h\r\nContent-Length: 50\r\nExpect: 100-continue\r\n\r\n", "0123456789012345678901234567890123456789"},
		{"keep-alive-timeout has nothing to do with a head", map[string]string{"--keep-alive-timeout": "0.3"}, "GET /slow HTTP/1.1\r\nHost: h", "\r\n\r\n"},
		{"nor has socket-timeout", map[string]string{"--socket-timeout": "0.3"}, "GET /slow HTTP/1.1\r\nHost: h", "\r\n\r\n"},
		{"nor has response-socket-timeout with a body", map[string]string{"--response-socket-timeout": "0.3"},
			"POST /slow HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nab", "c"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			c := startPatient(t, row.changes).dial(t)
			c.send(row.first)
			if row.name == "body-min-rate" {
				if a := c.read("POST"); a == nil || a.StatusCode != 100 {
					t.Fatalf("response %v, want 100", a)
				}
				c.send(row.second)
				row.second = "0123456789"
			}
			time.Sleep(wait) // nothing says that a bound has not ended it, but that it goes on
			c.send(row.second)
			if a := c.read("GET"); a == nil || a.StatusCode != 200 {
				t.Errorf("response %v, want 200", a)
			}
		})
	}
}

// TestDeafClients: a client that does not take its response is cut by --response-socket-timeout,
// and by --socket-timeout where that is not given. Until then it is not.
func TestDeafClients(t *testing.T) {
	for _, row := range []struct {
		name    string
		changes map[string]string
		cut     bool
	}{
		{"response-socket-timeout", map[string]string{"--response-socket-timeout": "0.3"}, true},
		{"socket-timeout", map[string]string{"--response-socket-timeout": "0", "--socket-timeout": "0.3"}, true},
		{"socket-timeout beside response-socket-timeout", map[string]string{"--socket-timeout": "0.3"}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := startPatient(t, row.changes)
			c := s.dial(t)
			c.send(fmt.Sprintf("GET /big?%d HTTP/1.1\r\nHost: h\r\n\r\n", 64<<20))
			if !row.cut {
				time.Sleep(600 * time.Millisecond) // twice the time that must not cut
				if a := c.read("GET"); a == nil || a.StatusCode != 200 || len(a.body) != 64<<20 {
					t.Errorf("the response is cut, want all of it: %v", a)
				}
				return
			}
			for deadline := time.Now().Add(patience); !strings.Contains(s.Log(), `"GET /big`); time.Sleep(5 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatal("the client is still waited for")
				}
			}
			if n, err := io.Copy(io.Discard, c); err == nil && n >= 64<<20 {
				t.Errorf("got all %d bytes", n)
			}
		})
	}
}
