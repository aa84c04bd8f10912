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
