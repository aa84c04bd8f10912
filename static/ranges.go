package static

import (
	"math"
	"slices"
	"strconv"
)

// maxRanges bounds the parts of one response. Browsers ask for one, PDF readers for
// a dozen; a request for more is answered whole, as RFC 9110 section 14.2 allows.
const maxRanges = 32

// byteRange is length bytes from start. Neither is negative, and length is not 0.
type byteRange struct{ start, length int64 }

type rangeResult int

const (
	rangeIgnored       rangeResult = iota // answer 200 with the whole representation
	rangeSatisfiable                      // answer 206
	rangeUnsatisfiable                    // answer 416
)

// parseRange reads a Range field value for a representation of size bytes (RFC 9110
// section 14.1.2) and appends the satisfiable ranges to dst, in the order asked.
//
// A unit other than bytes, a syntax error, more than maxRanges ranges, and ranges
// that together are longer than the representation (which can only be an attack or
// a mistake) are ignored. So is any range of an empty representation: 416 would tell
// a client that resumes a download that it is broken.
func parseRange(dst []byteRange, value []byte, size int64) ([]byteRange, rangeResult) {
	const unit = "bytes="
	if len(value) <= len(unit) || !equalFold(value[:len(unit)], unit) || size == 0 {
		return dst, rangeIgnored
	}
	out, count, total := dst, 0, int64(0)
	for rest, more := value[len(unit):], true; more; {
		var spec []byte
		spec, rest, more = cutComma(rest)
		if spec = trimOWS(spec); len(spec) == 0 {
			continue // an empty list element counts for nothing (RFC 9110 section 5.6.1.2)
		}
		if count++; count > maxRanges {
			return dst, rangeIgnored
		}
		r, ok := parseRangeSpec(spec, size)
		if !ok {
			return dst, rangeIgnored
		}
		if r.length == 0 {
			continue
		}
		if total += r.length; total > size {
			return dst, rangeIgnored
		}
		out = append(out, r)
	}
	switch {
	case count == 0:
		return dst, rangeIgnored
	case len(out) == len(dst):
		return dst, rangeUnsatisfiable
	}
	return out, rangeSatisfiable
}

// parseRangeSpec reads "first-last", "first-" or "-suffix". A length of 0 means that
// it is valid and not satisfiable.
func parseRangeSpec(spec []byte, size int64) (byteRange, bool) {
	dash := slices.Index(spec, '-')
	if dash < 0 {
		return byteRange{}, false
	}
	first, last := spec[:dash], spec[dash+1:]
	if len(first) == 0 {
		n, ok := parseDigits(last)
		if !ok {
			return byteRange{}, false
		}
		n = min(n, size)
		return byteRange{size - n, n}, true
	}
	start, ok := parseDigits(first)
	if !ok {
		return byteRange{}, false
	}
	end := int64(math.MaxInt64)
	if len(last) > 0 {
		if end, ok = parseDigits(last); !ok || end < start {
			return byteRange{}, false
		}
	}
	if start >= size {
		return byteRange{}, true
	}
	return byteRange{start, min(end, size-1) - start + 1}, true
}

// parseDigits reads 1*DIGIT. What does not fit is taken for the largest number, as
// positions past the end of any file are all alike.
func parseDigits(b []byte) (int64, bool) {
	if len(b) == 0 {
		return 0, false
	}
	var n int64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		if n > (math.MaxInt64-9)/10 {
			n = math.MaxInt64
			continue
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// appendContentRange appends the value of a Content-Range field (RFC 9110 section 14.4).
func (r byteRange) appendContentRange(dst []byte, size int64) []byte {
	dst = append(dst, "bytes "...)
	dst = strconv.AppendInt(dst, r.start, 10)
	dst = append(dst, '-')
	dst = strconv.AppendInt(dst, r.start+r.length-1, 10)
	dst = append(dst, '/')
	return strconv.AppendInt(dst, size, 10)
}

// cutComma splits a list at its first comma. It must not be used where an element
// may hold a quoted string.
func cutComma(list []byte) (element, rest []byte, more bool) {
	if i := slices.Index(list, ','); i >= 0 {
		return list[:i], list[i+1:], true
	}
	return list, nil, false
}

// trimOWS removes optional white space (RFC 9110 section 5.6.3) from both ends.
func trimOWS(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// appendUnsatisfied appends the value of Content-Range in a 416 response.
func appendUnsatisfied(dst []byte, size int64) []byte {
	return strconv.AppendInt(append(dst, "bytes */"...), size, 10)
}
