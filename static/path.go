package static

import (
	"bytes"
	"errors"
	"sync"

	"github.com/valyala/fasthttp"
)

// Reasons why a request target is malformed. Every one of them is answered with
// 400 and never reaches the document root or an application.
var (
	ErrTargetForm   = errors.New("static: request target has none of the forms of RFC 9112 section 3.2")
	ErrTargetEscape = errors.New("static: request target has a percent sign without two hexadecimal digits")
	ErrTargetNUL    = errors.New("static: request target contains a NUL")
	ErrTargetAbove  = errors.New("static: request target climbs above the root")
)

// Target is the target of one request, taken apart once (RFC 9112 section 3.2).
// Its slices point into the request: they are valid until the handler returns.
type Target struct {
	// Raw is the path as the client sent it, percent-encoded: what REQUEST_URI
	// and a redirect are made from. It is "*" for the asterisk form.
	Raw []byte
	// Path is Raw with every percent escape decoded exactly once. Empty
	// segments and dot segments are kept: they are the application's to judge.
	Path []byte
	// Query is what follows the first question mark, nil when there is none and
	// empty, not nil, when nothing follows it.
	Query []byte
	// Authority is the host of the absolute form (RFC 9112 section 3.2.2), which
	// overrides the Host field; nil for the other forms.
	Authority []byte
	// Err is nil, or the reason why the target is malformed. The other fields
	// then hold what was understood so far, for logs alone.
	Err error

	plain   bool   // Path may name a file: see scan
	decoded []byte // backing array of Path when it had escapes; kept by the pool
}

// targetKey is the key under which a request remembers its Target.
type targetKey struct{}

// targets recycles Target values between requests of every server in the
// process. It holds no state: a Target is wiped before it goes in.
var targets = sync.Pool{New: func() any { return new(Target) }}

// TargetOf returns the target of the request, parsed at the first call and
// remembered until the handler returns. It never returns nil and, from the second
// request of a connection on, allocates nothing.
//
// It works on the request line itself: fasthttp's own URI parser takes
// "//host/path" for a host, decodes "%2F" and removes dot segments, so that the
// gate, the files and the application could each see another path.
func TargetOf(ctx *fasthttp.RequestCtx) *Target {
	if t, ok := ctx.UserValue(targetKey{}).(*Target); ok {
		return t
	}
	t := targets.Get().(*Target)
	t.parse(ctx.Request.Header.RequestURI())
	ctx.SetUserValue(targetKey{}, t)
	return t
}

// Path returns the decoded path of the request: the one that the certificate
// gate, the files and PATH_INFO are all decided by. It is "*" for the asterisk
// form and nil when the target is malformed; TargetOf says why.
func Path(ctx *fasthttp.RequestCtx) []byte {
	t := TargetOf(ctx)
	if t.Err != nil {
		return nil
	}
	return t.Path
}

// Close gives t back to the pool. fasthttp calls it when the request ends, since t
// is a user value; nobody else does.
func (t *Target) Close() error {
	*t = Target{decoded: t.decoded[:0]}
	if cap(t.decoded) <= 64<<10 {
		targets.Put(t)
	}
	return nil
}

func (t *Target) parse(uri []byte) {
	switch {
	case len(uri) == 0:
		t.Err = ErrTargetForm
		return
	case uri[0] == '/':
	case len(uri) == 1 && uri[0] == '*':
		t.Raw, t.Path = uri, uri
		return
	default:
		if uri = t.cutAuthority(uri); uri == nil {
			t.Err = ErrTargetForm
			return
		}
	}
	if i := bytes.IndexByte(uri, '?'); i >= 0 {
		t.Query = uri[i+1 : len(uri) : len(uri)]
		uri = uri[:i]
	}
	if len(uri) == 0 {
		uri = rootPath // "http://host" and "http://host?query" mean the root
	}
	t.Raw, t.Path = uri, uri
	// A fragment is never sent (RFC 9110 section 7.1). nginx cuts it off, others
	// keep it: two readings of one path are how gates are got round.
	if bytes.IndexByte(uri, '#') >= 0 {
		t.Err = ErrTargetForm
		return
	}
	encodedSlash := false
	if i := bytes.IndexByte(uri, '%'); i >= 0 {
		if encodedSlash = t.decode(uri, i); t.Err != nil {
			return
		}
	}
	t.scan()
	t.plain = t.plain && !encodedSlash
}

// rootPath is the path of an absolute-form target without one. Nobody writes to it.
var rootPath = []byte("/")

// cutAuthority takes scheme and authority off an absolute-form target and returns
// the rest, or nil when uri is not of that form.
func (t *Target) cutAuthority(uri []byte) []byte {
	i := bytes.Index(uri, []byte("://"))
	if i < 0 || !(equalFold(uri[:i], "http") || equalFold(uri[:i], "https")) {
		return nil
	}
	rest := uri[i+3:]
	n := bytes.IndexAny(rest, "/?#")
	if n < 0 {
		n = len(rest)
	}
	if n == 0 {
		return nil
	}
	t.Authority = rest[:n:n]
	return rest[n:]
}

// decode sets Path to raw with its escapes decoded; first is the index of the
// first of them. It reports whether one of them was a slash.
func (t *Target) decode(raw []byte, first int) (encodedSlash bool) {
	dst := append(t.decoded[:0], raw[:first]...)
	for i := first; i < len(raw); i++ {
		c := raw[i]
		if c == '%' {
			if i+2 >= len(raw) {
				t.Err = ErrTargetEscape
				return false
			}
			hi, lo := unhex(raw[i+1]), unhex(raw[i+2])
			if hi > 15 || lo > 15 {
				t.Err = ErrTargetEscape
				return false
			}
			c = hi<<4 | lo
			i += 2
			encodedSlash = encodedSlash || c == '/'
		}
		dst = append(dst, c)
	}
	t.decoded, t.Path = dst, dst
	return encodedSlash
}

// scan decides from the decoded path whether it may name a file (plain) and
// whether it climbs above the root (Err). An encoded slash separates segments
// here, since an application decodes it too.
func (t *Target) scan() {
	p := t.Path
	if bytes.IndexByte(p, 0) >= 0 {
		t.Err = ErrTargetNUL
		return
	}
	if len(p) > 0 && p[0] == '/' {
		p = p[1:]
	}
	plain, depth, start := true, 0, 0
	for i := 0; i <= len(p); i++ {
		if i < len(p) {
			c := p[i]
			if c < 0x20 || c == '\\' || c == 0x7f {
				plain = false
			}
			if c != '/' {
				continue
			}
		}
		switch seg := p[start:i]; {
		case len(seg) == 0:
			// Only the root and a trailing slash have an empty segment.
			plain = plain && i == len(p)
		case len(seg) == 1 && seg[0] == '.':
			plain = false
		case len(seg) == 2 && seg[0] == '.' && seg[1] == '.':
			plain = false
			if depth--; depth < 0 {
				t.Err = ErrTargetAbove
				return
			}
		default:
			depth++
		}
		start = i + 1
	}
	t.plain = plain
}

// unhex returns the value of a hexadecimal digit, and 255 for any other byte.
func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}

// equalFold reports whether b is the ASCII word lower in any case.
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
