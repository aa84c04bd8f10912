//go:build linux

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// TestStopWithNewcomers: a stop does not wait for connections that have not begun a request, in
// whatever state they are.
func TestStopWithNewcomers(t *testing.T) {
	for _, row := range []struct {
		name            string
		overTLS, shaken bool
	}{{"plain", false, false}, {"TLS, silent", true, false}, {"TLS, after the handshake", true, true}} {
		t.Run(row.name, func(t *testing.T) {
			inner, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			limits := timeouts{header: long, keepAlive: long, socket: long}
			l := listenConnections(inner, limits)
			if row.overTLS {
				l = listenTLSConnections(inner, limits, tlsConfig(t))
			}
			server := &fasthttp.Server{Logger: quietLogger{}}
			(&hygiene{}).install(server, func(*fasthttp.RequestCtx) { t.Error("there was no request") })
			serving := &servingListener{Listener: l, serve: func(c net.Conn) { _ = server.ServeConn(c) }, log: quietLog}
			served := make(chan error, 1)
			go func() { served <- server.Serve(serving) }()
			var client net.Conn = dial(t, inner.Addr().String())
			if row.shaken {
				client = tls.Client(client, &tls.Config{InsecureSkipVerify: true})
				if err := client.(*tls.Conn).Handshake(); err != nil {
					t.Fatal(err)
				}
			}
			pollUntil(t, "the connection to be served", func() bool { return server.GetCurrentConcurrency() == 1 })
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if err := server.ShutdownWithContext(ctx); err != nil {
				t.Errorf("shut down: %v", err)
			}
			if err := <-served; err != nil {
				t.Errorf("Serve: %v", err)
			}
			if n, err := client.Read(make([]byte, 1)); n != 0 || err == nil {
				t.Errorf("the client reads %d bytes, %v; want the end", n, err)
			}
		})
	}
}

// TestDismiss: who has begun a request, or does so now, is not dismissed.
func TestDismiss(t *testing.T) {
	client, server := tcpPair(t)
	c := newConnection(server, &timeouts{header: long, keepAlive: long, socket: long, last: time.Millisecond})
	var all newcomers
	all.add(c)
	buffer := make([]byte, 10)
	send(t, client, "G")
	pollUntil(t, "a byte", func() bool { return arrived(server) == 1 })
	all.dismiss() // the byte has come, but was not read: it is, within the last call
	if n, err := c.Read(buffer); n != 1 || err != nil {
		t.Fatalf("Read = %d, %v", n, err)
	}
	all.dismiss()
	read := make(chan error, 1)
	go func() {
		_, err := c.Read(buffer)
		read <- err
	}()
	select {
	case err := <-read:
		t.Fatalf("Read = %v, want it to wait for the rest", err)
	case <-time.After(20 * time.Millisecond): // of twenty last calls
	}
	send(t, client, "ET")
	if err := <-read; err != nil {
		t.Errorf("Read = %v", err)
	}

	_, silent := tcpPair(t)
	c = newConnection(silent, &timeouts{header: long, last: time.Millisecond})
	all.add(c)
	go func() {
		_, err := c.Read(buffer)
		read <- err
	}()
	pollUntil(t, "Read to wait", c.waiting.Load)
	all.dismiss()
	if err := <-read; !errors.Is(err, io.EOF) {
		t.Errorf("Read = %v, want EOF", err)
	}
}
