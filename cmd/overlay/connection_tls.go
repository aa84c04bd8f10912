package main

import (
	"context"
	"crypto/tls"
	"net"
	"sync/atomic"

	"overlay/tlsauth"
)

// tlsConnection is TLS over a connection. The handshake takes place with the first
// read, within the header timeout.
type tlsConnection struct {
	*tls.Conn
	inner  *connection
	cork   *corkedConn     // between Conn and inner
	client *tlsauth.Client // nil before the first request has passed the gate

	session tlsauth.Session
	hold    continueHold

	parked   atomic.Bool // Read has said errParked: Close leaves the connection open
	first    [1]byte     // of a request, read while it was parked
	hasFirst bool
	heard    atomic.Bool // something of a request has come
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
	cork := &corkedConn{Conn: c}
	inner := c.(*connection)
	inner.parks = canPark
	return &tlsConnection{Conn: tls.Server(cork, l.config), inner: inner, cork: cork}, nil
}

// Read reports the end of the connection within a body, as connection does: whether
// it came with a closing alert or without, crypto/tls calls it io.EOF.
func (c *tlsConnection) Read(p []byte) (int, error) {
	if c.inner.phase == phaseBody && c.inner.body.feign() {
		p[0] = 0
		return 1, nil
	}
	if c.hasFirst {
		return c.readFirst(p), nil
	}
	n, err := c.Conn.Read(p)
	if n > 0 && !c.heard.Load() {
		c.heard.Store(true)
	}
	if err == errParked {
		c.parked.Store(true)
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
	if len(p) >= corkFrom {
		return c.cork.gather(c.Conn.Write, p)
	}
	return c.Conn.Write(p)
}

// Close leaves a connection that waits for a request to its Read, as connection does, and one
// that is to be parked to whoever does that.
func (c *tlsConnection) Close() error {
	if c.parked.Load() {
		return nil
	}
	if c.inner.waiting.Load() {
		return c.inner.Close()
	}
	return c.Conn.Close()
}
