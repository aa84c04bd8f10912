package main

import (
	"bufio"
	"bytes"
	"io"
	"strconv"
	"strings"
	"sync"

	"overlay/http2"

	"github.com/valyala/fasthttp"
)

// http2Stream turns one request of HTTP/2 into one of fasthttp, and the answer
// back. It is used again for others.
type http2Stream struct {
	server *http2Server
	conn   *http2Conn
	ctx    fasthttp.RequestCtx
	out    http2Writer

	fields []http2.HeadField // of the response
	length []byte            // value of Content-Length
}

func newHTTP2Stream(s *http2Server) *http2Stream {
	return &http2Stream{server: s, conn: new(http2Conn)}
}

// http2Head is what a head is read with. It is no part of a stream: those may wait, in
// hundreds, and this is large.
type http2Head struct {
	text   []byte // of the head, written as HTTP/1.1 has it
	source bytes.Reader
	reader *bufio.Reader
}

// The head of HTTP/1 is longer than what was counted for HTTP/2 by a few bytes for each field.
var http2Heads = sync.Pool{New: func() any { return &http2Head{reader: bufio.NewReaderSize(nil, 4*maxHead)} }}

// read reads what is written in text.
func (h *http2Head) read(header *fasthttp.RequestHeader) error {
	h.source.Reset(h.text)
	h.reader.Reset(&h.source)
	return header.Read(h.reader)
}

// serve answers the request of st, with what failure means unless that is nil. It reports
// whether x can be used again.
func (x *http2Stream) serve(st *http2.Stream, failure error) bool {
	session := st.State().(*http2Session)
	*x.conn = http2Conn{Conn: session.conn, client: session.client, stream: st}
	ctx := &x.ctx
	ctx.Init2(x.conn, nil, false)
	if failure == nil && !x.readHead(st) {
		failure = errHTTP2Head
	}
	if failure == nil {
		header := &ctx.Request.Header
		x.server.hygiene.headerReceived(header)
		if st.HasBody && refusalOf(header) == accepted {
			ctx.Request.SetBodyStream(newHTTP2Body(st, x.server), int(st.ContentLength)) // -1 when it is not known
		}
		x.server.handler(ctx)
	} else {
		ctx.Request.Reset() // it may hold a part
		x.server.failed(ctx, failure)
		ctx.Response.Header.ResetConnectionClose() // the next one begins where this one has ended
	}
	ctx.Response.SkipBody = st.Method == fasthttp.MethodHead
	st.SetSilence(x.server.silence.silence())
	err := x.respond(st)
	_ = ctx.Response.CloseBodyStream() // what can be said of it was said
	ctx.ResetUserValues()              // the access log writes its line
	if err != nil {
		// The stream is reset: a response cut short never looks complete. x is not
		// used again, since something may still hold on to it.
		return false
	}
	ctx.Request.Reset()
	ctx.Response.Reset()
	x.out = http2Writer{}
	if st.Shared() {
		x.conn = new(http2Conn) // who asks whether the client is gone may do so late
	}
	return true
}

// readHead parses the head of st as if it had come as HTTP/1.1, so that one piece
// of code alone judges requests. It reports whether it can be written so.
func (x *http2Stream) readHead(st *http2.Stream) bool {
	target, host := st.Path, st.Authority
	if st.Method == fasthttp.MethodConnect {
		target = host
	}
	if host == "" {
		for i := range st.Fields {
			if st.Fields[i].Name == "host" {
				host = st.Fields[i].Value
				break
			}
		}
	}
	if !isToken(st.Method) || !isPrintable(target) || !isPrintable(host) {
		return false
	}
	reader := http2Heads.Get().(*http2Head)
	defer http2Heads.Put(reader)
	head := append(reader.text[:0], st.Method...)
	head = append(append(head, ' '), target...)
	head = append(append(head, " HTTP/1.1\r\nHost: "...), host...)
	cookies, hosts := false, 0
	for i := range st.Fields {
		f := &st.Fields[i]
		switch f.Name {
		case "host":
			// RFC 9113 section 8.3.1: it must not differ from :authority.
			if hosts++; hosts > 1 || f.Value != host {
				return false
			}
			continue
		case "cookie":
			cookies = true // below
			continue
		}
		head = append(append(append(head, "\r\n"...), f.Name...), ": "...)
		head = append(head, f.Value...)
	}
	if cookies {
		head = appendCookies(head, st.Fields)
	}
	switch {
	case st.ContentLength >= 0:
		head = strconv.AppendInt(append(head, "\r\nContent-Length: "...), st.ContentLength, 10)
	case st.HasBody:
		head = append(head, "\r\nTransfer-Encoding: chunked"...)
	}
	reader.text = append(head, "\r\n\r\n"...)
	header := &x.ctx.Request.Header
	if reader.read(header) != nil {
		return false
	}
	if !st.HasBody && st.ContentLength < 0 && !header.IsGet() && !header.IsHead() {
		header.SetContentLength(0) // fasthttp does so when it goes on to the body
	}
	return true
}

// appendCookies adds the one Cookie field that several are to be for who does not know
// HTTP/2 (RFC 9113 section 8.2.3).
func appendCookies(head []byte, fields []http2.Field) []byte {
	separator := "\r\nCookie: "
	for i := range fields {
		if f := &fields[i]; f.Name == "cookie" {
			head = append(append(head, separator...), f.Value...)
			separator = "; "
		}
	}
	return head
}

// isFieldName reports whether name is a token, with underscores or without.
func isFieldName(name []byte) bool {
	for _, c := range name {
		if nameClass[c]&(classToken|classUnderline) == 0 {
			return false
		}
	}
	return len(name) > 0
}

// isToken reports whether s is a token (RFC 9110 section 5.6.2).
func isToken(s string) bool {
	for i := range len(s) {
		if nameClass[s[i]]&(classToken|classUnderline) == 0 {
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
func (x *http2Stream) respond(st *http2.Stream) error {
	resp := &x.ctx.Response
	if resp.ConnectionClose() {
		st.Last()
	}
	status := resp.StatusCode()
	stream := resp.BodyStream()
	length := resp.Header.ContentLength()
	known := length >= 0 && len(resp.Header.Peek(fasthttp.HeaderContentLength)) > 0
	if stream == nil && (len(resp.Body()) > 0 || !resp.SkipBody) {
		length, known = len(resp.Body()), true
	}
	hasBody := status >= 200 && status != fasthttp.StatusNoContent && status != fasthttp.StatusNotModified
	if !hasBody || known && length == 0 {
		resp.Header.SetNoDefaultContentType(true) // HTTP/1.1 says the type of nothing only where a handler has
	}
	x.listFields()
	if hasBody && known {
		x.length = strconv.AppendInt(x.length[:0], int64(length), 10)
		x.fields = append(x.fields, http2.HeadField{Name: "content-length", Value: x.length})
	}
	silent := !hasBody || resp.SkipBody || stream == nil && len(resp.Body()) == 0
	if err := st.WriteHead(status, x.fields, silent); err != nil || silent {
		return err
	}
	x.out.stream = st
	if stream == nil {
		if _, err := st.Write(resp.Body()); err != nil {
			return err
		}
		return st.End()
	}
	sent, err := copyStream(&x.out, stream)
	if err == nil && known && sent < int64(length) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return err
	}
	return st.End()
}

var http2ServerName = []byte("overlay")

// listFields puts the fields of the response into x.fields, but for Content-Length.
func (x *http2Stream) listFields() {
	header := &x.ctx.Response.Header
	x.fields = x.fields[:0]
	for name, value := range header.All() {
		lower, ok := http2Names[string(name)]
		if !ok {
			if !isFieldName(name) {
				continue // clients would take the whole response for malformed
			}
			lower = strings.ToLower(string(name))
		}
		switch lower {
		case "content-length", "transfer-encoding", "connection", "keep-alive", "upgrade", "trailer", "proxy-connection":
			continue // HTTP/2 has its own ways (RFC 9113 section 8.2.2)
		}
		x.fields = append(x.fields, http2.HeadField{Name: lower, Value: value})
	}
	if len(header.Server()) == 0 {
		x.fields = append(x.fields, http2.HeadField{Name: "server", Value: http2ServerName})
	}
}

// http2Names are the names that responses usually have, in lower case, so that they need
// not be made each time. Nothing changes it.
var http2Names = func() map[string]string {
	names := map[string]string{}
	for _, name := range []string{
		"Accept-Ranges", "Cache-Control", "Connection", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Length", "Content-Range",
		"Content-Type", "Date", "ETag", "Etag", "Keep-Alive", "Last-Modified", "Location", "Server", "Set-Cookie", "Strict-Transport-Security",
		"Transfer-Encoding", "Vary", "X-Content-Type-Options", "X-Frame-Options",
	} {
		names[name] = strings.ToLower(name)
	}
	return names
}()

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
			if err := w.Flush(); err != nil { // the next part may be long in coming
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

// http2Writer writes a body. Flow control makes Write wait for a client that reads slowly.
type http2Writer struct{ stream *http2.Stream }

func (w *http2Writer) Write(p []byte) (int, error) { return w.stream.Write(p) }

// Flush sends what has been written.
func (w *http2Writer) Flush() error { return w.stream.Flush() }
