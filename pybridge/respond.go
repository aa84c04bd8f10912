package pybridge

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/valyala/fasthttp"
)

// wholeBody is the largest body that is handed to fasthttp in one piece. It
// copies that once more, which costs less than a body stream does.
const wholeBody = 64 << 10

// respond turns what has come of the answer into ctx.Response. It gives up the
// handler's hold on x, at once or when the body stream ends.
func (x *exchange) respond(ctx *fasthttp.RequestCtx) error {
	x.mu.Lock()
	failure, complete := x.failure, x.last && x.file == nil
	if failure != nil || !x.hasHead {
		x.mu.Unlock()
		if failure == nil {
			failure = fmt.Errorf("%w: it ended without an answer", ErrApplication)
		}
		x.explain(failure)
		x.letGo()
		return failure
	}
	length, err := applyHead(&ctx.Response, x.head)
	if err == nil && complete && x.body.size() <= wholeBody {
		if len(x.body.memory) > 0 {
			ctx.Response.SetBody(x.body.memory)
		}
		x.mu.Unlock()
		x.letGo()
		return nil
	}
	if complete && length < 0 {
		length = int(x.body.size())
	}
	x.mu.Unlock()
	if err != nil {
		x.explain(err)
		(&stream{x: x}).Close() // the application is stopped; nobody will read its body
		return err
	}
	if status := ctx.Response.StatusCode(); ctx.IsHead() || status == fasthttp.StatusNoContent || status == fasthttp.StatusNotModified {
		// No body follows (RFC 9112 §6.3), and the worker process knows it. fasthttp
		// sends an empty line, that of a trailer section, even after the head of a
		// stream that it does not send, and the client would take it for an answer.
		return (&stream{x: x, done: true}).Close()
	}
	x.stream(ctx, length)
	return nil
}

// explain tells the log why a request gets no answer of the application, unless
// that has been told: the plain errors of this package come after their reason.
func (x *exchange) explain(failure error) {
	switch failure {
	case ErrApplication, ErrGone, ErrTimeout, ErrClientGone, ErrGivenBack:
		return
	}
	if x.lostBody() {
		return // the caller's Input has failed, and it knows why
	}
	x.worker.opts.Logger.Error("the answer of the application cannot be sent", "worker", x.worker.PID(), "request", string(x.request), "error", failure)
}

// stream leaves the rest of the body to a body stream of length bytes, or of
// unknown length if that is negative.
func (x *exchange) stream(ctx *fasthttp.RequestCtx, length int) {
	body := &stream{x: x}
	if length < 0 && !ctx.Request.Header.IsHTTP11() {
		// HTTP/1.0 knows no chunks: the end of the connection ends the body
		// (RFC 9112 §6.3). fasthttp would send chunks all the same.
		body.untilClose(ctx)
		return
	}
	ctx.Response.SetBodyStream(body, length)
}

// applyHead sets the status and the fields of a response from head, lines of
// "200 OK", name, value, name, value... It returns the Content-Length, or -1.
// wsgi.py has checked everything; what would confuse the framing of the
// response is checked again, since a worker process is not to be believed.
func applyHead(resp *fasthttp.Response, head []byte) (length int, err error) {
	line, rest, _ := bytes.Cut(head, []byte{'\n'})
	status, reason, ok := parseStatus(line)
	if !ok || hasControl(reason) {
		return -1, fmt.Errorf("%w: status line %q", ErrApplication, line)
	}
	resp.SetStatusCode(status)
	if string(reason) != fasthttp.StatusMessage(status) {
		resp.Header.SetStatusMessage(reason)
	}
	// The application's spelling of names is kept: ETag, not Etag.
	resp.Header.DisableNormalizing()
	resp.Header.SetNoDefaultContentType(true)
	length = -1
	for len(rest) > 0 {
		var name, value []byte
		name, rest, ok = bytes.Cut(rest, []byte{'\n'})
		if !ok || len(name) == 0 {
			return -1, fmt.Errorf("%w: field name without a value in %q", ErrApplication, head)
		}
		value, rest, _ = bytes.Cut(rest, []byte{'\n'})
		switch {
		case len(name) == len("Content-Length") && bytes.EqualFold(name, []byte("Content-Length")):
			n, err := strconv.ParseUint(string(value), 10, 62)
			if err != nil {
				return -1, fmt.Errorf("%w: Content-Length %q", ErrApplication, value)
			}
			length = int(n)
		case !isToken(name) || hasControl(value):
			// "Transfer-Encoding: chunked, X" would be a field of another name.
			return -1, fmt.Errorf("%w: field %q with value %q", ErrApplication, name, value)
		case isFraming(name):
			return -1, fmt.Errorf("%w: field %q is the server's affair", ErrApplication, name)
		default:
			resp.Header.AddBytesKV(name, value)
		}
	}
	if status == fasthttp.StatusNoContent {
		return length, nil // RFC 9110 §8.6: a 204 has no Content-Length
	}
	if length >= 0 {
		resp.Header.SetContentLength(length)
	}
	return length, nil
}

// isToken reports whether name is one of the field names of RFC 9110 §5.6.2.
func isToken(name []byte) bool {
	for _, c := range name {
		if !tokenBytes[c] {
			return false
		}
	}
	return len(name) > 0
}

// tokenBytes is tchar of RFC 9110 §5.6.2; nothing changes it.
var tokenBytes = func() (table [256]bool) {
	const tchar = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	for i := range len(tchar) {
		table[tchar[i]] = true
	}
	return table
}()

// hasControl reports whether value has a control character, which wsgi.py
// refuses, too (PEP 3333, The start_response() Callable).
func hasControl(value []byte) bool {
	for _, c := range value {
		if c < ' ' || c == 0x7f {
			return true
		}
	}
	return false
}

func parseStatus(line []byte) (status int, reason []byte, ok bool) {
	if len(line) < 4 || line[3] != ' ' {
		return 0, nil, false
	}
	for _, c := range line[:3] {
		if c < '0' || c > '9' {
			return 0, nil, false
		}
		status = status*10 + int(c-'0')
	}
	return status, line[4:], status >= 200
}

// isFraming reports whether a field decides where a message ends or what
// becomes of the connection.
func isFraming(name []byte) bool {
	switch len(name) {
	case len("Connection"):
		return bytes.EqualFold(name, []byte("Connection")) || bytes.EqualFold(name, []byte("Keep-Alive"))
	case len("Upgrade"):
		return bytes.EqualFold(name, []byte("Upgrade")) || bytes.EqualFold(name, []byte("Trailer"))
	case len("Transfer-Encoding"):
		return bytes.EqualFold(name, []byte("Transfer-Encoding"))
	}
	return false
}
