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

	text   []byte       // values of the fields of the response, one behind the other
	fields []http2Field // where each is
}

func newHTTP2Stream(s *http2Server) *http2Stream {
	// The head of HTTP/1 is longer than what was counted for HTTP/2 by a few bytes
	// for each field.
	return &http2Stream{server: s, reader: bufio.NewReaderSize(nil, 4*maxHead)}
}

// ServeHTTP answers one request.
func (s *http2Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	session, ok := r.Context().Value(http2SessionKey{}).(*http2Session)
	if !ok {
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
	x.out = http2Writer{w: w, control: control, silence: x.server.silence, pipe: session.pipe}
	err := x.respond()
	x.out.rest()
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
	x.copyFields(fields)
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

// copyFields puts the fields of the response into fields. All values lie in one
// string.
func (x *http2Stream) copyFields(fields http.Header) {
	x.text, x.fields = x.text[:0], x.fields[:0]
	for name, value := range x.ctx.Response.Header.All() {
		key := http2Name(name)
		switch key {
		case "Content-Length", "Transfer-Encoding", "Keep-Alive", "Upgrade", "Trailer", "Proxy-Connection":
			continue // HTTP/2 has its own ways (RFC 9113 section 8.2.2)
		}
		x.text = append(x.text, value...)
		x.fields = append(x.fields, http2Field{key, len(x.text)})
	}
	text, start := string(x.text), 0
	values := make([]string, len(x.fields))
	for i, f := range x.fields {
		values[i] = text[start:f.end]
		start = f.end
		if before, again := fields[f.name]; again {
			fields[f.name] = append(before, values[i])
		} else {
			fields[f.name] = values[i : i+1 : i+1]
		}
	}
}

// http2Field is one field of a response; end is that of its value in the text of all.
type http2Field struct {
	name string
	end  int
}

// http2Names are the names that responses usually have, so that they need not be
// made each time. Nothing changes it.
var http2Names = func() map[string]string {
	names := map[string]string{}
	for _, name := range []string{
		"Accept-Ranges", "Cache-Control", "Connection", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Length", "Content-Range",
		"Content-Type", "Date", "ETag", "Etag", "Keep-Alive", "Last-Modified", "Location", "Server", "Set-Cookie", "Strict-Transport-Security",
		"Transfer-Encoding", "Vary", "X-Content-Type-Options", "X-Frame-Options",
	} {
		names[name] = http.CanonicalHeaderKey(name)
	}
	return names
}()

// http2Name returns the canonical form of name.
func http2Name(name []byte) string {
	if canonical, ok := http2Names[string(name)]; ok {
		return canonical
	}
	return http.CanonicalHeaderKey(string(name))
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
	pipe    *http2Pipe
	begun   bool // the head is on its way
	bulk    bool // the pipe knows that a body is being written
}

// http2Piece is how much one write sends: a client that takes this much within
// the timeout is alive.
const http2Piece = 32 << 10

func (w *http2Writer) Write(p []byte) (written int, err error) {
	if !w.begun {
		w.begun = true
		w.pipe.expectHead()
	}
	if !w.bulk {
		w.bulk = true
		w.pipe.bulk(1)
	}
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
func (w *http2Writer) Flush() error {
	w.begun = true
	w.rest()
	return w.control.Flush()
}

// rest says that no more of the body is at hand.
func (w *http2Writer) rest() {
	if w.bulk {
		w.bulk = false
		w.pipe.bulk(-1)
	}
}
