package main

import (
	"bytes"
	"io"
	"iter"
	"sync"

	"github.com/valyala/fasthttp"
)

// drainLimit is how many bytes of an unread body are dropped to keep a connection.
const drainLimit = 64 << 10

var drainBuffers = sync.Pool{New: func() any { return new([8 << 10]byte) }}

// finishBody keeps a connection in step after the handler: the bytes of a body that
// nobody read must not be taken for the next request (fasthttp 1.74 releases an
// unread stream and parses on, which lets a client smuggle requests past whoever
// stands in front).
func finishBody(ctx *fasthttp.RequestCtx) {
	if !ctx.Request.IsBodyStream() {
		return // no body, or the handler had it read whole
	}
	if !bodyFinished(ctx) {
		closeAfterResponse(ctx)
	}
	if header := &ctx.Request.Header; header.ContentLength() < 0 {
		dropTrailers(header)
	}
}

// bodyFinished reports whether the body has been read or dropped to its end.
func bodyFinished(ctx *fasthttp.RequestCtx) bool {
	c := connectionOf(ctx.Conn())
	switch {
	case c == nil:
		return drain(ctx.RequestBodyStream())
	case c.body.close():
		return false // it was not asked for: nobody knows whether it comes
	case c.body.shared && ctx.Response.IsBodyStream():
		return c.body.ended.Load() // who reads it may do so while the response is sent
	}
	// As far as it has arrived: the client may be waiting for the response.
	c.nowait = true
	defer func() { c.nowait = false }()
	return drain(&c.body)
}

// drain reads the rest of a small body, and reports whether it found the end. Of a
// connection that is not from listenConnections it may wait for the client.
func drain(body io.Reader) bool {
	buffer := drainBuffers.Get().(*[8 << 10]byte)
	defer drainBuffers.Put(buffer)
	for dropped := 0; dropped <= drainLimit; {
		n, err := body.Read(buffer[:])
		if err != nil {
			return err == io.EOF
		}
		dropped += n
	}
	return false
}

// closeAfterResponse ends the connection once the response is sent, gently: the
// client may still be sending, and must get to read the response.
func closeAfterResponse(ctx *fasthttp.RequestCtx) {
	ctx.SetConnectionClose()
	if c := connectionOf(ctx.Conn()); c != nil {
		c.linger.Store(true)
	}
}

// dropTrailers takes the trailers of a chunked body out of header. fasthttp appends
// them to the fields, where a lookup that comes after the body was read (an access
// log's, say) would take them for fields, against RFC 9110 section 6.5.1.
func dropTrailers(header *fasthttp.RequestHeader) {
	var names [][]byte
	for name := range header.All() {
		if isGeneralField(name) {
			names = append(names, bytes.Clone(name))
		}
	}
	received := 0
	for name := range fieldLines(header.RawHeaders()) {
		if isGeneralField(name) {
			received++
		}
	}
	if len(names) == received {
		return
	}
	for _, name := range names {
		header.DelBytes(name)
	}
	for name, value := range fieldLines(header.RawHeaders()) {
		if isGeneralField(name) {
			header.AddBytesKV(name, value)
		}
	}
}

// fieldLines yields name and value of each line of block that counts: dropFields
// removes the others. block has passed scanFields.
func fieldLines(block []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		for len(block) > 0 {
			var line []byte
			line, block, _ = bytes.Cut(block, []byte("\r\n"))
			name, value, found := bytes.Cut(line, []byte(":"))
			if !found || bytes.IndexByte(name, '_') >= 0 || equalFold(name, "proxy") {
				continue
			}
			if !yield(name, trimSpace(value)) {
				return
			}
		}
	}
}

// isGeneralField reports whether fasthttp keeps the field name among all others: it
// has a place of its own for some, no trailer can touch those.
func isGeneralField(name []byte) bool {
	for _, special := range []string{
		"host", "user-agent", "content-type", "content-length", "transfer-encoding",
		"connection", "cookie", "expect", "trailer",
	} {
		if equalFold(name, special) {
			return false
		}
	}
	return true
}
