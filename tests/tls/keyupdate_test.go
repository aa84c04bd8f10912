package tls

import (
	"os/exec"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// TestKeyUpdate: a connection goes on when a client changes its keys (RFC 8446 section 4.6.3) and
// wants the server to do the same: while its requests are answered by an event loop, and while it
// is served otherwise.
func TestKeyUpdate(t *testing.T) {
	s := startSite(t)
	cmd := exec.CommandContext(t.Context(), tool(t, "openssl", "openssl"), strings.Fields("s_client -servername localhost -connect 127.0.0.1:"+s.port+
		" -CAfile "+s.file("ca.crt")+" -cert "+s.file("laptop.crt")+" -key "+s.file("laptop.key"))...)
	var out text
	cmd.Stdout, cmd.Stderr = &out, &out
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = in.Close()
		_ = cmd.Process.Signal(unix.SIGTERM)
		_ = cmd.Wait() // it was ended
	}()
	// say sends line, and waits until there is one more of what is expected.
	say := func(line, expected string) {
		t.Helper()
		n := out.count(expected)
		if _, err := in.Write([]byte(line)); err != nil {
			t.Fatal(err)
		}
		s.await("the answer to "+strings.SplitN(line, "\r", 2)[0]+" after\n"+out.String(), func() bool { return out.count(expected) > n })
	}
	const (
		known   = "GET /a.txt HTTP/1.1\r\nHost: localhost\r\n\r\n"
		unknown = "GET /a.txt HTTP/1.1\r\nHost: localhost\r\nRange: bytes=0-\r\n\r\n" // no loop answers that
	)
	s.await("the handshake", func() bool { return out.count("Verify return code: 0") > 0 })
	for range 8 { // more than it takes to get into a loop
		say(known, "hello\n")
	}
	for _, keys := range []string{"K\n", "k\n"} { // with an answer, and without
		for _, request := range []string{known, unknown, known} {
			say(keys, "KEYUPDATE")
			say(request, "hello\n")
		}
	}
}

// text collects what a program writes.
type text struct {
	mu sync.Mutex // guards b
	b  strings.Builder
}

func (x *text) Write(p []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.b.Write(p)
}

func (x *text) String() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.b.String()
}

func (x *text) count(what string) int { return strings.Count(x.String(), what) }
