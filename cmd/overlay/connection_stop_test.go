//go:build linux

package main

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestCloseWhileIdle: the server stops while a connection waits for a request.
// A request that has arrived is read; without one the connection ends.
func TestCloseWhileIdle(t *testing.T) {
	for _, row := range []struct {
		name string
		p    phase
		sent string
		want error
	}{
		{"idle, nothing has come", phaseIdle, "", io.EOF},
		{"idle, a request has come", phaseIdle, plainGet, nil},
		{"new, nothing has come", phaseNew, "", io.EOF},
		{"new, a request has come", phaseNew, plainGet, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			client, server := tcpPair(t)
			c := newConnection(server, &timeouts{header: long, keepAlive: long, socket: long, last: time.Millisecond})
			c.enter(row.p)
			send(t, client, row.sent)
			pollUntil(t, "what was sent", func() bool { return row.sent == "" || arrived(server) == len(row.sent) })
			c.stopping.Store(true)
			buffer := make([]byte, 100)
			n, err := c.Read(buffer)
			if !errors.Is(err, row.want) || n != len(row.sent) {
				t.Errorf("Read = %d, %v; want %d, %v", n, err, len(row.sent), row.want)
			}
		})
	}
}

// TestLastCall: a request that is sent after Close was called, by a client that was just
// answered, is read as any other.
func TestLastCall(t *testing.T) {
	for _, p := range []phase{phaseIdle, phaseNew} {
		client, server := tcpPair(t)
		c := newConnection(server, &timeouts{header: long, keepAlive: long, socket: long, last: long})
		c.enter(p)
		type result struct {
			n   int
			err error
		}
		read := make(chan result, 1)
		buffer := make([]byte, 100)
		go func() {
			n, err := c.Read(buffer)
			read <- result{n, err}
		}()
		pollUntil(t, "Read to wait", c.waiting.Load)
		for range 2 { // the second comes when Read has heard of the first
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Millisecond)
		}
		send(t, client, plainGet)
		if r := <-read; r.err != nil || string(buffer[:r.n]) != plainGet {
			t.Errorf("Read = %q, %v; want the request", buffer[:r.n], r.err)
		}
		if c.phase == phaseNew {
			t.Error("the connection is still new: what follows would not be answered when it is malformed")
		}
		// What comes next has its usual time.
		if _, err := c.Conn.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		c.enter(phaseHead)
		send(t, client, "more")
		if n, err := c.Read(buffer); n != 4 || err != nil {
			t.Errorf("the next Read = %d, %v", n, err)
		}
	}
}

// TestFarewell: once the server is about to stop, each response says that it is the last.
func TestFarewell(t *testing.T) {
	s, address := loopSite(t, map[string]string{"a": "a"}, "--cache-size", "0") // no answers from the loop
	c := dialLoop(t, address)
	for _, last := range []bool{false, true} {
		head, _, err := c.exchange("GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(head, "Connection: close"); got != last {
			t.Errorf("Connection: close: %v, want %v in\n%s", got, last, head)
		}
		s.farewell.say(t.Context(), 1)
	}
	if n, err := c.in.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("read %d, %v; want the end", n, err)
	}
}

// arrived returns how many bytes lie unread in the kernel.
func arrived(c *net.TCPConn) (n int) {
	control(c, func(fd int) { n, _ = unix.IoctlGetInt(fd, unix.TIOCINQ) })
	return n
}

// TestCloseWakesIdleRead: Close from another goroutine, as fasthttp calls it, ends
// the Read that waits, and leaves the closing to whoever reads.
func TestCloseWakesIdleRead(t *testing.T) {
	_, server := tcpPair(t)
	c := newConnection(server, &timeouts{header: long, keepAlive: long, socket: long, last: time.Millisecond})
	c.enter(phaseIdle)
	ended := make(chan error, 1)
	go func() {
		_, err := c.Read(make([]byte, 10))
		ended <- err
	}()
	pollUntil(t, "Read to wait", c.waiting.Load)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, io.EOF) {
		t.Errorf("Read ended with %v, want EOF", err)
	}
	if err := c.Close(); err != nil {
		t.Errorf("the second Close, by its own goroutine: %v", err)
	}
	if _, err := server.Write([]byte("x")); err == nil {
		t.Error("the connection is still open")
	}
}
