package main

import (
	"bytes"
	"net/netip"

	"github.com/valyala/fasthttp"
)

// maxTarget is the longest request target in bytes. RFC 9112 section 3 asks for
// 8000 at least; the whole head must fit into maxHead.
const maxTarget = 8 << 10

// targetForm is one of the forms of RFC 9112 section 3.2 that overlay answers to.
type targetForm uint8

const (
	originForm   targetForm = iota // "/path?query"
	absoluteForm                   // "http://host/path?query"
	asteriskForm                   // "*", for OPTIONS alone
)

// checkTarget judges the bytes and the form of a request target. Whether its
// percent escapes decode to a path is for static.TargetOf to say, so that one
// piece of code alone decodes paths.
func checkTarget(target, method []byte) (targetForm, refusal) {
	if len(target) > maxTarget {
		return 0, refusedTargetLength
	}
	for _, c := range target {
		if c <= ' ' || c >= 0x7f {
			return 0, refusedTargetByte
		}
		if c == '#' {
			return 0, refusedTargetFragment
		}
	}
	switch {
	case len(target) == 0:
		return 0, refusedTargetForm
	case target[0] == '/':
		return originForm, accepted
	case len(target) == 1 && target[0] == '*':
		if string(method) != fasthttp.MethodOptions {
			return 0, refusedTargetForm
		}
		return asteriskForm, accepted
	}
	authority, _, ok := splitAbsolute(target)
	if !ok {
		return 0, refusedTargetForm
	}
	if !validHost(authority) {
		return 0, refusedHostSyntax
	}
	return absoluteForm, accepted
}

// splitAbsolute takes a target in absolute form apart. rest starts with "/" or
// "?", or is empty.
func splitAbsolute(target []byte) (authority, rest []byte, ok bool) {
	i := bytes.Index(target, []byte("://"))
	if i < 0 {
		return nil, nil, false
	}
	if scheme := target[:i]; !equalFold(scheme, "http") && !equalFold(scheme, "https") {
		return nil, nil, false
	}
	rest = target[i+len("://"):]
	end := bytes.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	return rest[:end], rest[end:], true
}

// rewriteAbsolute gives h the origin form of its target and puts the authority of
// the target in place of Host (RFC 9112 section 3.2.2). From here on there is one
// host, Header.Host(), whatever the field said: what is made for the application
// must take it from there.
func rewriteAbsolute(h *fasthttp.RequestHeader) {
	authority, rest, _ := splitAbsolute(h.RequestURI())
	h.SetHostBytes(authority)
	switch {
	case len(rest) > 0 && rest[0] == '/':
		h.SetRequestURIBytes(rest) // moves within one array; append copes
	case len(rest) == 0 && string(h.Method()) == fasthttp.MethodOptions:
		h.SetRequestURI("*") // RFC 9112 section 3.2.4
	default:
		h.SetRequestURIBytes(append([]byte{'/'}, rest...))
	}
}

// hostByte tells the bytes of a registered name or an IPv4 address (RFC 3986
// section 3.2.2). The comma is left out: it is what a careless intermediary joins
// two Host fields with.
var hostByte = func() (ok [256]bool) {
	for c, class := range nameClass {
		ok[c] = class == classToken
	}
	for _, c := range "#^`|" { // token bytes that no host may have
		ok[c] = false
	}
	for _, c := range "_();=" {
		ok[c] = true
	}
	return ok
}()

// validHost reports whether host is uri-host [":" port] with a host that is not
// empty and no user information (RFC 9110 section 4.2).
func validHost(host []byte) bool {
	if len(host) == 0 {
		return false
	}
	if host[0] == '[' {
		return validBracketHost(host)
	}
	for i, c := range host {
		if c == ':' {
			return i > 0 && validPort(host[i+1:])
		}
		if !hostByte[c] {
			return false
		}
	}
	return true
}

// validBracketHost judges "[IPv6 address]" with or without a port. A zone or a
// future kind of address has no place in a Host field.
func validBracketHost(host []byte) bool {
	end := bytes.IndexByte(host, ']')
	if end < 0 {
		return false
	}
	address, err := netip.ParseAddr(string(host[1:end]))
	if err != nil || !address.Is6() || address.Zone() != "" {
		return false
	}
	rest := host[end+1:]
	return len(rest) == 0 || rest[0] == ':' && validPort(rest[1:])
}

// validPort reports whether port is a number up to 65535. The grammar lets it be
// empty ("example.org:").
func validPort(port []byte) bool {
	n := 0
	for _, c := range port {
		if c < '0' || c > '9' {
			return false
		}
		if n = n*10 + int(c-'0'); n > 65535 {
			return false
		}
	}
	return true
}
