package static

import (
	"bytes"
	"strings"

	"github.com/valyala/fasthttp"
)

// Field is a response field that every answer of a Handler carries.
type Field struct{ Name, Value string }

// ownFields are those that a Handler or fasthttp decides for each response.
var ownFields = map[string]bool{
	"accept-ranges": true, "allow": true, "connection": true, "content-encoding": true, "content-length": true,
	"content-range": true, "content-type": true, "date": true, "etag": true, "last-modified": true, "location": true,
	"trailer": true, "transfer-encoding": true, "upgrade": true, "vary": true,
}

// responseFields are the fields of Options.Headers and CORS, ready to be set.
type responseFields struct {
	names, values [][]byte
	origins       map[string]bool // nil when CORS is off
	anyOrigin     bool
}

func newResponseFields(o *Options) (*responseFields, error) {
	r := &responseFields{}
	for _, f := range o.Headers {
		switch {
		case !validFieldName(f.Name):
			return nil, optionError("Headers", "%q is not the name of a field", f.Name)
		case !validFieldValue(f.Value):
			return nil, optionError("Headers", "%s: got the value %q, want one without control characters", f.Name, f.Value)
		case ownFields[strings.ToLower(f.Name)]:
			return nil, optionError("Headers", "%s is set by overlay for each response", f.Name)
		}
		r.names, r.values = append(r.names, []byte(f.Name)), append(r.values, []byte(f.Value))
	}
	for _, origin := range o.CORS {
		if r.origins == nil {
			r.origins = make(map[string]bool)
		}
		scheme, rest, ok := strings.Cut(origin, "://")
		switch {
		case origin == "*":
			r.anyOrigin = true
		case origin == "null" || !ok || scheme == "" || rest == "" || strings.ContainsAny(rest, "/?# ") || !validFieldValue(origin):
			return nil, optionError("CORS", "got %q, want * or an origin: scheme, host and perhaps a port", origin)
		default:
			r.origins[strings.ToLower(origin)] = true
		}
	}
	return r, nil
}

func validFieldName(s string) bool {
	for _, c := range []byte(s) {
		if !('a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0) {
			return false
		}
	}
	return s != ""
}

func validFieldValue(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 && r != '\t' || r == 0x7f })
}

// common is called once for every answer that is given here, whatever its status.
func (h *Handler) common(ctx *fasthttp.RequestCtx) {
	h.leaveBody(ctx)
	for i, name := range h.extra.names {
		ctx.Response.Header.SetBytesKV(name, h.extra.values[i])
	}
	if h.extra.origins != nil {
		h.cors(ctx)
	}
}

// cors lets the scripts of other origins read the answer (Fetch standard, section
// "CORS protocol"). Credentials are never allowed: files do not depend on them.
func (h *Handler) cors(ctx *fasthttp.RequestCtx) {
	header := &ctx.Response.Header
	if h.extra.anyOrigin {
		header.Set("Access-Control-Allow-Origin", "*")
	} else {
		h.addVary(ctx, "Origin")
		origin := ctx.Request.Header.Peek("Origin")
		if !h.extra.origins[strings.ToLower(string(origin))] {
			return
		}
		header.SetBytesV("Access-Control-Allow-Origin", origin)
	}
	header.Set("Access-Control-Expose-Headers", "Accept-Ranges, Content-Encoding, Content-Length, Content-Range, ETag")
}

// preflight adds what a browser asks before a request of another origin that is not
// simple. It reports whether the request was such a question.
func (h *Handler) preflight(ctx *fasthttp.RequestCtx) bool {
	if h.extra.origins == nil || ctx.Request.Header.Peek("Access-Control-Request-Method") == nil {
		return false
	}
	header := &ctx.Response.Header
	header.Set("Access-Control-Allow-Methods", allow)
	header.Set("Access-Control-Max-Age", "86400")
	if asked := ctx.Request.Header.Peek("Access-Control-Request-Headers"); asked != nil && validFieldValue(string(asked)) {
		header.SetBytesV("Access-Control-Allow-Headers", asked)
	}
	return true
}

// addVary adds a field name to Vary, unless it is there. An application may have set
// the field, too, and more than once.
func (h *Handler) addVary(ctx *fasthttp.RequestCtx, name string) {
	header := &ctx.Response.Header
	all := header.PeekAll("Vary")
	for _, rest := range all {
		for more := true; more; {
			var element []byte
			element, rest, more = cutComma(rest)
			if element = trimOWS(element); string(element) == "*" || strings.EqualFold(string(element), name) {
				return
			}
		}
	}
	if len(all) > 0 {
		name = string(bytes.Join(all, []byte(", "))) + ", " + name
	}
	if len(all) > 1 {
		header.Del("Vary") // Set replaces the first of them alone
	}
	header.Set("Vary", name)
}
