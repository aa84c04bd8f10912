package eventloop

import (
	"bytes"
	"encoding/binary"
)

// Bounds of what goes into a key. A longer request is not looked up.
const (
	maxTarget = 512
	maxValue  = 256
	maxFields = 64
)

// Head is what a request that may be looked up says: all that its answer may depend
// on. Its slices point into the bytes that it was read from.
type Head struct {
	Method          byte // 'G' for GET, 'H' for HEAD
	Target          []byte
	Host            []byte
	Accept          []byte // nil when there is no such field, as for the next three
	AcceptEncoding  []byte
	IfNoneMatch     []byte
	IfModifiedSince []byte
}

// Parse reads the head of one request from the start of b, and returns its length.
// It returns 0 for everything that is not complete, not plain, or has a meaning that
// is not known here: that is for the server to judge. What it does accept, every reader
// of HTTP understands in the same way.
func (h *Head) Parse(b []byte) (length int) {
	*h = Head{}
	rest := b
	switch {
	case bytes.HasPrefix(rest, []byte("GET /")):
		h.Method, rest = 'G', rest[len("GET "):]
	case bytes.HasPrefix(rest, []byte("HEAD /")):
		h.Method, rest = 'H', rest[len("HEAD "):]
	default:
		return 0
	}
	n := 0
	for n < len(rest) && targetByte[rest[n]] {
		n++
	}
	h.Target = rest[:n]
	if rest = rest[n:]; n > maxTarget || !bytes.HasPrefix(rest, []byte(" HTTP/1.1\r\n")) {
		return 0
	}
	rest = rest[len(" HTTP/1.1\r\n"):]
	var seen fields
	for range maxFields {
		end := bytes.IndexByte(rest, '\n')
		if end < 1 || rest[end-1] != '\r' {
			return 0
		}
		line := rest[:end-1]
		rest = rest[end+1:]
		if len(line) == 0 {
			if len(h.Host) == 0 {
				return 0
			}
			return len(b) - len(rest)
		}
		if !printable(line) || !h.field(line, &seen) {
			return 0
		}
	}
	return 0
}

// fields is the set of fields seen that may come once only.
type fields uint8

const (
	seenHost fields = 1 << iota
	seenConnection
	seenAccept
	seenAcceptEncoding
	seenIfNoneMatch
	seenIfModifiedSince
)

// field takes in one field line without its line end, and reports whether the
// request may be looked up as far as that line is concerned.
func (h *Head) field(line []byte, seen *fields) bool {
	colon := bytes.IndexByte(line, ':')
	if colon < 1 {
		return false
	}
	name, value := line[:colon], bytes.Trim(line[colon+1:], " ")
	var bit fields
	switch len(name) {
	case len("host"):
		switch {
		case equalFold(name, "host"):
			bit, h.Host = seenHost, value
		default:
			return ignored(name)
		}
	case len("accept"):
		if !equalFold(name, "accept") {
			return ignored(name)
		}
		bit, h.Accept = seenAccept, value
	case len("connection"):
		if !equalFold(name, "connection") {
			return ignored(name)
		}
		if !equalFold(value, "keep-alive") {
			return false
		}
		bit = seenConnection
	case len("if-none-match"):
		if !equalFold(name, "if-none-match") {
			return ignored(name)
		}
		bit, h.IfNoneMatch = seenIfNoneMatch, value
	case len("accept-encoding"):
		switch {
		case equalFold(name, "accept-encoding"):
			bit, h.AcceptEncoding = seenAcceptEncoding, value
		default:
			return ignored(name)
		}
	case len("if-modified-since"):
		if !equalFold(name, "if-modified-since") {
			return ignored(name)
		}
		bit, h.IfModifiedSince = seenIfModifiedSince, value
	default:
		return ignored(name)
	}
	if *seen&bit != 0 || len(value) == 0 || len(value) > maxValue {
		return false
	}
	*seen |= bit
	return true
}

// ignoredNames are fields that no answer that is kept depends on. Those of a prefix in
// ignoredPrefixes are ignored, too. Any other field sends its request to the server.
var ignoredNames = func() (byLength [32][]string) {
	for _, name := range []string{
		"accept-language", "authorization", "cache-control", "cookie", "dnt", "from", "pragma", "priority", "referer",
		"save-data", "traceparent", "tracestate", "upgrade-insecure-requests", "user-agent", "via", "forwarded",
	} {
		byLength[len(name)] = append(byLength[len(name)], name)
	}
	return byLength
}()

var ignoredPrefixes = []string{"sec-", "x-"}

func ignored(name []byte) bool {
	if len(name) < len(ignoredNames) {
		for _, known := range ignoredNames[len(name)] {
			if equalFold(name, known) {
				return true
			}
		}
	}
	for _, prefix := range ignoredPrefixes {
		if len(name) > len(prefix) && equalFold(name[:len(prefix)], prefix) {
			for _, c := range name {
				if !('a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || c == '-') {
					return false
				}
			}
			return true
		}
	}
	return false
}

// appendKey appends what the answer may depend on. kind is Options.Kind's of Accept. NUL cannot
// occur in any other part.
func (h *Head) appendKey(key []byte, kind byte) []byte {
	key = append(append(key, h.Method, kind), h.Target...)
	key = append(append(key, 0), h.AcceptEncoding...)
	key = append(append(key, 0), h.IfNoneMatch...)
	return append(append(key, 0), h.IfModifiedSince...)
}

// targetByte tells the bytes of a target that stand for themselves: those of an
// absolute path (RFC 3986 section 3.3) but for "%", which starts an escape.
var targetByte = func() (set [256]bool) {
	for c := range set {
		set[c] = 'a' <= c|0x20 && c|0x20 <= 'z' && c < 0x80 || '0' <= c && c <= '9'
	}
	for _, c := range "/-._~!$&'()*+,;=:@" {
		set[c] = true
	}
	return set
}()

// printable reports whether b consists of ASCII without control characters. It looks
// at eight bytes at a time: the fields of a browser are half a kilobyte.
func printable(b []byte) bool {
	for ; len(b) >= 8; b = b[8:] {
		x := binary.LittleEndian.Uint64(b)
		below := x - 0x20*ones // a byte below the space borrows, and gets its high bit
		if (x|below)&high != 0 || hasZero(x^0x7f*ones) {
			return false
		}
	}
	for _, c := range b {
		if c < 0x20 || c >= 0x7f {
			return false
		}
	}
	return true
}

// Words whose bytes are all 0x01, and all 0x80.
const ones, high = 0x0101010101010101, 0x8080808080808080

// hasZero reports whether a byte of x is 0.
func hasZero(x uint64) bool {
	return (x-ones)&^x&high != 0
}

// equalFold reports whether b is lower, which is ASCII in lower case, in any case.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
