package faults

import (
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"overlay/tests/e2e/load"
	"overlay/tests/e2e/program"
)

// httpsSite is a server of files and an application over HTTPS.
type httpsSite struct {
	*program.Server
	addr    string // of HTTPS
	account load.Account
	stop    func() // ends the load, and returns when its last response has come
}

// kinds is how many kinds of target there are.
const kinds = 4

// mixed names the n-th request: a file that event loops answer, one that is too large for them, the application,
// and a file once more.
func mixed(n int) string {
	switch n % kinds {
	case 1:
		return "/large.bin"
	case 2:
		return plain(n)
	}
	return "/small.txt"
}

const smallFile, largeFile = "hello\n", 200_000

// startHTTPS starts the server and so many clients that keep their connections, each of which
// asks for files alone, or for all kinds of targets.
func startHTTPS(t *testing.T, clients int, args ...string) *httpsSite {
	t.Helper()
	docs := t.TempDir()
	for name, content := range map[string]string{"small.txt": smallFile, "large.bin": strings.Repeat("x", largeFile)} {
		if err := os.WriteFile(filepath.Join(docs, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := &httpsSite{}
	s.Server, _ = start(t, append([]string{"--https-port", "0", "--document-root", docs, "--access-log", "--graceful-timeout", "60"}, args...)...)
	s.addr = regexp.MustCompile(`https://(127\.0\.0\.1:[0-9]+)/`).FindStringSubmatch(s.Log())[1]
	s.account.TLS = &tls.Config{InsecureSkipVerify: true}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{}, 2)
	for _, target := range []func(n int) string{mixed, func(int) string { return "/small.txt" }} {
		go func() {
			s.account.Run(ctx, s.addr, clients/2, target)
			done <- struct{}{}
		}()
	}
	s.stop = func() {
		cancel()
		<-done
		<-done
		s.stop = func() {}
	}
	t.Cleanup(func() { s.stop() })
	await(t, "the load to begin", func() bool { return len(s.account.Outcomes()) >= 50*clients })
	return s
}

// check looks at each outcome. mayMiss says of which requests it is no fault that they found no
// connection.
func (s *httpsSite) check(t *testing.T, mayMiss func(o load.Outcome) bool) (answered int) {
	t.Helper()
	t.Log(s.account.String())
	for _, o := range s.account.Outcomes() {
		switch {
		case o.Fate != load.Answered:
			if o.Fate == load.Cut || !mayMiss(o) {
				t.Errorf("%s was %v: %v", o.Target, o.Fate, o.Err)
			}
			continue
		case o.Status != 200:
			t.Errorf("%s got %d", o.Target, o.Status)
		}
		answered++
		var right bool
		switch o.Target {
		case "/small.txt":
			right = string(o.Body) == smallFile
		case "/large.bin":
			right = len(o.Body) == largeFile
		default:
			var n int
			_, err := fmt.Sscanf(o.Target, "/?n=%d&", &n)
			right = err == nil && strings.HasPrefix(string(o.Body), fmt.Sprintf("%d ", n))
		}
		if !right {
			t.Errorf("%s got the answer %.40q", o.Target, o.Body)
		}
	}
	return answered
}

// logged returns how many lines the access log has.
func (s *httpsSite) logged() int { return strings.Count(s.Log(), `] "GET /`) }

// TestHTTPSReload: reloads of application and certificates lose nothing of clients that keep
// their connections, and every answer has its line in the access log, whoever gave it.
func TestHTTPSReload(t *testing.T) {
	t.Parallel()
	s := startHTTPS(t, 8, "--processes", "2")
	for i := range 3 {
		before := len(s.account.Outcomes())
		s.Signal(syscall.SIGHUP)
		awaitLog(t, s.Server, "the application is reloaded", i+1)
		await(t, "the load to go on", func() bool { return len(s.account.Outcomes()) >= before+100 })
	}
	s.stop()
	s.Signal(syscall.SIGTERM)
	if code := s.Wait(); code != 0 {
		t.Errorf("overlay ended with %d", code)
	}
	if answered := s.check(t, func(load.Outcome) bool { return false }); s.logged() != answered {
		t.Errorf("the access log has %d lines of %d answers", s.logged(), answered)
	}
}

// TestHTTPSStop: a graceful stop answers what was sent before it and cuts nothing. A client
// that sends its request later may find its connection closed.
func TestHTTPSStop(t *testing.T) {
	t.Parallel()
	for range 3 {
		s := startHTTPS(t, 8, "--processes", "2")
		signalled := time.Now()
		s.Signal(syscall.SIGTERM)
		if code := s.Wait(); code != 0 {
			t.Errorf("overlay ended with %d", code)
		}
		s.stop()
		answered := s.check(t, func(o load.Outcome) bool {
			return o.Sent.IsZero() && o.Began.After(signalled) || o.Sent.After(signalled)
		})
		if logged := s.logged(); logged < answered {
			t.Errorf("the access log has %d lines of %d answers", logged, answered)
		}
	}
}
