package main

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
)

// http2Stream turns one request of net/http into one of fasthttp, and the answer
// back. It is used again for others.
type http2Stream struct {
	server *http2Server
	ctx    fasthttp.RequestCtx
	body   http2Body
	out    http2Writer
	head   []byte // the head of the request, written as HTTP/1.1 has it
	source bytes.Reader
	reader *bufio.Reader
}

func newHTTP2Stream(s *http2Server) *http2Stream {
	// The head of HTTP/1 is longer than what was counted for HTTP/2 by a few bytes
	// for each field.
	return &http2Stream{server: s, reader: bufio.NewReaderSize(nil, 4*maxHead)}
}

// ServeHTTP answers one request.
func (s *http2Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	session, ok := r.Context().Value(http2SessionKey{}).(*http2Session)
	if !ok || r.TLS == nil {
		panic(http.ErrAbortHandler) // no connection of ours
	}
	stream := s.streams.Get().(*http2Stream)
	stream.serve(w, r, session)
	s.streams.Put(stream)
}

func (x *http2Stream) serve(w http.ResponseWriter, r *http.Request, session *http2Session) {
	control := http.NewResponseController(w)
	ctx := &x.ctx
	// Not kept for others: who asks whether the client is gone may do so late.
	ctx.Init2(&http2Conn{Conn: session.conn, client: session.client, request: r.Context()}, nil, false)
	if !x.readHead(r) {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	header := &ctx.Request.Header
	x.server.hygiene.headerReceived(header)
	if r.ContentLength != 0 && refusalOf(header) == accepted {
		x.body.reset(r.Body, control, x.server)
		ctx.Request.SetBodyStream(&x.body, int(r.ContentLength)) // -1 when it is not known
	}
	x.server.handler(ctx)
	ctx.Response.SkipBody = header.IsHead()
	x.out = http2Writer{w: w, control: control, silence: x.server.silence}
	err := x.respond()
	_ = ctx.Response.CloseBodyStream() // what can be said of it was said
	ctx.ResetUserValues()              // the access log writes its line
	if err != nil {
		// The stream is reset: a response cut short never looks complete. x is not
		// used again, since something may still hold on to it.
		panic(http.ErrAbortHandler)
	}
	ctx.Request.Reset()
	ctx.Response.Reset()
	x.body.reset(nil, nil, x.server)
	x.out = http2Writer{}
}

// readHead parses the head of r as if it had come as HTTP/1.1, so that one piece
// of code alone judges requests. It reports whether r can be written so.
func (x *http2Stream) readHead(r *http.Request) bool {
	if !isToken(r.Method) || !isPrintable(r.RequestURI) || !isPrintable(r.Host) {
		return false
	}
	head := append(x.head[:0], r.Method...)
	head = append(append(head, ' '), r.RequestURI...)
	head = append(append(head, " HTTP/1.1\r\nHost: "...), r.Host...)
	for name, values := range r.Header {
		switch name {
		case "Content-Length", "Transfer-Encoding", "Connection", "Expect":
			continue // of the framing, which is told below and by net/http
		case "Host":
			// RFC 9113 section 8.3.1: it must not differ from :authority.
			if len(values) != 1 || values[0] != r.Host {
				return false
			}
			continue
		}
		if !isFieldName(name) {
			return false
		}
		for _, value := range values {
			// net/http has looked, too; a line end here would be a field of the client's
			// own making that no one has judged.
			if strings.ContainsAny(value, "\r\n\x00") {
				return false
			}
			head = append(append(append(head, "\r\n"...), name...), ": "...)
			head = append(head, value...)
		}
	}
	switch {
	case r.ContentLength < 0:
		head = append(head, "\r\nTransfer-Encoding: chunked"...)
	case r.ContentLength > 0, len(r.Header["Content-Length"]) > 0:
		head = strconv.AppendInt(append(head, "\r\nContent-Length: "...), r.ContentLength, 10)
	}
	x.head = append(head, "\r\n\r\n"...)
	x.source.Reset(x.head)
	x.reader.Reset(&x.source)
	return x.ctx.Request.Header.Read(x.reader) == nil
}

// isFieldName reports whether s is a token, with underscores or without.
func isFieldName(s string) bool {
	return isToken(strings.ReplaceAll(s, "_", "-"))
}

// isToken reports whether s is a token (RFC 9110 section 5.6.2).
func isToken(s string) bool {
	for i := range len(s) {
		if nameClass[s[i]] != classToken {
			return false
		}
	}
	return s != ""
}

// isPrintable reports whether s has neither spaces nor control characters.
func isPrintable(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] == 0x7f {
			return false
		}
	}
	return true
}

// respond sends the response of x.ctx.
func (x *http2Stream) respond() error {
	resp := &x.ctx.Response
	fields := x.out.w.Header()
	for name, value := range resp.Header.All() {
		switch {
		case equalFold(name, "content-length"), equalFold(name, "transfer-encoding"), equalFold(name, "keep-alive"),
			equalFold(name, "upgrade"), equalFold(name, "trailer"), equalFold(name, "proxy-connection"):
			continue // HTTP/2 has its own ways (RFC 9113 section 8.2.2)
		}
		fields.Add(string(name), string(value))
	}
	if len(resp.Header.Server()) == 0 {
		fields.Set("Server", "overlay")
	}
	if len(resp.Header.ContentType()) == 0 {
		fields["Content-Type"] = nil // net/http would guess one
	}
	status := resp.StatusCode()
	stream := resp.BodyStream()
	length := resp.Header.ContentLength()
	known := length >= 0 && len(resp.Header.Peek(fasthttp.HeaderContentLength)) > 0
	if stream == nil && len(resp.Body()) > 0 {
		length, known = len(resp.Body()), true
	}
	hasBody := status >= 200 && status != fasthttp.StatusNoContent && status != fasthttp.StatusNotModified
	if hasBody && known {
		fields.Set("Content-Length", strconv.Itoa(length))
	}
	x.out.w.WriteHeader(status)
	if !hasBody || resp.SkipBody {
		return nil
	}
	if stream == nil {
		_, err := x.out.Write(resp.Body())
		return err
	}
	sent, err := copyStream(&x.out, stream)
	if err == nil && known && sent < int64(length) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// copyStream sends a body. One that knows how to write itself does so: it flushes
// when it has to wait.
func copyStream(w *http2Writer, stream io.Reader) (int64, error) {
	if source, ok := stream.(io.WriterTo); ok {
		return source.WriteTo(w)
	}
	buffer := drainBuffers.Get().(*[8 << 10]byte)
	defer drainBuffers.Put(buffer)
	for total := int64(0); ; {
		n, err := stream.Read(buffer[:])
		if n > 0 {
			m, err := w.Write(buffer[:n])
			if total += int64(m); err != nil {
				return total, err
			}
		}
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

// http2Writer writes a body. Each piece must be taken within the silence that is
// allowed; flow control makes Write wait for a client that reads slowly.
type http2Writer struct {
	w       http.ResponseWriter
	control *http.ResponseController
	silence time.Duration
	timer   http2Timer
}

// http2Piece is how much one write sends: a client that takes this much within
// the timeout is alive.
const http2Piece = 32 << 10

func (w *http2Writer) Write(p []byte) (written int, err error) {
	for len(p) > 0 {
		if w.silence > 0 {
			w.timer.arm(time.Now().Add(w.silence), w.control.SetWriteDeadline)
		}
		n, err := w.w.Write(p[:min(len(p), http2Piece)])
		written += n
		if err != nil {
			return written, err
		}
		p = p[n:]
	}
	return written, nil
}

// Flush sends what has been written.
func (w *http2Writer) Flush() error { return w.control.Flush() }
