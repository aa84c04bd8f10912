package main

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"runtime/debug"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
)

// maxHead is the longest head of a request in bytes: request line, fields and
// empty line. It is the size of the read buffer of a connection, too.
const maxHead = 16 << 10

// hygiene is what a request passes before any package sees it. fasthttp parses
// HTTP/1 and refuses much; hygiene refuses, or makes harmless, what fasthttp lets
// through although two implementations could read it differently (RFC 9112), and
// keeps the promises that fasthttp leaves to its handlers.
//
// One call wires it:
//
//	hygiene := &hygiene{limitRequestBody: ..., socketTimeout: ..., checkTarget: ..., log: ...}
//	server := &fasthttp.Server{Name: ..., Logger: ...}
//	hygiene.install(server, next)
//	server.Serve(listenConnections(listener, timeouts)) // listenTLSConnections for HTTPS
//
// Then next is called for accepted requests alone, and can rely on this:
//   - RawHeaders() is empty or consists of lines "Name: value\r\n" and one empty
//     line; each Name is a token. Names with an underscore and Proxy are still in
//     RawHeaders() and are to be skipped there; no other lookup finds them.
//   - Header.Host() is the one host: it comes from a target in absolute form if
//     there is one, else from Host, and is empty in HTTP/1.0 alone. The Host line of
//     RawHeaders() may differ and is to be skipped.
//   - RequestURI() is in origin form, without fragment. OPTIONS * is answered here.
//   - A Content-Length is within limitRequestBody. Chunked bodies have no length:
//     who reads them counts. An error while reading any body must be answered with
//     a status of 400 or more, since the connection is out of step from then on.
//   - bodyOf returns the body, and it alone: fasthttp's own stream may lack the
//     first byte. The first read of it invites it ("100 Continue").
//   - It may leave a body unread: the connection is closed then, or the rest is
//     dropped if it has arrived already and is small.
//   - A panic is logged, answered with 500, and ends the connection.
//
// A refused request gets a fixed page (errorpage.go) and the end of its
// connection; the reason is logged at level debug.
type hygiene struct {
	// limitRequestBody is the largest body in bytes; zero or less means no limit.
	limitRequestBody int64
	// socketTimeout is the longest silence of a client within a body. Zero means no
	// bound. What counts is the setting of the listener; see connection.go.
	socketTimeout time.Duration
	// checkTarget tells why the target of an accepted request cannot be decoded to a
	// path, nil if it can; main plugs static.TargetOf in. nil checks nothing.
	checkTarget func(*fasthttp.RequestCtx) error
	// filesOnly says that there is no application, which other methods might be for.
	filesOnly bool
	// log gets refusals and panics; nil drops them.
	log *slog.Logger

	next fasthttp.RequestHandler
}

// install makes server pass its requests through h to next. It sets Handler,
// HeaderReceived, ErrorHandler, ConnState and the settings that h relies on; the
// timeouts of server stay zero, since the connections keep their own.
func (h *hygiene) install(server *fasthttp.Server, next fasthttp.RequestHandler) {
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	h.next = next
	server.Handler = h.handle
	server.HeaderReceived = h.headerReceived
	server.ExpectHandler = h.expect
	server.ErrorHandler = h.parseError
	server.ConnState = connectionState
	server.ReadBufferSize = maxHead
	// A body is read when and as far as it is wanted, never as a form: fasthttp
	// would make room for the whole announced length at once.
	server.StreamRequestBody = true
	server.DisablePreParseMultipartForm = true
}

// headerReceived judges the head of a request before fasthttp reads on: before the
// body, and before "100 Continue" is sent.
func (h *hygiene) headerReceived(header *fasthttp.RequestHeader) (config fasthttp.RequestConfig) {
	var fields fieldSummary
	why, hasBody := h.judge(header, &fields)
	if why != accepted {
		markRefused(header, why)
		return config
	}
	if fields.dropUnderline || fields.dropProxy {
		dropFields(header)
	}
	if hasBody {
		// With this, fasthttp calls SetReadDeadline, which tells the connection that
		// the head is complete; the value is of no account there.
		config.ReadTimeout = max(h.socketTimeout, time.Second)
		// How much of a body with a length it reads before the handler, see requestBody.
		// Larger bodies are no error where they are streams.
		config.MaxRequestBodySize = 1
	}
	return config
}

// judge does the work of headerReceived, in the order in which the statuses make
// sense to a client: a version that is not spoken comes before everything.
func (h *hygiene) judge(header *fasthttp.RequestHeader, fields *fieldSummary) (why refusal, hasBody bool) {
	http11 := header.IsHTTP11()
	if !http11 && string(header.Protocol()) != "HTTP/1.0" {
		return refusedVersion, false
	}
	if why := scanFields(header.RawHeaders(), fields); why != accepted {
		return why, false
	}
	method := header.Method()
	switch string(method) {
	case fasthttp.MethodTrace:
		return refusedTraceMethod, false
	case fasthttp.MethodConnect:
		return refusedConnectMethod, false
	}
	form, why := checkTarget(header.RequestURI(), method)
	if why != accepted {
		return why, false
	}
	switch {
	case fields.host > 1:
		return refusedHostRepeated, false
	case fields.host == 0 && http11:
		return refusedHostMissing, false
	case fields.host == 1 && !validHost(header.Host()):
		return refusedHostSyntax, false
	case fields.contentType > 1:
		return refusedContentTypeRepeated, false
	}
	if why := fields.checkFraming(http11); why != accepted {
		return why, false
	}
	hasBody = fields.coding > 0
	if fields.length > 0 {
		length, ok := parseLength(fields.lengthValue)
		if !ok {
			return refusedLengthSyntax, false
		}
		if h.limitRequestBody > 0 && length > h.limitRequestBody {
			return refusedBodySize, false
		}
		hasBody = length > 0
	}
	if why := settleExpectation(header, fields, http11 && hasBody); why != accepted {
		return why, false
	}
	// Persistence as RFC 9112 section 9.3 has it, over what fasthttp made of it.
	if fields.close || !http11 && !fields.keepAlive {
		header.SetConnectionClose()
	} else {
		header.ResetConnectionClose()
	}
	if form == absoluteForm {
		rewriteAbsolute(header)
	}
	return accepted, hasBody
}

// settleExpectation leaves in header the one spelling of Expect that fasthttp
// answers with "100 Continue", or nothing when there is nothing to continue with:
// no body, or a client of HTTP/1.0, which must not see a 100 (RFC 9110 section 10.1.1).
func settleExpectation(header *fasthttp.RequestHeader, fields *fieldSummary, wanted bool) refusal {
	switch {
	case fields.expect == 0:
	case !header.IsHTTP11():
		header.Del(fasthttp.HeaderExpect)
	case fields.expect > 1 || !equalFold(fields.expectValue, "100-continue"):
		return refusedExpectation
	case wanted:
		header.Set(fasthttp.HeaderExpect, "100-continue")
	default:
		header.Del(fasthttp.HeaderExpect)
	}
	return accepted
}

// dropFields removes the fields that a CGI-like environ could not tell from others
// (X_Real_IP and X-Real-IP are both HTTP_X_REAL_IP) or that have a meaning there
// which no client may set (Proxy becomes HTTP_PROXY, CVE-2016-5385).
func dropFields(header *fasthttp.RequestHeader) {
	for block := header.RawHeaders(); len(block) > 0; {
		line, rest, _ := bytes.Cut(block, []byte("\n"))
		block = rest
		name, _, found := bytes.Cut(line, []byte(":"))
		if found && (bytes.IndexByte(name, '_') >= 0 || equalFold(name, "proxy")) {
			header.DelBytes(name)
		}
	}
}

// handle is the handler of the server.
func (h *hygiene) handle(ctx *fasthttp.RequestCtx) {
	defer h.recoverPanic(ctx)
	if why := refusalOf(&ctx.Request.Header); why != accepted {
		h.refuse(ctx, why)
		return
	}
	if c := connectionOf(ctx.Conn()); c != nil && ctx.Request.IsBodyStream() {
		c.body.begin(ctx, c)
	}
	if target := ctx.Request.Header.RequestURI(); len(target) == 1 && target[0] == '*' {
		ctx.SetStatusCode(fasthttp.StatusNoContent) // OPTIONS *: a ping, RFC 9110 section 9.3.7
	} else if h.checkTarget != nil && h.checkTarget(ctx) != nil {
		h.refuse(ctx, refusedTargetEscape)
	} else {
		h.next(ctx)
	}
	finishBody(ctx)
}

// refuse answers a refused request and ends its connection.
func (h *hygiene) refuse(ctx *fasthttp.RequestCtx, why refusal) {
	h.log.Debug("request refused", "reason", why.String(), "status", why.status(), "client", ctx.RemoteAddr())
	writeErrorPage(ctx, why.status())
	if why.status() == fasthttp.StatusMethodNotAllowed {
		allow := "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
		if h.filesOnly {
			allow = "GET, HEAD, OPTIONS"
		}
		ctx.Response.Header.Set(fasthttp.HeaderAllow, allow)
	}
	closeAfterResponse(ctx)
}

// recoverPanic turns a panic of the handler into a 500. Without it one bug on one
// path would end the server process: fasthttp recovers nothing.
func (h *hygiene) recoverPanic(ctx *fasthttp.RequestCtx) {
	cause := recover()
	if cause == nil {
		return
	}
	h.log.Error("panic while handling a request", "panic", cause, "stack", string(debug.Stack()))
	ctx.Response.Reset() // closes a body stream that was set already
	writeErrorPage(ctx, fasthttp.StatusInternalServerError)
	closeAfterResponse(ctx)
}

// parseError answers a request that fasthttp could not parse or read; it is the
// ErrorHandler of the server, and fasthttp closes the connection afterwards.
func (h *hygiene) parseError(ctx *fasthttp.RequestCtx, err error) {
	if c := connectionOf(ctx.Conn()); c != nil && c.phase == phaseNew {
		// Not one byte arrived. A browser that connects ahead of need has made no
		// request that could be answered.
		_ = c.Close()
		return
	}
	if c, ok := ctx.Conn().(*tlsConnection); ok && !c.ConnectionState().HandshakeComplete {
		// The alert has said what is wrong; a response would have no key to be sent with.
		h.log.Debug("TLS handshake failed", "reason", err.Error(), "client", ctx.RemoteAddr())
		answerPlainHTTP(c, err)
		_ = c.inner.Close()
		return
	}
	status := statusOfParseError(err)
	if why := refusalOf(&ctx.Request.Header); why != accepted {
		status = why.status() // refused already, and its URI stopped fasthttp as well
	}
	h.log.Debug("request refused", "reason", err.Error(), "status", status, "client", ctx.RemoteAddr())
	writeErrorPage(ctx, status)
	closeAfterResponse(ctx)
}

// statusOfParseError picks the status for an error of fasthttp. Two kinds have no
// error value of their own and are told apart by the start of the innermost text.
func statusOfParseError(err error) int {
	var small *fasthttp.ErrSmallBuffer
	var netErr net.Error
	switch {
	case errors.As(err, &small), errors.Is(err, errHTTP2Large):
		return fasthttp.StatusRequestHeaderFieldsTooLarge
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fasthttp.StatusBadRequest
	case errors.As(err, &netErr) && netErr.Timeout(), errors.Is(err, fasthttp.ErrTimeout):
		return fasthttp.StatusRequestTimeout
	}
	inner := err
	for next := errors.Unwrap(inner); next != nil; next = errors.Unwrap(inner) {
		inner = next
	}
	if strings.HasPrefix(inner.Error(), "unsupported transfer-encoding: ") {
		return fasthttp.StatusNotImplemented
	}
	if version, found := strings.CutPrefix(inner.Error(), `unsupported http version "HTTP/`); found {
		if version, _, _ = strings.Cut(version, `"`); strings.Trim(version, "0123456789.") == "" {
			return fasthttp.StatusHTTPVersionNotSupported
		}
	}
	return fasthttp.StatusBadRequest
}
