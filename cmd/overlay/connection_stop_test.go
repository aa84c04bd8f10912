//go:build linux

package main

import (
	"errors"
	"io"
	"net"
	"testing"

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
			c := newConnection(server, &timeouts{header: long, keepAlive: long, socket: long})
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

// arrived returns how many bytes lie unread in the kernel.
func arrived(c *net.TCPConn) (n int) {
	control(c, func(fd int) { n, _ = unix.IoctlGetInt(fd, unix.TIOCINQ) })
	return n
}

// TestCloseWakesIdleRead: Close from another goroutine, as fasthttp calls it, ends
// the Read that waits, and leaves the closing to whoever reads.
func TestCloseWakesIdleRead(t *testing.T) {
	_, server := tcpPair(t)
	c := newConnection(server, &timeouts{header: long, keepAlive: long, socket: long})
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
