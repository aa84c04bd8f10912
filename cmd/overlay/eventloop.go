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

// decideLoops decides whether connections of plain HTTP wait in event loops, which
// answer requests for small files themselves. They know no rules, so that nothing may stand
// between a client and a file that could change its mind.
func (s *site) decideLoops(options *static.Options) {
	if s.http == nil || s.cfg.KeepAliveTimeout == 0 || s.tls != nil {
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
	names := newHostNames(s.cfg.Names)
	loops, err := eventloop.Listen(socket, eventloop.Options{
		Serve:   func(h *eventloop.Handover) { s.serveHandedOver(h, &limits) },
		Answers: s.answers,
		Given:   s.given(),
		Host:    func(host []byte) bool { return validHost(host) && names.has(host) },
		Kind:    kindOfPage,

		NewTimeout: limits.header, IdleTimeout: limits.keepAlive, ReturnAfter: returnAfter,
		Log: func(what string, err error) { s.log.Error("event loop: "+what, "error", err) },
	})
	if err != nil {
		if !errors.Is(err, eventloop.ErrUnavailable) {
			s.log.Warn("no event loop: every connection gets a goroutine of its own", "error", err)
		}
		return listenConnections(s.http, limits)
	}
	s.loops = loops
	return loops
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
	c := newHandedOver(h, limits)
	defer s.recoverConn(c)
	if len(h.Output) > 0 {
		_, err := c.Write(h.Output)
		if err != nil || len(c.input) == 0 {
			if err == nil {
				c.detach(false)
			}
			_ = c.Close()
			return
		}
	}
	s.serveConn(c)
}

// connections returns how many connections are open.
func (s *site) connections() int {
	n := int(s.serving.Load()) + s.parking.count()
	if s.loops != nil {
		n += s.loops.Connections()
	}
	return n
}
