package main

import (
	"io"
	"net"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"overlay/tlsauth"

	"github.com/valyala/fasthttp"
)

// byteCounter is a body stream that adds to *sent what it has passed on to the
// client, until its Close returns. A stream that is no byteCounter is logged
// with its Content-Length, sent or not.
type byteCounter interface {
	CountInto(sent *int64)
}

// accessEntry is a request on its way into the access log. It belongs to the
// goroutine of its connection.
type accessEntry struct {
	log    *accessLog
	ctx    *fasthttp.RequestCtx
	start  time.Time
	unread bool // the request could not be read; ctx.Request may hold anything

	// What is known of a body stream; fasthttp has let go of it when the line is
	// written.
	stream  bool
	counted bool  // sent is right
	sent    int64 // bytes of the body
	limited *io.LimitedReader
	limit   int64 // limited.N at the start
}

// watchStream notes the body stream of the response, if there is one.
func (e *accessEntry) watchStream() {
	switch stream := e.ctx.Response.BodyStream().(type) {
	case nil:
	case byteCounter:
		e.stream, e.counted = true, true
		stream.CountInto(&e.sent)
	case *io.LimitedReader: // sendfile, too, keeps its N right
		e.stream, e.limited, e.limit = true, stream, stream.N
	default:
		e.stream = true
	}
}

// Close writes the entry's line and gives the entry back. fasthttp calls it when
// the response was sent.
func (e *accessEntry) Close() error {
	e.log.write(e)
	e.release()
	return nil
}

// release gives e back for another request.
func (e *accessEntry) release() {
	l := e.log
	*e = accessEntry{log: l}
	l.entries.Put(e)
}

// bytes returns the length of the body that was sent, without chunk framing, -1
// if that is not known.
func (e *accessEntry) bytes() int64 {
	resp := &e.ctx.Response
	status := resp.StatusCode()
	switch {
	case resp.SkipBody, status < 200, status == fasthttp.StatusNoContent, status == fasthttp.StatusNotModified:
		return 0
	case e.counted:
		return e.sent
	case e.limited != nil:
		return e.limit - e.limited.N
	case e.stream:
		return int64(max(resp.Header.ContentLength(), -1))
	}
	return int64(len(resp.Body()))
}

// appendCommon writes the common log format of Apache (%h %l %u %t "%r" %>s %b):
//
//	127.0.0.1 - - [21/Nov/2026:09:30:12 +0000] "GET / HTTP/1.1" 200 612
func appendCommon(line []byte, e *accessEntry, l *accessLog) []byte {
	return append(appendCommonFields(line, e, l), '\n')
}

// appendCombined adds the fields Referer and User-Agent to the common format.
func appendCombined(line []byte, e *accessEntry, l *accessLog) []byte {
	line = appendCommonFields(line, e, l)
	line = appendQuotedField(line, e, fasthttp.HeaderReferer)
	line = appendQuotedField(line, e, fasthttp.HeaderUserAgent)
	return append(line, '\n')
}

// appendCommonFields needs l.mu.
func appendCommonFields(line []byte, e *accessEntry, l *accessLog) []byte {
	line = appendRemote(line, e.ctx)
	line = append(line, " - "...)
	line = appendUser(line, e.ctx)
	line = append(line, " ["...)
	if second := e.start.Unix(); second != l.second || l.stamp == nil {
		l.second, l.stamp = second, e.start.AppendFormat(l.stamp[:0], "02/Jan/2006:15:04:05 -0700")
	}
	line = append(line, l.stamp...)
	line = append(line, `] "`...)
	if e.unread {
		line = append(line, '-')
	} else {
		head := &e.ctx.Request.Header
		line = appendLogText(line, head.Method())
		line = append(line, ' ')
		line = appendLogText(line, head.RequestURI())
		line = append(line, ' ')
		line = appendLogText(line, protocolOf(e.ctx))
	}
	line = append(line, `" `...)
	line = strconv.AppendInt(line, int64(e.ctx.Response.StatusCode()), 10)
	line = append(line, ' ')
	if n := e.bytes(); n > 0 {
		return strconv.AppendInt(line, n, 10)
	}
	return append(line, '-')
}

func appendQuotedField(line []byte, e *accessEntry, name string) []byte {
	line = append(line, ` "`...)
	if value := e.field(name); len(value) > 0 {
		line = appendLogText(line, value)
	} else {
		line = append(line, '-')
	}
	return append(line, '"')
}

// field returns the value of a field of the request, nil if it cannot be told.
func (e *accessEntry) field(name string) []byte {
	if e.unread {
		return nil
	}
	return e.ctx.Request.Header.Peek(name)
}

// appendJSON writes one JSON object in a line. bytes is null when it is not
// known, and method, uri and protocol are absent when no request could be read.
func appendJSON(line []byte, e *accessEntry, _ *accessLog) []byte {
	line = append(line, `{"time":"`...)
	line = e.start.AppendFormat(line, "2006-01-02T15:04:05.000Z07:00")
	line = append(line, `","remote":"`...)
	line = appendRemote(line, e.ctx)
	line = append(line, '"')
	if !e.unread {
		head := &e.ctx.Request.Header
		line = appendJSONMember(line, `,"method":"`, head.Method())
		line = appendJSONMember(line, `,"uri":"`, head.RequestURI())
		line = appendJSONMember(line, `,"protocol":"`, protocolOf(e.ctx))
		line = appendJSONMember(line, `,"host":"`, head.Host())
		line = appendJSONMember(line, `,"referer":"`, e.field(fasthttp.HeaderReferer))
		line = appendJSONMember(line, `,"user_agent":"`, e.field(fasthttp.HeaderUserAgent))
	}
	if client := tlsClient(e.ctx); client != nil && client.Verdict() == tlsauth.Passed {
		line = appendJSONMember(line, `,"client_subject":"`, []byte(client.Subject()))
		line = appendJSONMember(line, `,"user":"`, []byte(client.User()))
	}
	line = append(line, `,"status":`...)
	line = strconv.AppendInt(line, int64(e.ctx.Response.StatusCode()), 10)
	line = append(line, `,"bytes":`...)
	if n := e.bytes(); n >= 0 {
		line = strconv.AppendInt(line, n, 10)
	} else {
		line = append(line, "null"...)
	}
	line = append(line, `,"duration_ms":`...)
	line = strconv.AppendFloat(line, float64(time.Since(e.start).Microseconds())/1000, 'f', 3, 64)
	return append(line, "}\n"...)
}

// appendJSONMember adds a string, whose name and opening quote are in start; an
// empty one is left out.
func appendJSONMember(line []byte, start string, value []byte) []byte {
	if len(value) == 0 {
		return line
	}
	line = append(line, start...)
	for i := 0; i < len(value); {
		c := value[i]
		switch {
		case c == '"' || c == '\\':
			line = append(line, '\\', c)
			i++
		case c < ' ' || c == 0x7f:
			line = appendHex4(line, rune(c))
			i++
		case c < utf8.RuneSelf:
			line = append(line, c)
			i++
		default: // bytes that are no UTF-8 become U+FFFD, as in encoding/json
			r, size := utf8.DecodeRune(value[i:])
			line = appendJSONRune(line, value[i:i+size], r)
			i += size
		}
	}
	return append(line, '"')
}

// appendRemote adds the address of the client, "-" when it has none (a Unix
// domain socket).
func appendRemote(line []byte, ctx *fasthttp.RequestCtx) []byte {
	addr, ok := ctx.RemoteAddr().(*net.TCPAddr)
	if !ok || addr.IP == nil {
		return append(line, '-')
	}
	return addr.AddrPort().Addr().Unmap().AppendTo(line)
}

// appendUser adds REMOTE_USER, "-" when there is none. Spaces are escaped: programs
// that read the log split lines at them.
func appendUser(line []byte, ctx *fasthttp.RequestCtx) []byte {
	if client := tlsClient(ctx); client != nil {
		if user := client.User(); user != "" {
			return append(line, strings.ReplaceAll(string(appendLogText(nil, []byte(user))), " ", `\x20`)...)
		}
	}
	return append(line, '-')
}

var http2Protocol = []byte("HTTP/2.0")

// protocolOf returns the protocol that the client speaks.
func protocolOf(ctx *fasthttp.RequestCtx) []byte {
	if _, ok := ctx.Conn().(*http2Conn); ok {
		return http2Protocol
	}
	return ctx.Request.Header.Protocol()
}

// appendLogText escapes text as Apache's logs do: a backslash before quotes and
// backslashes, \xhh for everything that is not printable ASCII.
func appendLogText(line, text []byte) []byte {
	const digits = "0123456789abcdef"
	for _, c := range text {
		switch {
		case c == '"' || c == '\\':
			line = append(line, '\\', c)
		case c < ' ' || c >= 0x7f:
			line = append(line, '\\', 'x', digits[c>>4], digits[c&15])
		default:
			line = append(line, c)
		}
	}
	return line
}
