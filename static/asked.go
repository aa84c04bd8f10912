package static

import (
	"bytes"

	"github.com/valyala/fasthttp"
)

// asked is the set of fields that the answer for a file may depend on and that a
// request has. Looking for each by its name costs more than all the rest of a cached
// hit, and most requests have none, or one.
type asked uint8

const (
	askedCondition asked = 1 << iota // If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since, If-Range
	askedRange
	askedCoding // Accept-Encoding

	askedAll = askedCondition | askedRange | askedCoding
)

// askedOf looks through the header of a request once. It may report a field that is
// not there, but never misses one.
func askedOf(h *fasthttp.RequestHeader) (a asked) {
	raw := h.RawHeaders()
	if len(raw) == 0 {
		return askedAll // a request that did not come through fasthttp's parser
	}
	for {
		switch raw[0] | 0x20 {
		case 'i':
			if len(raw) > 3 && equalFold(raw[:3], "if-") {
				a |= askedCondition
			}
		case 'r':
			if len(raw) > 6 && equalFold(raw[:6], "range:") {
				a |= askedRange
			}
		case 'a':
			if len(raw) > 16 && equalFold(raw[:16], "accept-encoding:") {
				a |= askedCoding
			}
		}
		i := bytes.IndexByte(raw, '\n')
		if i < 0 || i+1 == len(raw) {
			return a
		}
		raw = raw[i+1:]
	}
}
