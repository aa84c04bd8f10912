package main

import (
	"errors"
	"net"

	"overlay/eventloop"
	"overlay/static"

	"github.com/valyala/fasthttp"
)

// answersPart is the part of --cache-size that is for whole answers, ready to be sent.
const answersPart = 4

// decideLoops decides whether connections wait in event loops, which answer requests for
// small files themselves. Of the rules that may stand between a client and a file they know those
// of clientGate.passes.
func (s *site) decideLoops(options *static.Options) {
	if s.cfg.KeepAliveTimeout == 0 {
		return
	}
	var bytes int64
	if options.CacheSize > 0 {
		bytes = options.CacheSize / answersPart
		options.CacheSize -= bytes
	}
	s.useLoops, s.answers = true, eventloop.NewAnswers(bytes)
	if s.answers != nil {
		options.Answered = answeredFrom
	}
}

// answeredFrom tells a connection whose response is taken down what it was made from.
func answeredFrom(ctx *fasthttp.RequestCtx, from static.Source) {
	c := connectionOf(ctx.Conn())
	if c == nil || c.handover == nil {
		return
	}
	length := ctx.Response.Header.ContentLength()
	c.fromFile = length <= eventloop.MaxAnswer
	if c.records() {
		c.handover.Recorder.Came(from, length)
	}
}

// listenLoops returns the listener of plain HTTP for fasthttp.
func (s *site) listenLoops(limits timeouts) net.Listener {
	if !s.useLoops {
		return listenConnections(s.http, limits)
	}
	socket := s.http
	if draining, ok := socket.(*drainingListener); ok {
		socket = draining.TCPListener // the loops drain it themselves
	}
	loops, err := eventloop.Listen(socket, s.loopOptions(&limits, kindOfPage))
	if err != nil {
		s.noLoops(err)
		return listenConnections(s.http, limits)
	}
	s.loops = loops
	return loops
}

// keepTLS returns where connections of HTTPS wait, nil for nowhere.
func (s *site) keepTLS(limits timeouts) *eventloop.Keeper {
	if !s.useLoops {
		return nil
	}
	// A response over HTTPS may have fields that one over HTTP has not.
	keeper, err := eventloop.NewKeeper(s.loopOptions(&limits, func(accept []byte) byte { return kindOfPage(accept) ^ 0x20 }))
	if err != nil {
		s.noLoops(err)
		return nil
	}
	s.keeper = keeper
	return keeper
}

func (s *site) noLoops(err error) {
	if !errors.Is(err, eventloop.ErrUnavailable) {
		s.log.Warn("no event loop: every connection gets a goroutine of its own", "error", err)
	}
}

func (s *site) loopOptions(limits *timeouts, kind func([]byte) byte) eventloop.Options {
	names := newHostNames(s.cfg.Names)
	o := eventloop.Options{
		Serve:   func(h *eventloop.Handover) { s.serveHandedOver(h, limits) },
		Answers: s.answers,
		Given:   s.given(),
		Host:    func(host []byte) bool { return validHost(host) && names.has(host) },
		Kind:    kind,

		NewTimeout: limits.header, IdleTimeout: limits.keepAlive, ReturnAfter: limits.returnAfter(),
		Log: func(what string, err error) { s.log.Error("event loop: "+what, "error", err) },
	}
	if s.tls != nil {
		o.Passes = s.gate.passes
	}
	return o
}

// kindOfPage tells those who get error pages in HTML from the others.
func kindOfPage(accept []byte) byte {
	if acceptsHTML(accept) {
		return 'h'
	}
	return 't'
}

// given returns what is to be done for each answer that a loop gives, nil for nothing.
func (s *site) given() func(*eventloop.Given) {
	if s.accessLog == nil && s.metrics == nil {
		return nil
	}
	return func(g *eventloop.Given) {
		if s.accessLog != nil {
			s.accessLog.given(g)
		}
		if s.metrics != nil {
			s.metrics.requests.count(g.Status)
		}
	}
}

// serveHandedOver serves a connection that comes from an event loop.
func (s *site) serveHandedOver(h *eventloop.Handover, limits *timeouts) {
	var c net.Conn
	var inner *connection
	asked := len(h.Input) > 0
	if layer, ok := h.Layer.(*tlsLayer); ok {
		encrypted := newHandedOverTLS(h, layer, limits)
		c, inner = encrypted, encrypted.inner
	} else {
		inner = newHandedOver(h, limits)
		c = inner
	}
	defer s.recoverConn(c)
	if len(h.Output) > 0 {
		if _, err := inner.Write(h.Output); err != nil || !asked && inner.detach(false) {
			_ = inner.Close()
			return
		}
		if !asked { // the loops end, or descriptors do
			inner.stopping.Store(true)
		}
		h.Output = nil // it would be held as long as the connection
	}
	s.serveConn(c)
}

// connections returns how many connections are open.
func (s *site) connections() int { return int(s.serving.Load()) + s.waiting() }

// waiting returns how many of them are in event loops.
func (s *site) waiting() int {
	n := s.keeper.Connections()
	if s.loops != nil {
		n += s.loops.Connections()
	}
	return n
}
