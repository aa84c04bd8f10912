package conformance

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"testing"
	"time"
)

const notDelayed = "servers must not delay the transmission of any block: they send it while the application makes the next"

var streamingGroup = group{"streaming", "Buffering and Streaming", []testCase{
	// The first two look at the memory of the processes, so nothing else may run.
	{"bounded-memory", extra, "a response larger than memory reaches a slow client through bounded buffers", needHere | needAlone, func(t *testing.T, s *server) {
		slowReader(t, s, 200, "")
	}},
	{"bounded-memory-declared", extra, "the same with Content-Length", needHere | needAlone, func(t *testing.T, s *server) {
		slowReader(t, s, 100, "&length=1")
	}},
	{"blocks", must, notDelayed, needHere, func(t *testing.T, s *server) {
		blocks(t, s, "", "")
	}},
	{"blocks-declared", must, notDelayed + ", with Content-Length", needHere, func(t *testing.T, s *server) {
		blocks(t, s, "&length=1", "")
	}},
	{"blocks-http-1.0", must, notDelayed + ", to an HTTP/1.0 client", needHere, func(t *testing.T, s *server) {
		blocks(t, s, "", "HTTP/1.0")
	}},
	{"blocks-written", must, "write() sends the block before it returns, or the server goes on sending it", needHere, func(t *testing.T, s *server) {
		blocks(t, s, "&write=1", "")
	}},
	{"blocks-while-others-run", must, notDelayed + ", while other requests run", needSpare, func(t *testing.T, s *server) {
		name := newNote()
		c := s.dial(t)
		c.send(request{target: "/iter/blocks?n=2&note=" + name})
		c.head("GET")
		for i := range 2 {
			c.expect(fmt.Sprintf("block %d\n", i))
			for range 5 {
				s.wantBody(t, "/start/returns-write", "callable")
			}
			s.note(t, fmt.Sprintf("%s-%d", name, i))
		}
		ends(t, c)
	}},
	{"two-streams", must, notDelayed + ", of two responses in turn", needHere | needSpare, func(t *testing.T, s *server) {
		names := []string{newNote(), newNote()}
		conns := []*conn{s.dial(t), s.dial(t)}
		for i, c := range conns {
			c.send(request{target: "/iter/blocks?n=4&note=" + names[i]})
			c.head("GET")
		}
		for block := range 4 {
			for i, c := range conns {
				c.expect(fmt.Sprintf("block %d\n", block))
				s.note(t, fmt.Sprintf("%s-%d", names[i], block))
			}
		}
		for _, c := range conns {
			ends(t, c)
		}
	}},
	{"large", must, "a large response of unknown length comes unchanged", 0, func(t *testing.T, s *server) {
		c := s.dial(t)
		c.send(request{target: "/iter/big?mib=20"})
		c.head("GET")
		if err := checkBig(c.body, 20, nil); err != nil {
			t.Error(err)
		}
		c.mustBeReusable()
	}},
	{"large-http-1.0", must, "a large response of unknown length comes unchanged to HTTP/1.0", 0, func(t *testing.T, s *server) {
		c := s.dial(t)
		c.send(request{target: "/iter/big?mib=20", proto: "HTTP/1.0"})
		c.head("GET")
		if err := checkBig(c.body, 20, nil); err != nil {
			t.Error(err)
		}
	}},
}}

// blocks takes block after block while the application waits for word that the
// client has the one before.
func blocks(t *testing.T, s *server, query, proto string) {
	t.Helper()
	name := newNote()
	c := s.dial(t)
	c.send(request{target: "/iter/blocks?n=3&note=" + name + query, proto: proto})
	r := c.head("GET")
	for i := range 3 {
		c.expect(fmt.Sprintf("block %d\n", i))
		s.note(t, fmt.Sprintf("%s-%d", name, i))
	}
	ends(t, c)
	if proto == "" && (r.framing == byChunks || r.framing == byLength) {
		c.mustBeReusable()
	}
}

// ends checks that the body ends here, as it should.
func ends(t *testing.T, c *conn) {
	t.Helper()
	if rest, err := io.ReadAll(c.body); len(rest) > 0 || err != nil {
		t.Errorf("after the last block: got %d more bytes, %v", len(rest), err)
	}
}

// checkBig checks the body of the view iter/big. After each MiB it calls each.
func checkBig(body io.Reader, mib int, each func(mib int)) error {
	piece := make([]byte, 65536)
	for i := range mib * 16 {
		if _, err := io.ReadFull(body, piece); err != nil {
			return fmt.Errorf("in piece %d of %d: %w", i, mib*16, err)
		}
		if value := byte(i % 251); piece[0] != value || !bytes.Equal(piece[1:], piece[:len(piece)-1]) {
			return fmt.Errorf("piece %d is %d and so on, want all of it %d", i, piece[0], value)
		}
		if each != nil && i%16 == 15 {
			each(i/16 + 1)
		}
	}
	if n, err := body.Read(piece); n > 0 || err != io.EOF {
		return fmt.Errorf("after the last piece: %d more bytes, %w", n, err)
	}
	return nil
}

// slowReader reads size MiB, slower than the application makes them.
func slowReader(t *testing.T, s *server, size int, query string) {
	t.Helper()
	const (
		ahead  = 40       // MiB that buffers of server and kernel may hold
		growth = 64 << 20 // bytes that a process may grow, PyPy's collector included
	)
	pid, err := strconv.Atoi(string(s.ok(t, "/process/pid").body))
	if err != nil {
		t.Fatal(err)
	}
	pids := []int{pid}
	if parent := parentOf(t, pid); parent != os.Getpid() {
		pids = append(pids, parent) // the server, when it is not the process of the application
	}
	var before []int
	for _, pid := range pids {
		before = append(before, peakMemory(t, pid))
	}
	name := newNote()
	c := s.dial(t)
	// The kernel would let the buffer of a connection grow, up to 32 MiB on some machines.
	if err := c.Conn.(*net.TCPConn).SetReadBuffer(256 << 10); err != nil {
		t.Fatal(err)
	}
	c.send(request{target: fmt.Sprintf("/iter/big?mib=%d&note=%s%s", size, name, query)})
	c.head("GET")
	made := func() int {
		text, _ := s.readNote(t, name)
		return len(text)
	}
	// Until the application stands still it runs ahead of a client that reads
	// nothing. That it does stand still is the check below; when this loop takes a
	// pause for the end, the test only sees less.
	for last, since := -1, time.Now(); time.Since(since) < 200*time.Millisecond; time.Sleep(5 * time.Millisecond) {
		if n := made(); n != last {
			last, since = n, time.Now()
		}
	}
	if n := made(); n > ahead {
		t.Errorf("the application is %d MiB ahead of a client that has read nothing, want at most %d", n, ahead)
	}
	err = checkBig(c.body, size, func(mib int) {
		if n := made(); mib%10 == 0 && n > mib+ahead {
			t.Errorf("the application is at %d MiB, the client at %d: want at most %d between them", n, mib, ahead)
		}
		if disk := unnamedFiles(pids[len(pids)-1]); disk > ahead<<20 {
			t.Errorf("with the client at %d MiB the server has %d MiB in temporary files, want at most %d", mib, disk>>20, ahead)
		}
	})
	if err != nil {
		t.Error(err)
	}
	for i, pid := range pids {
		if grown := peakMemory(t, pid) - before[i]; grown > growth {
			t.Errorf("process %d of %d grew by %d MiB for a response of %d MiB", i, len(pids), grown>>20, size)
		}
	}
}
