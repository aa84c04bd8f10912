package main

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// socketPair returns a connection and its client.
func socketPair(t *testing.T) (c *connection, client *net.TCPConn) {
	t.Helper()
	client, inner := tcpPair(t)
	return newConnection(inner, &timeouts{}), client
}

// TestSocketWhole: what is written arrives whole and in order, however slowly it is taken, and whichever
// way it is sent; and what is read is what was sent.
func TestSocketWhole(t *testing.T) {
	writer, client := socketPair(t)
	if err := writer.Conn.(*net.TCPConn).SetWriteBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	content := make([]byte, 3<<20)
	for i := range content {
		content[i] = byte(i * i >> 8)
	}
	go func() {
		for rest, n := content, 1; len(rest) > 0; n = n*7%(longSocketWrite+1000) + 1 {
			n := min(n, len(rest))
			if got, err := writer.writeSocket(rest[:n]); got != n || err != nil {
				t.Errorf("wrote %d of %d: %v", got, n, err)
				break
			}
			rest = rest[n:]
		}
		_ = writer.Conn.Close()
	}()
	got, err := io.ReadAll(client)
	if err != nil || !bytes.Equal(got, content) {
		t.Errorf("got %d bytes, %v; want the %d that were sent", len(got), err, len(content))
	}

	reader, sender := socketPair(t)
	go func() {
		_, _ = sender.Write(content)
		_ = sender.Close()
	}()
	if got, err = io.ReadAll(readerOf(reader.readSocket)); err != nil || !bytes.Equal(got, content) {
		t.Errorf("read %d bytes, %v; want the %d that were sent", len(got), err, len(content))
	}
}

type readerOf func([]byte) (int, error)

func (f readerOf) Read(p []byte) (int, error) { return f(p) }

// TestSocketErrors: errors are those of the net package.
func TestSocketErrors(t *testing.T) {
	var one [1]byte
	c, client := socketPair(t)
	_ = c.Conn.SetReadDeadline(time.Now().Add(time.Millisecond))
	if n, err := c.readSocket(one[:]); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("nothing comes: read %d, %v", n, err)
	}
	_ = c.Conn.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
	var err error
	for block := make([]byte, longSocketWrite); err == nil; {
		_, err = c.writeSocket(block)
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("nothing is taken: %v", err)
	}
	_ = client.SetLinger(0)
	_ = client.Close()
	pollUntil(t, "the reset", func() bool {
		_ = c.Conn.SetDeadline(time.Time{})
		_, err = c.readSocket(one[:])
		return errors.Is(err, syscall.ECONNRESET)
	})
	pollUntil(t, "the end of a write", func() bool {
		_, err = c.writeSocket(one[:])
		return errors.Is(err, syscall.EPIPE)
	})
	_ = c.Conn.Close()
	if _, err = c.readSocket(one[:]); !errors.Is(err, net.ErrClosed) {
		t.Errorf("read of a closed one: %v", err)
	}
	if _, err = c.writeSocket(one[:]); !errors.Is(err, net.ErrClosed) {
		t.Errorf("write to a closed one: %v", err)
	}
	c, client = socketPair(t)
	_ = client.Close()
	if n, err := c.readSocket(one[:]); n != 0 || err != io.EOF {
		t.Errorf("the client has ended: read %d, %v", n, err)
	}
}

// TestSocketAllocations: a read and a write cost none.
func TestSocketAllocations(t *testing.T) {
	c, client := socketPair(t)
	block := make([]byte, 100)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := c.writeSocket(block); err != nil {
			t.Fatal(err)
		}
		if _, err := client.Read(block); err != nil {
			t.Fatal(err)
		}
		if _, err := client.Write(block); err != nil {
			t.Fatal(err)
		}
		if _, err := c.readSocket(block); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
