package main

import (
	"bytes"
)

// maxFields is how many field lines a request may have, dropped ones included.
const maxFields = 100

// fieldSummary is what scanFields learns of a field block: the fields that decide
// where the request ends, and whom and what it is for.
type fieldSummary struct {
	host          int // number of Host lines, as for the next four
	length        int // Content-Length
	coding        int // Transfer-Encoding
	contentType   int
	expect        int
	lengthValue   []byte
	codingValue   []byte
	expectValue   []byte
	close         bool // an option of Connection
	keepAlive     bool // an option of Connection
	dropUnderline bool // some name has an underscore
	dropProxy     bool // there is a Proxy field
}

// Classes of bytes in a field name. A byte in none of them is no part of a token.
const (
	classToken     = 1 << iota // RFC 9110 section 5.6.2, but for the underscore
	classUnderline             // a token byte too, yet one that names a different environ key's spelling
	classColon
)

var nameClass = func() (class [256]uint8) {
	for c := '0'; c <= '9'; c++ {
		class[c] = classToken
	}
	for c := 'a'; c <= 'z'; c++ {
		class[c], class[c-'a'+'A'] = classToken, classToken
	}
	for _, c := range "!#$%&'*+-.^`|~" {
		class[c] = classToken
	}
	class['_'] = classUnderline
	class[':'] = classColon
	return class
}()

// scanFields walks once over block, the field lines of a request as received, the
// closing empty line included, and fills s. It allocates nothing; s points into block.
//
// It checks the form of lines and names. The bytes of values were checked by
// fasthttp, which refuses every control character but the tab; the raw-socket
// tests hold it to that.
func scanFields(block []byte, s *fieldSummary) refusal {
	for count := 0; len(block) > 0; count++ {
		end := bytes.IndexByte(block, '\n')
		// A bare LF is a line end for some and part of a value for others
		// (RFC 9112 section 2.2): nobody may be led to disagree about it.
		if end < 1 || block[end-1] != '\r' {
			return refusedBareLineFeed
		}
		line := block[:end-1]
		block = block[end+1:]
		if len(line) == 0 {
			return accepted
		}
		if count == maxFields {
			return refusedFieldCount
		}
		if line[0] == ' ' || line[0] == '\t' {
			return refusedFolding // RFC 9112 section 5.2
		}
		var seen, class uint8
		colon := 0
		for ; colon < len(line); colon++ {
			if class = nameClass[line[colon]]; class == classColon {
				break
			}
			if class == 0 {
				return refusedName // white space before the colon among others
			}
			seen |= class
		}
		if colon == 0 || colon == len(line) {
			return refusedName
		}
		if seen&classUnderline != 0 {
			s.dropUnderline = true
			continue
		}
		s.note(line[:colon], line[colon+1:])
	}
	return accepted
}

// note takes down the field if it is one of those that matter here.
func (s *fieldSummary) note(name, value []byte) {
	switch len(name) {
	case len("host"):
		if equalFold(name, "host") {
			s.host++
		}
	case len("proxy"):
		if equalFold(name, "proxy") {
			s.dropProxy = true
		}
	case len("expect"):
		if equalFold(name, "expect") {
			s.expect++
			s.expectValue = trimSpace(value)
		}
	case len("connection"):
		if equalFold(name, "connection") {
			s.noteConnection(value)
		}
	case len("content-type"):
		if equalFold(name, "content-type") {
			s.contentType++
		}
	case len("content-length"):
		if equalFold(name, "content-length") {
			s.length++
			s.lengthValue = trimSpace(value)
		}
	case len("transfer-encoding"):
		if equalFold(name, "transfer-encoding") {
			s.coding++
			s.codingValue = trimSpace(value)
		}
	}
}

// noteConnection reads one Connection line (RFC 9110 section 7.6.1). fasthttp
// knows "close" in lower case and alone only, and lets a later line undo it.
func (s *fieldSummary) noteConnection(value []byte) {
	for len(value) > 0 {
		option := value
		if i := bytes.IndexByte(value, ','); i >= 0 {
			option, value = value[:i], value[i+1:]
		} else {
			value = nil
		}
		option = trimSpace(option)
		switch {
		case equalFold(option, "close"):
			s.close = true
		case equalFold(option, "keep-alive"):
			s.keepAlive = true
		}
	}
}

// checkFraming judges the fields that say where the body ends (RFC 9112 section
// 6): whatever two implementations could read differently is refused.
func (s *fieldSummary) checkFraming(http11 bool) refusal {
	if s.coding > 0 {
		switch {
		case s.length > 0:
			return refusedLengthWithCoding
		case s.coding > 1:
			return refusedCodingRepeated
		case !http11:
			return refusedCodingVersion
		case !equalFold(s.codingValue, "chunked"):
			return refusedCodingUnknown
		}
	}
	if s.length > 1 {
		return refusedLengthRepeated
	}
	return accepted
}

// parseLength returns the value of a Content-Length field: digits and nothing
// else (RFC 9110 section 8.6), within an int64.
func parseLength(value []byte) (n int64, ok bool) {
	if len(value) == 0 || len(value) > 18 {
		return 0, false
	}
	for _, c := range value {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
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

// trimSpace cuts optional white space, which is spaces and tabs (RFC 9110 section
// 5.6.3), from both ends.
func trimSpace(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}
