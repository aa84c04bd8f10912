package pybridge

import "bytes"

// field is one field line, or several of the same name.
type field struct {
	name, value []byte
	next        int // the next line of this name: its index + 1 in lines, or 0
	repeat      bool
}

// fieldList is the field section of a request as an application sees it. It
// points into the request, and is used again for the next one.
type fieldList struct {
	lines []field
}

// collect splits raw, the field lines of a request as received. They are
// well-formed: hygiene has refused everything else. It leaves out
//
//   - names with an underscore: they would stand under the same environ key as
//     names with a hyphen, which a proxy in front may have vouched for;
//   - Proxy, which would become HTTP_PROXY (httpoxy, CVE-2016-5385);
//   - Content-Length and Transfer-Encoding: the body has been received whole,
//     and its length is known better than the client said.
//
// host takes the place of the Host field's value: a target in absolute form
// overrides that (RFC 9112 §3.2.2).
//
// It works on the raw lines because fasthttp merges trailers into its parsed
// header once a chunked body has been read.
func (l *fieldList) collect(raw, host []byte) {
	l.lines = l.lines[:0]
	for len(raw) > 0 {
		line := raw
		if i := bytes.IndexByte(raw, '\n'); i >= 0 {
			line, raw = raw[:i], raw[i+1:]
		} else {
			raw = nil
		}
		colon := bytes.IndexByte(line, ':')
		if colon <= 0 || skipField(line[:colon]) {
			continue
		}
		f := field{name: line[:colon], value: trimField(line[colon+1:])}
		if len(f.name) == len("Host") && bytes.EqualFold(f.name, []byte("Host")) {
			f.value = host
		}
		f.repeat = l.link(f.name, len(l.lines))
		l.lines = append(l.lines, f)
	}
}

// link appends the line at index i to the earlier ones of its name. It reports
// whether there are any.
func (l *fieldList) link(name []byte, i int) bool {
	for j := range l.lines {
		f := &l.lines[j]
		if len(f.name) != len(name) || f.repeat || !bytes.EqualFold(f.name, name) {
			continue
		}
		for f.next != 0 {
			f = &l.lines[f.next-1]
		}
		f.next = i + 1
		return true
	}
	return false
}

// appendNames appends the name of each field once, NUL between them.
func (l *fieldList) appendNames(dst []byte) []byte {
	start := len(dst)
	for i := range l.lines {
		if l.lines[i].repeat {
			continue
		}
		if len(dst) > start {
			dst = append(dst, 0)
		}
		dst = append(dst, l.lines[i].name...)
	}
	return dst
}

// appendValues appends the values in the order of appendNames, with NUL in
// front of each. Lines of the same name become one value (RFC 9110 §5.3); the
// lines of Cookie are joined as RFC 9113 §8.2.3 says.
func (l *fieldList) appendValues(dst []byte) []byte {
	for i := range l.lines {
		f := &l.lines[i]
		if f.repeat {
			continue
		}
		dst = append(append(dst, 0), f.value...)
		separator := ", "
		if f.next != 0 && bytes.EqualFold(f.name, []byte("Cookie")) {
			separator = "; "
		}
		for f.next != 0 {
			f = &l.lines[f.next-1]
			dst = append(append(dst, separator...), f.value...)
		}
	}
	return dst
}

func skipField(name []byte) bool {
	switch len(name) {
	case len("Proxy"):
		if bytes.EqualFold(name, []byte("Proxy")) {
			return true
		}
	case len("Content-Length"):
		if bytes.EqualFold(name, []byte("Content-Length")) {
			return true
		}
	case len("Transfer-Encoding"):
		if bytes.EqualFold(name, []byte("Transfer-Encoding")) {
			return true
		}
	}
	return bytes.IndexByte(name, '_') >= 0
}

func trimField(value []byte) []byte {
	for len(value) > 0 && (value[0] == ' ' || value[0] == '\t') {
		value = value[1:]
	}
	for len(value) > 0 {
		switch value[len(value)-1] {
		case ' ', '\t', '\r':
			value = value[:len(value)-1]
			continue
		}
		break
	}
	return value
}
