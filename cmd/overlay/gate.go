package main

import (
	"bytes"
	"log/slog"
	"net"
	"strconv"
	"strings"

	"overlay/eventloop"
	"overlay/static"
	"overlay/tlsauth"

	"github.com/valyala/fasthttp"
)

// clientGate stands between hygiene and everything that answers: it sends plain HTTP to
// HTTPS, refuses hosts that are not served, and lets nobody pass to a path whose
// rule asks for another certificate. Files and application are both behind it.
type clientGate struct {
	tls       *tlsauth.Server // nil without HTTPS
	names     *hostNames      // nil when every host is served
	httpsOnly bool
	httpPort  int // of the listeners, for redirects
	httpsPort int
	archives  bool        // --directory-download
	acme      *acmeClient // nil without ACME
	hsts      string      // Strict-Transport-Security; "" for none
	log       *slog.Logger
	next      fasthttp.RequestHandler
}

// wrap returns a handler that calls next for requests that may pass.
func (g *clientGate) wrap(next fasthttp.RequestHandler) fasthttp.RequestHandler {
	if g.tls == nil && g.names == nil {
		return next
	}
	g.next = next
	return g.handle
}

func (g *clientGate) handle(ctx *fasthttp.RequestCtx) {
	client, secure := g.clientOf(ctx.Conn())
	switch {
	case !secure && g.acme.answers(ctx, static.Path(ctx)):
		return
	case !g.names.has(ctx.Request.Header.Host()):
		writeErrorPage(ctx, fasthttp.StatusMisdirectedRequest)
		return
	case !secure && g.httpsOnly:
		g.redirect(ctx)
		return
	case secure && g.tls.Misdirected(client, hostOf(ctx)):
		writeErrorPage(ctx, fasthttp.StatusMisdirectedRequest)
		return
	}
	if g.tls != nil {
		// One decoding of the path decides here, in static and in fallthrough.
		decide := g.tls.Decide
		if g.archives && bytes.Contains(static.TargetOf(ctx).Query, []byte("download=")) {
			decide = g.tls.DecideWithin // what the archive of a folder holds
		}
		if verdict := decide(client, static.Path(ctx)); verdict != tlsauth.Passed {
			g.refuse(ctx, client, verdict)
			return
		}
	}
	g.next(ctx)
	if secure && g.hsts != "" {
		ctx.Response.Header.Set(fasthttp.HeaderStrictTransportSecurity, g.hsts)
	}
}

// passes reports whether an event loop may give a kept answer to this request, which nothing but
// the gate stands in the way of. If not, handle says what is the matter. Hosts are looked at by
// eventloop.Options.Host. The target has no escape and no query, so that it is the path.
func (g *clientGate) passes(layer eventloop.Layer, h *eventloop.Head) bool {
	var client *tlsauth.Client
	if layer, ok := layer.(*tlsLayer); ok {
		host, _ := cutPort(h.Host)
		if client = layer.client; client == nil || g.tls.Misdirected(client, host) {
			return false
		}
	} else if g.httpsOnly || g.acme != nil && bytes.HasPrefix(h.Target, challengePath) {
		return false
	}
	return g.tls.Decide(client, h.Target) == tlsauth.Passed
}

// clientOf returns who is at the other end of a connection, and whether that is
// TLS at all.
func (g *clientGate) clientOf(c net.Conn) (client *tlsauth.Client, secure bool) {
	switch c := c.(type) {
	case *tlsConnection:
		if c.client == nil && g.tls != nil {
			c.client = g.tls.ClientOf(c.ConnectionState(), &c.session) // fasthttp has made the handshake
		}
		return c.client, true
	case *http2Conn:
		return c.client, true
	}
	return nil, false
}

// tlsClient returns the client of a request that has passed the gate, nil for
// plain HTTP.
func tlsClient(ctx *fasthttp.RequestCtx) *tlsauth.Client {
	switch c := ctx.Conn().(type) {
	case *tlsConnection:
		return c.client
	case *http2Conn:
		return c.client
	}
	return nil
}

// tlsVariables returns what the application is told of TLS: names and values for
// pybridge.Request. They are valid as long as the connection.
func tlsVariables(ctx *fasthttp.RequestCtx) (names, values []byte) {
	client := tlsClient(ctx)
	if client == nil {
		return nil, nil
	}
	e := client.Environ()
	return e.Names, e.Values
}

// refuse answers with the page of verdict and ends the connection: a browser asks
// for a certificate with the next handshake alone, and one that was revoked must
// not keep an open connection.
func (g *clientGate) refuse(ctx *fasthttp.RequestCtx, client *tlsauth.Client, verdict tlsauth.Verdict) {
	level, subject := slog.LevelDebug, ""
	if client != nil && client.Certificate() != nil {
		level, subject = slog.LevelInfo, client.Subject()
	}
	g.log.Log(ctx, level, "client refused", "reason", verdict.String(), "subject", subject, "client", ctx.RemoteAddr())
	_, secure := g.clientOf(ctx.Conn())
	writeGatePage(ctx, verdict, secure)
	closeAfterResponse(ctx)
}

// redirect sends a client to the same address over HTTPS. 308 keeps the method,
// so that a form is not lost on the way (RFC 9110 section 15.4.9).
func (g *clientGate) redirect(ctx *fasthttp.RequestCtx) {
	host := ctx.Request.Header.Host()
	if len(host) == 0 { // HTTP/1.0
		if host = g.names.first(); len(host) == 0 {
			writeErrorPage(ctx, fasthttp.StatusBadRequest)
			return
		}
	}
	name, hadPort := cutPort(host)
	location := append([]byte("https://"), name...)
	// Who reached this port by the default one came through something that maps
	// ports, and finds the default one of HTTPS there.
	mapped := !hadPort && g.httpPort != 80
	if g.httpsPort != 443 && !mapped {
		location = strconv.AppendInt(append(location, ':'), int64(g.httpsPort), 10)
	}
	location = append(location, ctx.Request.Header.RequestURI()...)
	ctx.Response.Header.SetBytesV(fasthttp.HeaderLocation, location)
	ctx.SetStatusCode(fasthttp.StatusPermanentRedirect)
	ctx.SetContentType("text/plain; charset=utf-8")
	ctx.SetBodyString("This site is served over HTTPS.\n")
}

// hostOf returns the host that a request is for, without a port.
func hostOf(ctx *fasthttp.RequestCtx) []byte {
	name, _ := cutPort(ctx.Request.Header.Host())
	return name
}

// cutPort takes the port off a host, which hygiene has found valid.
func cutPort(host []byte) (name []byte, found bool) {
	i := bytes.LastIndexByte(host, ':')
	if i < 0 || bytes.IndexByte(host[i:], ']') >= 0 {
		return host, false
	}
	return host[:i], true
}

// hostNames are the names that the site is served under. A nil *hostNames has
// every name.
type hostNames struct {
	names    []string // lower case; the first is --server-name
	suffixes []string // ".example.org" for *.example.org
}

// newHostNames returns nil without names. "*.example.org" stands for every name
// below example.org.
func newHostNames(names []string) *hostNames {
	if len(names) == 0 {
		return nil
	}
	h := &hostNames{}
	for _, name := range names {
		name = strings.ToLower(name)
		if suffix, ok := strings.CutPrefix(name, "*."); ok {
			h.suffixes = append(h.suffixes, "."+suffix)
		} else {
			h.names = append(h.names, name)
		}
	}
	return h
}

// has reports whether host, with or without a port, is one of the names. A request
// of HTTP/1.0 may name no host and means the first one.
func (h *hostNames) has(host []byte) bool {
	if h == nil || len(host) == 0 {
		return true
	}
	name, _ := cutPort(host)
	name = bytes.TrimSuffix(name, []byte{'.'}) // "example.org." is the same name, written out
	for _, want := range h.names {
		if equalFold(name, want) {
			return true
		}
	}
	for _, suffix := range h.suffixes {
		if n := len(name) - len(suffix); n > 0 && equalFold(name[n:], suffix) {
			return true
		}
	}
	return false
}

// first returns the name of the site, nil if it has none.
func (h *hostNames) first() []byte {
	if h == nil || len(h.names) == 0 {
		return nil
	}
	return []byte(h.names[0])
}
