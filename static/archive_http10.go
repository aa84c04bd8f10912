package static

import (
	"io"
	"net"
	"runtime/debug"

	"github.com/valyala/fasthttp"
)

// untilClose sends an archive to a client of HTTP/1.0, which knows no chunks: the end
// of the connection ends the body (RFC 9112 section 6.3). fasthttp would send chunks all
// the same. It takes the deadlines off a connection that it lets go; one with a method
// KeepTime is asked to bound its writes, and one with a method Abort to end so that
// half an archive does not look like one.
func (h *Handler) untilClose(ctx *fasthttp.RequestCtx, body *archiveBody) {
	ctx.Response.Header.SetContentLength(-2) // identity: fasthttp adds Connection: close
	ctx.Response.Header.SetConnectionClose()
	head := append([]byte(nil), ctx.Response.Header.Header()...)
	ctx.Response.SetBodyStream(body, -1) // for the access log, which counts what a stream has passed on
	ctx.HijackSetNoResponse(true)
	ctx.Hijack(func(conn net.Conn) {
		defer body.Close()
		if unwrapped, ok := conn.(interface{ UnsafeConn() net.Conn }); ok {
			conn = unwrapped.UnsafeConn()
		}
		if keeper, ok := conn.(interface{ KeepTime() }); ok {
			keeper.KeepTime()
		}
		if err := h.copyArchive(conn, head, body); err != nil {
			switch conn := conn.(type) {
			case interface{ Abort() }:
				conn.Abort()
			case interface{ SetLinger(sec int) error }:
				_ = conn.SetLinger(0) // at worst the connection ends politely
			}
		}
	})
}

// copyArchive writes head and body. A panic becomes an error: the goroutine is
// fasthttp's, which recovers nothing.
func (h *Handler) copyArchive(w io.Writer, head []byte, body io.Reader) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			h.opts.Logger.Error("static: send archive", "panic", cause, "stack", string(debug.Stack()))
			err = io.ErrUnexpectedEOF
		}
	}()
	if _, err := w.Write(head); err != nil {
		return err
	}
	_, err = io.Copy(w, body)
	return err
}
