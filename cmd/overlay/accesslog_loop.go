package main

import (
	"bufio"
	"bytes"

	"overlay/eventloop"

	"github.com/valyala/fasthttp"
)

// givenEntry is what it takes to log an answer of an event loop: the formats of the
// log look at requests as fasthttp has them.
type givenEntry struct {
	ctx  fasthttp.RequestCtx
	conn tlsConnection // of one with TLS
	head bytes.Reader
	in   *bufio.Reader
}

func newGivenEntry() any {
	g := new(givenEntry)
	g.in = bufio.NewReaderSize(&g.head, maxHead)
	return g
}

// given logs an answer that an event loop gives.
func (l *accessLog) given(g *eventloop.Given) {
	scratch := l.givens.Get().(*givenEntry)
	defer l.givens.Put(scratch)
	scratch.head.Reset(g.Head)
	scratch.in.Reset(&scratch.head)
	ctx := &scratch.ctx
	if layer, ok := g.Layer.(*tlsLayer); ok {
		scratch.conn.tlsLayer = layer
		ctx.Init2(&scratch.conn, nil, false)
		defer func() {
			scratch.conn.tlsLayer = nil
			ctx.Init2(nil, nil, false)
		}()
	}
	ctx.SetRemoteAddr(g.Peer)
	ctx.Response.SetStatusCode(g.Status)
	e := l.entries.Get().(*accessEntry)
	e.ctx, e.start = ctx, g.Time
	e.unread = ctx.Request.Header.Read(scratch.in) != nil // never: the loop has read it
	e.stream, e.counted, e.sent = true, true, int64(g.Body)
	l.write(e)
	e.release()
}
