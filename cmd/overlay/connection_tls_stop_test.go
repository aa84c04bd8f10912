//go:build linux

package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"overlay/eventloop"

	"github.com/valyala/fasthttp"
)

// halfConn sends the first half of what is written next, and keeps the rest.
type halfConn struct {
	net.Conn
	half bool
	rest []byte
}

func (c *halfConn) Write(p []byte) (int, error) {
	if !c.half {
		return c.Conn.Write(p)
	}
	c.half, c.rest = false, bytes.Clone(p[len(p)/2:])
	_, err := c.Conn.Write(p[:len(p)/2])
	return len(p), err
}

// TestTLSLoopStopWithinRecord: when the server stops, the connection of a client that has sent half a
// record waits for the rest, and not longer than others for a request.
func TestTLSLoopStopWithinRecord(t *testing.T) {
	for _, row := range []struct {
		name   string
		last   time.Duration
		silent bool
	}{
		{"the rest comes", long, false},
		{"nothing more comes", 0, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newTLSLoopSite(t, timeouts{header: long, keepAlive: long, stay: time.Millisecond, last: row.last})
			raw := &halfConn{Conn: dial(t, s.address)}
			client := tls.Client(raw, s.pool)
			c := &tlsLoopClient{client, raw, bufio.NewReader(client)}
			c.exchange(t, "a")
			s.waiting(1)
			raw.half = true
			send(t, c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
			stopped := make(chan struct{})
			go func() {
				defer close(stopped)
				s.stop()
			}()
			pollUntil(t, "the last call", s.keeper.Closing)
			if row.silent {
				<-stopped
				if _, err := c.in.ReadByte(); !errors.Is(err, io.EOF) {
					t.Errorf("read: %v, want the end, in order", err)
				}
				return
			}
			send(t, raw.Conn, string(raw.rest))
			c.answer(t, "to ")
			_ = raw.Close()
			<-stopped
		})
	}
}

// TestLoopOutputLastCall: a client that takes the answers of a loop only when the loops have ended has
// its last call as any other.
func TestLoopOutputLastCall(t *testing.T) {
	for _, row := range []struct {
		name string
		ends bool
	}{
		{"the loops end", true},
		{"they do not", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			keeper, err := eventloop.NewKeeper(eventloop.Options{Serve: func(h *eventloop.Handover) { _ = h.Conn.Close() }})
			if err != nil {
				t.Fatal(err)
			}
			defer keeper.Close()
			client, accepted := tcpPair(t)
			h := keeper.Lend(accepted, nil)
			h.Output = []byte("rest")
			if row.ends {
				keeper.Close()
			}
			server := &fasthttp.Server{Logger: quietLogger{}, CloseOnShutdown: true}
			(&hygiene{}).install(server, func(ctx *fasthttp.RequestCtx) { ctx.SetBodyString("last") })
			site := &site{server: server, log: slog.New(slog.DiscardHandler)}
			served := make(chan struct{})
			go func() {
				defer close(served)
				site.serveHandedOver(h, &timeouts{header: long, keepAlive: long, last: long})
			}()
			in := bufio.NewReader(client)
			if rest, err := io.ReadAll(io.LimitReader(in, 4)); err != nil || string(rest) != "rest" {
				t.Fatalf("read %q, %v", rest, err)
			}
			if !row.ends {
				<-served
				h.Return()
				pollUntil(t, "the connection to wait in a loop", func() bool { return keeper.Connections() == 1 })
				return
			}
			send(t, client, plainGet)
			c := &tlsLoopClient{in: in}
			c.answer(t, "last")
			_ = client.Close()
			<-served
		})
	}
}

// TestCloseBehindRead: a request that has been read is answered, although whoever stops the server closes
// the connection before fasthttp knows of it.
func TestCloseBehindRead(t *testing.T) {
	limits := &timeouts{header: long, keepAlive: long, socket: long}
	for _, row := range []struct {
		name string
		pair func() (client net.Conn, c net.Conn)
	}{
		{"plain", func() (net.Conn, net.Conn) {
			client, accepted := tcpPair(t)
			return client, newConnection(accepted, limits)
		}},
		{"TLS", func() (net.Conn, net.Conn) {
			client, _, c := tlsPair(t)
			c.inner.timeouts = limits
			return client, c
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			client, c := row.pair()
			connectionState(c, fasthttp.StateActive)
			connectionOf(c).phase = phaseHead
			connectionState(c, fasthttp.StateIdle)
			send(t, client, plainGet)
			if n, err := c.Read(make([]byte, 100)); n != len(plainGet) || err != nil {
				t.Fatalf("Read = %d, %v", n, err)
			}
			if err := c.Close(); err != nil { // by closeIdleConns
				t.Fatal(err)
			}
			connectionState(c, fasthttp.StateActive)
			send(t, c, "answer")
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			if b, err := io.ReadAll(client); string(b) != "answer" || err != nil {
				t.Errorf("the client read %q, %v", b, err)
			}
		})
	}
}

// hookConn calls written before each write.
type hookConn struct {
	net.Conn
	written func()
}

func (c *hookConn) Write(p []byte) (int, error) {
	c.written()
	return c.Conn.Write(p)
}

// TestTLSCloseOrLeave: a connection does not go to a loop while somebody closes its TLS, whose alert would
// go to another client of the loop, and its TLS is left alone once it has gone.
func TestTLSCloseOrLeave(t *testing.T) {
	pair := func() (client net.Conn, c *tlsConnection) {
		keeper, err := eventloop.NewKeeper(eventloop.Options{Serve: func(h *eventloop.Handover) { _ = h.Conn.Close() }})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(keeper.Close)
		client, counted, c := tlsPair(t)
		c.inner.handover = keeper.Lend(counted.Conn.(*net.TCPConn), c.tlsLayer)
		return client, c
	}
	client, c := pair()
	left := false
	c.inner.Conn = &hookConn{c.inner.Conn, func() { left = c.inner.detach(false) }}
	if err := c.Close(); err != nil || left {
		t.Errorf("Close = %v, left in the middle: %v", err, left)
	}
	if _, err := client.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("read %v, want the end in order", err)
	}

	client, c = pair()
	h := c.inner.handover
	c.inner.Conn = &hookConn{c.inner.Conn, func() { t.Error("something is sent") }}
	if !c.inner.detach(false) {
		t.Fatal("not detached")
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	h.Return()
	_ = client.Close()
}
