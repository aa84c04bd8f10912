package main

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"testing"

	"overlay/tlsauth/tlstest"
)

// countedConn counts writes, and fails those after the first failAfter.
type countedConn struct {
	net.Conn
	writes    int
	failAfter int // 0: never, negative: all fail
}

var errCounted = errors.New("no more writes")

func (c *countedConn) Write(p []byte) (int, error) {
	if c.writes++; c.failAfter != 0 && c.writes > c.failAfter {
		return 0, errCounted
	}
	return c.Conn.Write(p)
}

// A large write over TLS is one write to the connection, and a small one too; what the
// client reads is what was written, in order.
func TestTLSCork(t *testing.T) {
	random := make([]byte, 400<<10)
	source := rand.New(rand.NewPCG(1, 2))
	for i := range random {
		random[i] = byte(source.Uint32())
	}
	client, counted, conn := tlsPair(t)
	got := make(chan []byte)
	go func() {
		b, _ := io.ReadAll(client)
		got <- b
	}()
	if _, err := conn.Write(random[:1<<20>>3]); err != nil { // beyond the small records that a connection begins with
		t.Fatal(err)
	}
	sent := 1 << 20 >> 3
	for _, tt := range []struct{ size, writes int }{
		{1, 1}, {corkFrom - 1, 1}, {corkFrom, 1}, {64 << 10, 1}, {64<<10 + 1, 1}, {70 << 10, 2}, {40 << 10, 1}, {0, 0},
	} {
		before := counted.writes
		n, err := conn.Write(random[sent : sent+tt.size])
		if n != tt.size || err != nil {
			t.Fatalf("Write of %d bytes = %d, %v", tt.size, n, err)
		}
		if writes := counted.writes - before; writes > tt.writes {
			t.Errorf("%d bytes took %d writes, want %d", tt.size, writes, tt.writes)
		}
		sent += tt.size
		if conn.cork.on || conn.cork.b != nil || conn.cork.n != 0 {
			t.Fatalf("after a write of %d bytes something is kept: %d bytes", tt.size, conn.cork.n)
		}
	}
	if err := conn.Conn.Close(); err != nil {
		t.Fatal(err)
	}
	if b := <-got; !bytes.Equal(b, random[:sent]) {
		t.Errorf("the client got %d bytes, other than the %d that were sent", len(b), sent)
	}
}

// An error of the connection is the error of the write, though its records were taken.
func TestTLSCorkError(t *testing.T) {
	client, counted, conn := tlsPair(t)
	go io.Copy(io.Discard, client)
	counted.failAfter = counted.writes
	if n, err := conn.Write(make([]byte, 20<<10)); n != 0 || !errors.Is(err, errCounted) {
		t.Errorf("Write = %d, %v, want 0 and the error of the connection", n, err)
	}
	// The client may have half of a record: nothing may follow, small or large, though the
	// connection takes it.
	before := counted.writes
	counted.failAfter = 0
	for _, size := range []int{1, 20 << 10} {
		if n, err := conn.Write(make([]byte, size)); n != 0 || !errors.Is(err, errCounted) {
			t.Errorf("the next Write, of %d bytes, = %d, %v, want 0 and the same error", size, n, err)
		}
	}
	if counted.writes != before {
		t.Errorf("%d writes reached the connection after one had failed", counted.writes-before)
	}
}

// What another goroutine writes meanwhile goes behind what is kept.
func TestTLSCorkOrder(t *testing.T) {
	client, server := net.Pipe()
	defer client.Close()
	cork := &corkedConn{Conn: server}
	go func() {
		_, _ = cork.gather(func(p []byte) (int, error) {
			_, _ = cork.Write(p[:3])
			other := make(chan bool)
			go func() { _, _ = cork.Write([]byte("alert ")); close(other) }()
			<-other
			return cork.Write(p[3:])
		}, []byte("onetwo"))
		server.Close()
	}()
	if b, err := io.ReadAll(client); string(b) != "onealert two" || err != nil {
		t.Errorf("client read %q, %v", b, err)
	}
}

// tlsPair returns a client, and the server's side of its connection after the handshake.
func tlsPair(t *testing.T) (client *tls.Conn, counted *countedConn, conn *tlsConnection) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	dialed, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dialed.Close(); accepted.Close() })
	counted = &countedConn{Conn: accepted}
	conn = newTLSConnection(newConnection(counted, &timeouts{}), &tls.Config{Certificates: []tls.Certificate{tlstest.NewCA(t).Issue(t).TLS(t)}})
	client = tls.Client(dialed, &tls.Config{InsecureSkipVerify: true})
	shaken := make(chan error)
	go func() { shaken <- client.Handshake() }()
	if err := conn.Conn.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-shaken; err != nil {
		t.Fatal(err)
	}
	return client, counted, conn
}
