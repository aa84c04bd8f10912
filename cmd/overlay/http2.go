package main

import (
	"context"
	"crypto/tls"
	"errors"
	"log"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"overlay/tlsauth"

	"github.com/valyala/fasthttp"
)

// http2Server speaks HTTP/2 on connections that fasthttp has accepted, by the
// server of net/http. The frames are its affair; each request becomes one of
// fasthttp's, and passes hygiene, the gate and everything behind like any other.
//
//	fasthttp.Server.NextProto -> serve -> net/http -> ServeHTTP -> hygiene -> ...
type http2Server struct {
	server    http.Server
	conns     chan net.Conn // what Accept of the server's listener returns
	closed    chan struct{}
	closeOnce sync.Once
	open      sync.Map // *http2Pipe to *http2Session, while it is served

	gate    *clientGate
	handler fasthttp.RequestHandler // as fasthttp.Server.Handler
	hygiene *hygiene
	silence time.Duration // longest silence within a body or a response; 0 means no bound
	rate    transferRate  // of bodies of requests
	streams sync.Pool     // *http2Stream
}

// http2Session is what is known of one connection.
type http2Session struct {
	conn   *tls.Conn
	pipe   *http2Pipe // over conn
	client *tlsauth.Client
	done   chan struct{} // closed when the connection is
}

// newHTTP2Server makes a server that passes requests through h, which is installed.
// wrap is what logs and counts them.
func newHTTP2Server(cfg *config, h *hygiene, g *clientGate, wrap func(fasthttp.RequestHandler) fasthttp.RequestHandler) *http2Server {
	s := &http2Server{
		conns: make(chan net.Conn), closed: make(chan struct{}),
		gate: g, hygiene: h, handler: wrap(h.handleStream), silence: cfg.SocketTimeout,
		rate: transferRate{cfg.BodyTimeout, cfg.BodyMinRate, cfg.BodyMaxTimeout},
	}
	s.streams.New = func() any { return newHTTP2Stream(s) }
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true) // of an http2Pipe, which is encrypted: it speaks nothing else
	s.server = http.Server{
		Handler:                      s,
		Protocols:                    protocols,
		DisableGeneralOptionsHandler: true,
		MaxHeaderBytes:               maxHead,
		// A connection without a stream is idle, whatever else comes on it.
		IdleTimeout: max(cfg.KeepAliveTimeout, time.Second),
		HTTP2:       &http.HTTP2Config{},
		// To the end of the preface, which is sent with the first request.
		ReadHeaderTimeout: cfg.HeaderTimeout,
		ConnState:         s.connState,
		ConnContext:       s.connContext,
		ErrorLog:          log.New(debugWriter{h.log}, "", 0),
	}
	go func() {
		if err := s.server.Serve(&http2Listener{s}); err != nil && !errors.Is(err, http.ErrServerClosed) {
			h.log.Error("HTTP/2 is not served any more", "error", err)
		}
	}()
	return s
}

// serve is the fasthttp.ServeHandler: it serves c until the connection ends.
func (s *http2Server) serve(c net.Conn) error {
	inner, ok := c.(*tlsConnection)
	if !ok {
		return errors.New("HTTP/2 over something that is not a connection of ours")
	}
	// From here on net/http keeps the time of reads; that of writes is watched below.
	inner.inner.phase = phaseOwner
	if err := inner.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	client, _ := s.gate.clientOf(inner)
	pipe := &http2Pipe{Conn: inner}
	session := &http2Session{conn: inner.Conn, pipe: pipe, client: client, done: make(chan struct{})}
	s.open.Store(pipe, session)
	select {
	case s.conns <- pipe:
	case <-s.closed:
		s.open.Delete(pipe)
		return nil
	}
	<-session.done
	return nil
}

// connState notes the end of connections. It may be told twice.
func (s *http2Server) connState(c net.Conn, state http.ConnState) {
	if state != http.StateClosed {
		return
	}
	if session, ok := s.open.LoadAndDelete(c); ok {
		close(session.(*http2Session).done)
	}
}

type http2SessionKey struct{}

func (s *http2Server) connContext(ctx context.Context, c net.Conn) context.Context {
	session, _ := s.open.Load(c)
	return context.WithValue(ctx, http2SessionKey{}, session)
}

// shutDown tells every client that no more requests are taken (GOAWAY) and lets
// those in flight finish, until ctx ends; then connections are cut. It does not
// wait: serve returns when a connection has ended. A nil s does nothing.
func (s *http2Server) shutDown(ctx context.Context) {
	if s == nil {
		return
	}
	go func() {
		if s.server.Shutdown(ctx) != nil {
			_ = s.server.Close()
		}
	}()
}

// http2Listener hands connections to the server of net/http.
type http2Listener struct{ s *http2Server }

func (l *http2Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.s.conns:
		return c, nil
	case <-l.s.closed:
		return nil, net.ErrClosed
	}
}

func (l *http2Listener) Close() error {
	l.s.closeOnce.Do(func() { close(l.s.closed) })
	return nil
}

func (l *http2Listener) Addr() net.Addr { return &net.TCPAddr{} }

// http2Conn is the connection of one stream, as handlers see it: its addresses,
// and that it is TLS. Nobody may read or write it, and connectionOf does not find
// the connection below, which other streams share.
type http2Conn struct {
	*tls.Conn
	client  *tlsauth.Client
	request context.Context
}

// Gone reports whether the client has given up on the stream.
func (c *http2Conn) Gone() bool { return c.request.Err() != nil }

// handleStream is hygiene.handle for one stream of HTTP/2, where an unread body
// is no trouble: net/http ends the stream.
func (h *hygiene) handleStream(ctx *fasthttp.RequestCtx) {
	defer h.recoverPanic(ctx)
	if why := refusalOf(&ctx.Request.Header); why != accepted {
		h.refuse(ctx, why)
		return
	}
	if target := ctx.Request.Header.RequestURI(); len(target) == 1 && target[0] == '*' {
		ctx.SetStatusCode(fasthttp.StatusNoContent)
	} else if h.checkTarget != nil && h.checkTarget(ctx) != nil {
		h.refuse(ctx, refusedTargetEscape)
	} else {
		h.next(ctx)
	}
}

// http2Slack is how much later than due a deadline of a stream may fire.
const http2Slack = 100 * time.Millisecond

// http2Timer moves a deadline ahead, but not for every read and write: each change
// is a message to the goroutine of the connection.
type http2Timer struct{ armed time.Time }

// arm makes a wait end at deadline or within http2Slack after it; zero means that
// there is none.
func (t *http2Timer) arm(deadline time.Time, set func(time.Time) error) {
	if ahead := deadline.Sub(t.armed); deadline.IsZero() || ahead >= 0 && ahead <= http2Slack {
		return
	}
	t.armed = deadline
	_ = set(deadline.Add(http2Slack)) // a stream that is over needs no deadline
}

// debugWriter takes what net/http logs.
type debugWriter struct{ log *slog.Logger }

func (w debugWriter) Write(line []byte) (int, error) {
	w.log.Debug("http2: " + string(trimSpace(line)))
	return len(line), nil
}
