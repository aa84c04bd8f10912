package static

import (
	"bytes"
	"time"

	"github.com/valyala/fasthttp"
)

// validators are what a precondition is held against: those of the representation
// that is selected for the request.
type validators struct {
	etag     []byte    // strong, with its quotes
	also     []byte    // another tag under which the same content was handed out, or nil
	modified time.Time // whole seconds
	field    []byte    // modified as it stands in Last-Modified
	coded    bool      // the representation has a content coding
}

type verdict int

const (
	verdictSend        verdict = iota // all preconditions hold: 200 or 206
	verdictNotModified                // 304
	verdictFailed                     // 412
)

// evaluate takes the preconditions of a GET or HEAD request in the order of RFC 9110
// section 13.2.2, steps 1 to 4. Step 5, If-Range, belongs to the range alone. For
// verdictNotModified it also returns the tag that the client holds.
func (v *validators) evaluate(h *fasthttp.RequestHeader) (verdict, []byte) {
	switch {
	case h.Peek("If-Match") != nil:
		if tag := matchETag(h.PeekAll("If-Match"), false, v.etag, nil); tag == nil {
			return verdictFailed, nil
		}
	default:
		if since := h.Peek("If-Unmodified-Since"); since != nil && !bytes.Equal(since, v.field) {
			if t, ok := parseHTTPDate(since); ok && v.modified.After(t) {
				return verdictFailed, nil
			}
		}
	}
	if h.Peek("If-None-Match") != nil {
		if tag := matchETag(h.PeekAll("If-None-Match"), true, v.etag, v.also); tag != nil {
			return verdictNotModified, tag
		}
		return verdictSend, nil // If-Modified-Since is void beside it
	}
	if since := h.Peek("If-Modified-Since"); since != nil {
		if bytes.Equal(since, v.field) {
			return verdictNotModified, v.etag
		}
		if t, ok := parseHTTPDate(since); ok && !v.modified.After(t) {
			return verdictNotModified, v.etag
		}
	}
	return verdictSend, nil
}

// rangeHolds reports whether the If-Range field value lets a Range field be heeded
// (RFC 9110 section 13.1.5). now is the Date of the response.
func (v *validators) rangeHolds(ifRange []byte, now time.Time) bool {
	if len(ifRange) == 0 {
		return true
	}
	if ifRange[0] == '"' {
		return bytes.Equal(ifRange, v.etag)
	}
	// A weak tag never holds: W/"x" does not parse as a date either. A date is a
	// strong validator only if nothing can have changed within its second (section
	// 8.8.2.2), and says nothing about which of two encoders made a coded form.
	t, ok := parseHTTPDate(ifRange)
	return ok && !v.coded && t.Equal(v.modified) && now.Sub(v.modified) > time.Second
}

// matchETag looks in the values of an If-Match or If-None-Match field (RFC 9110
// section 13.1) for tag or also, and returns the one it found. A lone "*" finds tag.
// weak asks for the weak comparison, which ignores "W/". After a syntax error the
// rest of that value counts for nothing.
func matchETag(values [][]byte, weak bool, tag, also []byte) []byte {
	for _, value := range values {
		if rest := trimOWS(value); len(rest) == 1 && rest[0] == '*' {
			return tag
		}
		for rest := value; ; {
			var t []byte
			var isWeak, ok bool
			if t, isWeak, rest, ok = nextETag(rest); !ok {
				break
			}
			switch {
			case isWeak && !weak:
			case bytes.Equal(t, tag):
				return tag
			case also != nil && bytes.Equal(t, also):
				return also
			}
		}
	}
	return nil
}

// nextETag reads one entity tag off a list, with the commas and spaces before it.
func nextETag(b []byte) (tag []byte, weak bool, rest []byte, ok bool) {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t' || b[0] == ',') {
		b = b[1:]
	}
	if len(b) > 2 && b[0] == 'W' && b[1] == '/' {
		weak, b = true, b[2:]
	}
	if len(b) < 2 || b[0] != '"' {
		return nil, false, nil, false
	}
	end := bytes.IndexByte(b[1:], '"')
	if end < 0 {
		return nil, false, nil, false
	}
	tag, rest = b[:end+2], b[end+2:]
	for _, c := range tag[1 : len(tag)-1] {
		if c <= 0x20 || c == 0x7f {
			return nil, false, nil, false
		}
	}
	if rest = trimOWS(rest); len(rest) > 0 && rest[0] != ',' {
		return nil, false, nil, false
	}
	return tag, weak, rest, true
}
