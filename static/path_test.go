package static

import (
	"bytes"
	"errors"
	"testing"

	"github.com/valyala/fasthttp"
)

func TestTarget(t *testing.T) {
	for _, tt := range []struct {
		name, uri string
		path      string
		plain     bool
		err       error
	}{
		{"root", "/", "/", true, nil},
		{"file", "/a/b.txt", "/a/b.txt", true, nil},
		{"directory", "/a/", "/a/", true, nil},
		{"query is not the path", "/a?x=/../..", "/a", true, nil},
		{"escape", "/a%20b", "/a b", true, nil},
		{"escapes are decoded once", "/a%2520b", "/a%20b", true, nil},
		{"non-ASCII letters", "/%c3%a9t%C3%A9", "/été", true, nil},
		{"raw non-ASCII bytes", "/\xc3\xa9", "/é", true, nil},
		{"overlong UTF-8 is only bytes", "/..%c0%af..%c0%afetc", "/..\xc0\xaf..\xc0\xafetc", true, nil},
		{"trailing dots are part of the name", "/a.txt...", "/a.txt...", true, nil},
		{"three dots are a name", "/.../a", "/.../a", true, nil},
		{"semicolon is part of the name", "/a;b=c", "/a;b=c", true, nil},
		{"encoded question mark and hash", "/a%3Fb%23c", "/a?b#c", true, nil},
		{"empty segment", "//a", "//a", false, nil},
		{"empty segment inside", "/a//b", "/a//b", false, nil},
		{"two trailing slashes", "/a//", "/a//", false, nil},
		{"host-like path stays a path", "//evil.example/x", "//evil.example/x", false, nil},
		{"dot segment", "/./a", "/./a", false, nil},
		{"dot segment at the end", "/a/.", "/a/.", false, nil},
		{"dot dot inside the root", "/a/../b", "/a/../b", false, nil},
		{"encoded dot dot inside the root", "/a/%2e%2E/b", "/a/../b", false, nil},
		{"encoded slash", "/a%2fb", "/a/b", false, nil},
		{"encoded slash, capital", "/a%2Fb", "/a/b", false, nil},
		{"back slash", `/a\b`, `/a\b`, false, nil},
		{"encoded back slash", "/a%5Cb", `/a\b`, false, nil},
		{"encoded line feed", "/a%0ab", "/a\nb", false, nil},
		{"encoded delete", "/a%7f", "/a\x7f", false, nil},
		{"asterisk", "*", "*", false, nil},
		{"absolute form", "http://host/a%20b?q", "/a b", true, nil},
		{"absolute form without a path", "http://host", "/", true, nil},
		{"absolute form with a query only", "HTTPS://host?q", "/", true, nil},
		{"dot dot above the root", "/..", "", false, ErrTargetAbove},
		{"dot dot above the root, later", "/a/../../b", "", false, ErrTargetAbove},
		{"encoded dot dot above the root", "/%2e%2e/etc/passwd", "", false, ErrTargetAbove},
		{"encoded slashes above the root", "/..%2f..%2fetc", "", false, ErrTargetAbove},
		{"empty segments do not add depth", "///../..", "", false, ErrTargetAbove},
		{"encoded NUL", "/a%00.txt", "", false, ErrTargetNUL},
		{"percent at the end", "/a%", "", false, ErrTargetEscape},
		{"one digit", "/a%2", "", false, ErrTargetEscape},
		{"no digits", "/a%zz", "", false, ErrTargetEscape},
		{"fragment", "/a#b", "", false, ErrTargetForm},
		{"absolute form of another scheme", "ftp://host/a", "", false, ErrTargetForm},
		{"absolute form without a host", "http:///a", "", false, ErrTargetForm},
		{"authority form", "host:443", "", false, ErrTargetForm},
		{"empty", "", "", false, ErrTargetForm},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got Target
			got.parse([]byte(tt.uri))
			if !errors.Is(got.Err, tt.err) {
				t.Fatalf("parse(%q) error = %v, want %v", tt.uri, got.Err, tt.err)
			}
			if tt.err != nil {
				return
			}
			if string(got.Path) != tt.path || got.plain != tt.plain {
				t.Errorf("parse(%q) = %q, plain %t, want %q, plain %t", tt.uri, got.Path, got.plain, tt.path, tt.plain)
			}
		})
	}
}

func TestTargetParts(t *testing.T) {
	var got Target
	got.parse([]byte("http://u@host:80/a%2525?b?c"))
	if string(got.Authority) != "u@host:80" || string(got.Raw) != "/a%2525" || string(got.Query) != "b?c" {
		t.Errorf("parts = %q %q %q", got.Authority, got.Raw, got.Query)
	}
	var none, empty Target
	none.parse([]byte("/a"))
	empty.parse([]byte("/a?"))
	if none.Query != nil || empty.Query == nil || len(empty.Query) != 0 {
		t.Errorf("Query without and with a question mark = %#v, %#v, want nil and empty", none.Query, empty.Query)
	}
}

func TestTargetOfIsRemembered(t *testing.T) {
	var ctx fasthttp.RequestCtx
	ctx.Request.Header.SetRequestURI("/a%20b")
	first := TargetOf(&ctx)
	if string(Path(&ctx)) != "/a b" || TargetOf(&ctx) != first {
		t.Fatalf("Path = %q, want the same target twice", Path(&ctx))
	}
	ctx.Request.Reset()
	ctx.Request.Header.SetRequestURI("/c%2")
	if p, err := Path(&ctx), TargetOf(&ctx).Err; p != nil || !errors.Is(err, ErrTargetEscape) {
		t.Fatalf("Path of a malformed target = %q, %v, want nil and %v", p, err, ErrTargetEscape)
	}
}

// FuzzPath asserts that decoding is the inverse of encoding every byte, that a
// plain path has no segment that means anything but a name, and that a target
// that is accepted never climbs above the root.
func FuzzPath(f *testing.F) {
	for _, s := range []string{"/", "/a%20b", "/a/../b", "//x", "/%2e%2e/", "http://h/a", "/a%00", "/%5c", "/a?b#c"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, uri []byte) {
		var got Target
		got.parse(uri)
		if got.Err != nil {
			return
		}
		if len(got.Path) == 0 || (got.Path[0] != '/' && string(got.Path) != "*") {
			t.Fatalf("parse(%q).Path = %q, want a slash first", uri, got.Path)
		}
		depth := 0
		for i, seg := range bytes.Split(got.Path[1:], []byte("/")) {
			last := i == bytes.Count(got.Path[1:], []byte("/"))
			special := string(seg) == "." || string(seg) == ".." || (len(seg) == 0 && !last) || bytes.ContainsAny(seg, "\\\x00\r\n")
			if got.plain && special {
				t.Fatalf("parse(%q) is plain with the segment %q", uri, seg)
			}
			switch string(seg) {
			case "..":
				if depth--; depth < 0 {
					t.Fatalf("parse(%q) accepted a path above the root", uri)
				}
			case "", ".":
			default:
				depth++
			}
		}
		var again Target
		encoded := make([]byte, 0, 3*len(got.Path))
		for _, c := range got.Path {
			if c == '/' {
				encoded = append(encoded, c)
				continue
			}
			encoded = append(encoded, '%', "0123456789ABCDEF"[c>>4], "0123456789ABCDEF"[c&15])
		}
		if got.Path[0] != '/' {
			return
		}
		if again.parse(encoded); again.Err != nil || !bytes.Equal(again.Path, got.Path) {
			t.Fatalf("encoding %q and decoding it again = %q, %v", got.Path, again.Path, again.Err)
		}
	})
}
