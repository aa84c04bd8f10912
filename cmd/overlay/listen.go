package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

// listen opens a TCP listener on host and port. option is what set the port.
func listen(host string, port int, option string) (net.Listener, error) {
	address := net.JoinHostPort(host, strconv.Itoa(port))
	l, err := net.Listen("tcp", address)
	if err == nil {
		return &drainingListener{TCPListener: l.(*net.TCPListener)}, nil
	}
	hint := ""
	var lookup *net.DNSError
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		hint = fmt.Sprintf("another program listens there; take another port, such as %s %d, or %s 0 for any free one", option, port+1, option)
	case errors.Is(err, syscall.EACCES):
		hint = fmt.Sprintf("ports below 1024 are for root; take another one, such as %s 8000", option)
	case errors.Is(err, syscall.EADDRNOTAVAIL), errors.As(err, &lookup):
		hint = "--host takes an address of this machine: 127.0.0.1 for itself alone, 0.0.0.0 for the network"
	}
	return nil, withHint(fmt.Errorf("listen on %s: %w", address, bareError(err)), hint)
}

// bareError returns what the system said, without the words of package net that
// repeat the address.
func bareError(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	var call *os.SyscallError
	if errors.As(err, &call) {
		err = call.Err
	}
	return err
}

// drainQuiet is how long a listener that is being closed waits for one more
// connection.
const drainQuiet = 20 * time.Millisecond

// drainingListener accepts, when it is closed, what has connected before. The
// kernel completes connections ahead of Accept; closing the socket at once would
// reset them, and with them requests that are on their way.
type drainingListener struct {
	*net.TCPListener
	closing  atomic.Bool
	draining bool // Accept knows; it has set a deadline of its own
}

// Accept implements net.Listener. It is called by one goroutine, as fasthttp does.
func (l *drainingListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.TCPListener.Accept()
		if err == nil || !l.closing.Load() || !errors.Is(err, os.ErrDeadlineExceeded) {
			return conn, err
		}
		if l.draining || l.TCPListener.SetDeadline(time.Now().Add(drainQuiet)) != nil {
			_ = l.TCPListener.Close()
			return nil, net.ErrClosed
		}
		l.draining = true
	}
}

// Close makes Accept return net.ErrClosed soon, which closes the socket.
func (l *drainingListener) Close() error {
	l.closing.Store(true)
	return l.TCPListener.SetDeadline(time.Unix(1, 0))
}
