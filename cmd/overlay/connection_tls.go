package main

import (
	"context"
	"crypto/tls"
	"net"
	"sync/atomic"

	"overlay/tlsauth"
)

// tlsLayer is TLS as long as it lasts. What is below it changes when it goes to an event
// loop and comes back.
type tlsLayer struct {
	*tls.Conn
	cork    *corkedConn     // below Conn
	client  *tlsauth.Client // nil before the first request has passed the gate
	session tlsauth.Session
}

// Over is that of eventloop.Layer.
func (l *tlsLayer) Over(wire net.Conn) { l.cork.over(wire) }

// tlsConnection is TLS over a connection. The handshake takes place with the first
// read, within the header timeout.
type tlsConnection struct {
	*tlsLayer
	inner *connection
	hold  continueHold
	input []byte      // an event loop has read it, and it comes first
	heard atomic.Bool // something of a request has come
}

// newTLSConnection puts TLS on top of inner.
func newTLSConnection(inner *connection, config *tls.Config) *tlsConnection {
	cork := new(corkedConn)
	layer := &tlsLayer{Conn: tls.Server(cork, config), cork: cork}
	return layer.on(inner)
}

// on puts l on top of inner.
func (l *tlsLayer) on(inner *connection) *tlsConnection {
	inner.sealed = true
	l.Over(inner)
	return &tlsConnection{tlsLayer: l, inner: inner}
}

// Handshake is called by fasthttp before the first request.
func (c *tlsConnection) Handshake() error {
	return c.Conn.HandshakeContext(tlsauth.WithSession(context.Background(), &c.session))
}

// tlsConnectionListener accepts connections and puts TLS on top.
type tlsConnectionListener struct {
	connectionListener
	config *tls.Config
}

// listenTLSConnections is listenConnections for a TLS listener. config is not
// copied: session ticket keys set later and GetConfigForClient have effect.
func listenTLSConnections(listener net.Listener, limits timeouts, config *tls.Config) net.Listener {
	return &tlsConnectionListener{connectionListener{Listener: listener, timeouts: &limits}, config}
}

func (l *tlsConnectionListener) Accept() (net.Conn, error) {
	c, err := l.connectionListener.Accept()
	if err != nil {
		return nil, err
	}
	return newTLSConnection(c.(*connection), l.config), nil
}

// Read reports the end of the connection within a body, as connection does: whether
// it came with a closing alert or without, crypto/tls calls it io.EOF.
func (c *tlsConnection) Read(p []byte) (int, error) {
	if len(c.input) > 0 {
		return c.inner.readInput(&c.input, p), nil
	}
	if c.inner.phase == phaseBody && c.inner.body.feign() {
		p[0] = 0
		return 1, nil
	}
	n, err := c.Conn.Read(p)
	if n > 0 && !c.heard.Load() {
		c.heard.Store(true)
	}
	if err != nil {
		c.inner.waiting.Store(false)
	}
	if err == errDetached {
		return n, err
	}
	c.inner.body.failed = c.inner.body.failed || err != nil
	return n, c.inner.readError(err)
}

// Write writes p, but for what is to be held back.
func (c *tlsConnection) Write(p []byte) (int, error) {
	if c.hold.on {
		return c.hold.write(c, p)
	}
	if c.inner.records() {
		c.inner.handover.Recorder.Write(p)
	}
	if len(p) >= corkFrom {
		return c.cork.gather(c.Conn.Write, p)
	}
	return c.Conn.Write(p)
}

// Close leaves a connection that waits for a request to its Read, as connection does, and TLS
// as it is when it goes on in an event loop.
func (c *tlsConnection) Close() error {
	if c.inner.waiting.Load() {
		return c.inner.Close()
	}
	if !c.inner.whereabouts.CompareAndSwap(stays, ended) && c.inner.whereabouts.Load() == left {
		return c.inner.Close()
	}
	return c.Conn.Close()
}
