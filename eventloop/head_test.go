package eventloop

import (
	"bytes"
	"strings"
	"testing"
)

const plain = "GET /a.txt HTTP/1.1\r\nHost: localhost\r\n\r\n"

// with returns plain with further field lines.
func with(lines string) string {
	return strings.TrimSuffix(plain, "\r\n") + lines + "\r\n"
}

func TestParse(t *testing.T) {
	for _, row := range []struct {
		name    string
		request string
		key     string // "" when the request is for the server
	}{
		{"plain", plain, "Gk/a.txt\x00\x00\x00"},
		{"HEAD", "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", "Hk/\x00\x00\x00"},
		{"Accept-Encoding is in the key", with("accept-encoding:  gzip, br \r\n"), "Gk/a.txt\x00gzip, br\x00\x00"},
		{"conditions are in the key", with("If-None-Match: \"a\"\r\nIf-Modified-Since: Sat, 21 Nov 2026 12:00:00 GMT\r\n"),
			"Gk/a.txt\x00\x00\"a\"\x00Sat, 21 Nov 2026 12:00:00 GMT"},
		{"fields that change nothing", with("User-Agent: x\r\nAccept: */*\r\nCookie: a=b\r\nSec-Fetch-Mode: navigate\r\nX-Forwarded-For: ::1\r\nConnection: keep-alive\r\n"),
			"Gk/a.txt\x00\x00\x00"},
		{"an empty field that changes nothing", with("Cookie:\r\n"), "Gk/a.txt\x00\x00\x00"},

		{"nothing", "", ""},
		{"incomplete", plain[:len(plain)-1], ""},
		{"line not ended", "GET /a.txt HTTP/1.1\r\nHost: a", ""},
		{"other method", "POST /a.txt HTTP/1.1\r\nHost: a\r\n\r\n", ""},
		{"method in lower case", "get /a.txt HTTP/1.1\r\nHost: a\r\n\r\n", ""},
		{"HTTP/1.0", "GET /a.txt HTTP/1.0\r\nHost: a\r\n\r\n", ""},
		{"no version", "GET /a.txt\r\nHost: a\r\n\r\n", ""},
		{"absolute form", "GET http://a/a.txt HTTP/1.1\r\nHost: a\r\n\r\n", ""},
		{"asterisk form", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", ""},
		{"two spaces", "GET  /a.txt HTTP/1.1\r\nHost: a\r\n\r\n", ""},
		{"escape", "GET /a%2e HTTP/1.1\r\nHost: a\r\n\r\n", ""},
		{"query", "GET /a?b HTTP/1.1\r\nHost: a\r\n\r\n", ""},
		{"fragment", "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", ""},
		{"byte that is no ASCII in the target", "GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n", ""},
		{"back slash", "GET /a\\b HTTP/1.1\r\nHost: a\r\n\r\n", ""},
		{"leading empty line", "\r\n" + plain, ""},
		{"no Host", "GET /a.txt HTTP/1.1\r\n\r\n", ""},
		{"empty Host", "GET /a.txt HTTP/1.1\r\nHost:\r\n\r\n", ""},
		{"Host twice", with("Host: localhost\r\n"), ""},
		{"bare line feed", "GET /a.txt HTTP/1.1\nHost: a\r\n\r\n", ""},
		{"bare line feed after a field", with("Accept: a\nCookie: b\r\n"), ""},
		{"bare line feed at the end", "GET /a.txt HTTP/1.1\r\nHost: a\r\n\n", ""},
		{"carriage return in a value", with("Cookie: a\rb\r\n"), ""},
		{"NUL in a value", with("Cookie: a\x00b\r\n"), ""},
		{"tab in a value", with("Cookie: a\tb\r\n"), ""},
		{"DEL in a value", with("Cookie: aaaaaaaaaaaaa\x7fb\r\n"), ""},
		{"byte that is no ASCII in a value", with("Cookie: \xc3\xa4\r\n"), ""},
		{"folded line", with("Cookie: a\r\n b\r\n"), ""},
		{"space before the colon", with("Cookie : a\r\n"), ""},
		{"no name", with(": a\r\n"), ""},
		{"no colon", with("Cookie\r\n"), ""},
		{"underscore in a name", with("X_Real_IP: a\r\n"), ""},
		{"underscore after a known prefix", with("X-Real_IP: a\r\n"), ""},
		{"Connection: close", with("Connection: close\r\n"), ""},
		{"Connection with two options", with("Connection: keep-alive, close\r\n"), ""},
		{"Connection: Upgrade", with("Connection: Upgrade\r\n"), ""},
		{"Upgrade", with("Upgrade: h2c\r\n"), ""},
		{"Accept twice", with("Accept: */*\r\nAccept: text/html\r\n"), ""},
		{"empty Accept", with("Accept:\r\n"), ""},
		{"Accept-Encoding twice", with("Accept-Encoding: gzip\r\nAccept-Encoding: br\r\n"), ""},
		{"If-None-Match twice", with("If-None-Match: \"a\"\r\nIf-None-Match: \"b\"\r\n"), ""},
		{"empty Accept-Encoding", with("Accept-Encoding:\r\n"), ""},
		{"Range", with("Range: bytes=0-1\r\n"), ""},
		{"If-Range", with("If-Range: \"a\"\r\n"), ""},
		{"If-Match", with("If-Match: \"a\"\r\n"), ""},
		{"If-Unmodified-Since", with("If-Unmodified-Since: x\r\n"), ""},
		{"Origin", with("Origin: https://example.org\r\n"), ""},
		{"Content-Length", with("Content-Length: 0\r\n"), ""},
		{"Transfer-Encoding", with("Transfer-Encoding: chunked\r\n"), ""},
		{"Expect", with("Expect: 100-continue\r\n"), ""},
		{"TE", with("TE: trailers\r\n"), ""},
		{"Proxy", with("Proxy: a\r\n"), ""},
		{"a field that is not known", with("Unheard-Of: a\r\n"), ""},

		{"longest target", "GET /" + strings.Repeat("a", maxTarget-1) + " HTTP/1.1\r\nHost: a\r\n\r\n", "Gk/" + strings.Repeat("a", maxTarget-1) + "\x00\x00\x00"},
		{"target too long", "GET /" + strings.Repeat("a", maxTarget) + " HTTP/1.1\r\nHost: a\r\n\r\n", ""},
		{"longest value", with("Accept-Encoding: " + strings.Repeat("a", maxValue) + "\r\n"), "Gk/a.txt\x00" + strings.Repeat("a", maxValue) + "\x00\x00"},
		{"value too long", with("Accept-Encoding: " + strings.Repeat("a", maxValue+1) + "\r\n"), ""},
		{"most fields", with(strings.Repeat("Cookie: a\r\n", maxFields-2)), "Gk/a.txt\x00\x00\x00"},
		{"too many fields", with(strings.Repeat("Cookie: a\r\n", maxFields-1)), ""},
	} {
		var h Head
		length := h.Parse([]byte(row.request))
		if row.key == "" {
			if length != 0 {
				t.Errorf("%s: Parse(%q) = %d, want 0", row.name, row.request, length)
			}
			continue
		}
		if length != len(row.request) {
			t.Errorf("%s: Parse(%q) = %d, want %d", row.name, row.request, length, len(row.request))
		} else if key := string(h.appendKey(nil, 'k')); key != row.key {
			t.Errorf("%s: key %q, want %q", row.name, key, row.key)
		}
		if length := h.Parse([]byte(row.request + "GET / HT")); length != len(row.request) {
			t.Errorf("%s: followed by another request: Parse = %d, want %d", row.name, length, len(row.request))
		}
	}
}

func TestPrintable(t *testing.T) {
	for c := range 256 {
		for at := range 19 {
			b := bytes.Repeat([]byte{'a'}, 19)
			b[at] = byte(c)
			if got, want := printable(b), c >= 0x20 && c < 0x7f; got != want {
				t.Fatalf("printable with byte %#x at %d = %v, want %v", c, at, got, want)
			}
		}
	}
}

// FuzzParse: what is accepted is complete, ends where it says, and reads the same
// when the fields that matter are written out again.
func FuzzParse(f *testing.F) {
	f.Add([]byte(plain))
	f.Add([]byte(with("Accept-Encoding: gzip\r\nIf-None-Match: \"a\"\r\nSec-Ch-Ua: \"x\"\r\n")))
	f.Add([]byte(plain + plain))
	f.Fuzz(func(t *testing.T, b []byte) {
		var h Head
		n := h.Parse(b)
		if n == 0 {
			return
		}
		if !bytes.HasSuffix(b[:n], []byte("\r\n\r\n")) || bytes.Count(b[:n], []byte("\r\n\r\n")) != 1 {
			t.Fatalf("Parse(%q) = %d: not one head", b, n)
		}
		again := "GET "
		if h.Method == 'H' {
			again = "HEAD "
		}
		again += string(h.Target) + " HTTP/1.1\r\nHost: " + string(h.Host) + "\r\n"
		for name, value := range map[string][]byte{"Accept-Encoding": h.AcceptEncoding, "If-None-Match": h.IfNoneMatch, "If-Modified-Since": h.IfModifiedSince} {
			if value != nil {
				again += name + ": " + string(value) + "\r\n"
			}
		}
		again += "\r\n"
		var second Head
		if n := second.Parse([]byte(again)); n != len(again) || !bytes.Equal(second.appendKey(nil, 'k'), h.appendKey(nil, 'k')) {
			t.Fatalf("Parse(%q): written out again as %q it reads otherwise", b, again)
		}
	})
}
