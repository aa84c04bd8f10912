package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"sync"
	"time"

	"overlay/http2"
	"overlay/tlsauth"

	"github.com/valyala/fasthttp"
)

// http2Server speaks HTTP/2 on connections that fasthttp has accepted. The frames are
// the affair of package http2; each request becomes one of fasthttp's, and passes hygiene,
// the gate and everything behind like any other.
//
//	fasthttp.Server.NextProto -> serve -> http2.Server -> answer -> hygiene -> ...
type http2Server struct {
	server  *http2.Server
	gate    *clientGate
	handler fasthttp.RequestHandler           // as fasthttp.Server.Handler
	failed  func(*fasthttp.RequestCtx, error) // as fasthttp.Server.ErrorHandler
	hygiene *hygiene
	silence timeouts     // of bodies and responses
	rate    transferRate // of bodies of requests
	streams sync.Pool    // *http2Stream
}

// http2Session is what is known of one connection.
type http2Session struct {
	conn   *tls.Conn
	client *tlsauth.Client
}

// newHTTP2Server makes a server that passes requests through h, which is installed.
// wrap is what logs and counts them; failed answers what is no request, and does so, too.
func newHTTP2Server(cfg *config, h *hygiene, g *clientGate, wrap func(fasthttp.RequestHandler) fasthttp.RequestHandler, failed func(*fasthttp.RequestCtx, error)) *http2Server {
	s := &http2Server{
		gate: g, hygiene: h, handler: wrap(h.handleStream), failed: failed,
		silence: timeouts{socket: cfg.SocketTimeout, response: cfg.ResponseSocketTimeout},
		rate:    transferRate{cfg.BodyTimeout, cfg.BodyMinRate, cfg.BodyMaxTimeout},
	}
	s.streams.New = func() any { return newHTTP2Stream(s) }
	s.server = http2.NewServer(http2.Options{
		Handler:        func(st *http2.Stream) { s.answer(st, nil) },
		TooLarge:       func(st *http2.Stream) { s.answer(st, errHTTP2Large) },
		MaxHeaderBytes: maxHead,
		HeaderTimeout:  cfg.HeaderTimeout,
		// A connection without a stream is idle, whatever else comes on it.
		IdleTimeout: max(cfg.KeepAliveTimeout, time.Second),
		LastCall:    lastCall,
		Panicked: func(cause any) {
			h.log.Error("panic while sending a response", "panic", cause, "stack", string(debug.Stack()))
		},
		Failed: func(c net.Conn, err error) {
			h.log.Debug("HTTP/2 connection ended", "reason", err.Error(), "client", c.RemoteAddr())
		},
	})
	return s
}

// serve is the fasthttp.ServeHandler: it serves c until the connection ends.
func (s *http2Server) serve(c net.Conn) error {
	inner, ok := c.(*tlsConnection)
	if !ok {
		return errors.New("HTTP/2 over something that is not a connection of ours")
	}
	// From here on package http2 keeps the time of reads; connection watches writes.
	inner.inner.phase = phaseOwner
	if err := inner.SetReadDeadline(time.Time{}); err != nil {
		return fmt.Errorf("begin HTTP/2: %w", err)
	}
	client, _ := s.gate.clientOf(inner)
	s.server.Serve(inner, &http2Session{conn: inner.Conn, client: client})
	return nil
}

// What is said of heads that cannot be read as requests.
var (
	errHTTP2Large = errors.New("the fields of the head are too long")
	errHTTP2Head  = errors.New("the head cannot be written as one of HTTP/1.1")
)

// answer answers one request, with what err means unless that is nil.
func (s *http2Server) answer(st *http2.Stream, err error) {
	x := s.streams.Get().(*http2Stream)
	if x.serve(st, err) {
		s.streams.Put(x)
	}
}

// shutDown tells every client that no more requests are taken (GOAWAY) and lets
// those in flight finish, until ctx ends; then connections are cut. It does not
// wait: serve returns when a connection has ended. A nil s does nothing.
func (s *http2Server) shutDown(ctx context.Context) {
	if s == nil {
		return
	}
	s.server.Shutdown()
	context.AfterFunc(ctx, s.server.Close)
}

// http2Conn is the connection of one stream, as handlers see it: its addresses,
// and that it is TLS. Nobody may read or write it, and connectionOf does not find
// the connection below, which other streams share.
type http2Conn struct {
	*tls.Conn
	client *tlsauth.Client
	stream *http2.Stream
}

// Gone reports whether the client has given up on the stream.
func (c *http2Conn) Gone() bool { return c.stream.Gone() }

// detached returns a handler that lets the other requests of a connection of HTTP/2 go
// on while next waits for something.
func detached(next fasthttp.RequestHandler) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		if c, ok := ctx.Conn().(*http2Conn); ok {
			c.stream.Detach()
		}
		next(ctx)
	}
}

// handleStream is hygiene.handle for one stream of HTTP/2, where an unread body
// is no trouble: the stream ends.
func (h *hygiene) handleStream(ctx *fasthttp.RequestCtx) {
	defer h.recoverPanic(ctx)
	if why := refusalOf(&ctx.Request.Header); why != accepted {
		h.refuseStream(ctx, why)
		return
	}
	if target := ctx.Request.Header.RequestURI(); len(target) == 1 && target[0] == '*' {
		ctx.SetStatusCode(fasthttp.StatusNoContent)
	} else if h.checkTarget != nil && h.checkTarget(ctx) != nil {
		h.refuseStream(ctx, refusedTargetEscape)
	} else {
		h.next(ctx)
	}
}

// refuseStream is refuse, but that the connection goes on: frames are not out of step by
// what one request says, and others are under way.
func (h *hygiene) refuseStream(ctx *fasthttp.RequestCtx, why refusal) {
	h.refuse(ctx, why)
	ctx.Response.Header.ResetConnectionClose()
}
