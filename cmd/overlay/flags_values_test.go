package main

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestParseSeconds(t *testing.T) {
	for _, test := range []struct {
		word string
		want time.Duration
		ok   bool
	}{
		{"0", 0, true}, {"45", 45 * time.Second, true}, {"0.25", 250 * time.Millisecond, true}, {"1h", time.Hour, true},
		{"", 0, false}, {"-1", 0, false}, {"-1s", 0, false}, {"x", 0, false}, {"1 s", 0, false}, {"5d", 0, false},
		{"1.2.3", 0, false}, {".", 0, false}, {"inf", 0, false}, {"1e3", 0, false}, {"99999999999999999999", 0, false},
	} {
		got, err := parseSeconds(test.word)
		if got != test.want || (err == nil) != test.ok {
			t.Errorf("parseSeconds(%q) = %v, %v; want %v, ok %v", test.word, got, err, test.want, test.ok)
		}
	}
}

func TestParseBytes(t *testing.T) {
	for _, test := range []struct {
		word string
		want int64
		ok   bool
	}{
		{"0", 0, true}, {"1048576", 1 << 20, true}, {"64K", 64 << 10, true}, {"10m", 10 << 20, true}, {"1G", 1 << 30, true},
		{"9223372036854775807", math.MaxInt64, true}, {"8589934591G", 8589934591 << 30, true},
		{"9223372036854775808", 0, false}, {"8589934592G", 0, false},
		{"", 0, false}, {"K", 0, false}, {"-1", 0, false}, {"+1", 0, false}, {"1.5M", 0, false}, {"1T", 0, false}, {"10MB", 0, false}, {"0x10", 0, false},
	} {
		got, err := parseBytes(test.word)
		if got != test.want || (err == nil) != test.ok {
			t.Errorf("parseBytes(%q) = %d, %v; want %d, ok %v", test.word, got, err, test.want, test.ok)
		}
	}
}

// FuzzParseBytes asserts that what formatBytes writes is read back.
func FuzzParseBytes(f *testing.F) {
	f.Add("10M")
	f.Add("8589934592G")
	f.Fuzz(func(t *testing.T, word string) {
		n, err := parseBytes(word)
		if err != nil {
			return
		}
		if n < 0 {
			t.Fatalf("parseBytes(%q) = %d", word, n)
		}
		if again, err := parseBytes(formatBytes(n)); again != n || err != nil {
			t.Fatalf("parseBytes(%q) = %d, %v; formatted from %d", formatBytes(n), again, err, n)
		}
	})
}

// FuzzParseSeconds asserts that no time is negative, or too short for its digits.
func FuzzParseSeconds(f *testing.F) {
	f.Add("1m30s")
	f.Add("9223372037")
	f.Fuzz(func(t *testing.T, word string) {
		d, err := parseSeconds(word)
		if err != nil {
			return
		}
		if d < 0 {
			t.Fatalf("parseSeconds(%q) = %v", word, d)
		}
		if again, err := parseSeconds(d.String()); again != d || err != nil {
			t.Fatalf("parseSeconds(%q) = %v, %v; formatted from %v", d.String(), again, err, d)
		}
	})
}

func TestURLPath(t *testing.T) {
	for _, test := range []struct {
		path, want string // want "" means refused
	}{
		{"/", "/"}, {"/a", "/a"}, {"/a/", "/a"}, {"/a/b", "/a/b"}, {"/é", "/é"}, {"/a b", "/a b"}, {"/.well-known", "/.well-known"},
		{"/100%", "/100%"},
		{"", ""}, {"a", ""}, {"//", ""}, {"//a", ""}, {"/a//b", ""}, {"/a//", ""}, {"/./a", ""}, {"/a/..", ""}, {"/..", ""},
		{"/%41", ""}, {"/a?b", ""}, {"/a#b", ""}, {"/a\nb", ""}, {"http://x/", ""},
	} {
		got, err := urlPath("--url-alias", test.path)
		if got != test.want || (err == nil) != (test.want != "") {
			t.Errorf("urlPath(%q) = %q, %v; want %q", test.path, got, err, test.want)
		}
	}
}

func TestIsModuleName(t *testing.T) {
	for name, want := range map[string]bool{
		"a": true, "mysite.wsgi": true, "_a.b2": true, "größe": true,
		"": false, "a.": false, ".a": false, "a..b": false, "2a": false, "a-b": false, "a/b": false, "a b": false, "a:b": false,
	} {
		if got := isModuleName(name); got != want {
			t.Errorf("isModuleName(%q) = %v, want %v", name, got, want)
		}
	}
}

func TestShellWord(t *testing.T) {
	for word, want := range map[string]string{
		"a/b.c": "a/b.c", "": "''", "a b": "'a b'", "a'b": `'a'\''b'`, "$a": "'$a'", "~a": "'~a'", "größe": "größe",
	} {
		if got := shellWord(word); got != want {
			t.Errorf("shellWord(%q) = %s, want %s", word, got, want)
		}
	}
}

func TestNearest(t *testing.T) {
	names := []string{"document-root", "directory-index", "directory-listing", "port", "https-port", "host", "threads", "log-level"}
	for typed, want := range map[string]string{
		"documnt-root": "document-root", "prot": "port", "hsot": "host", "thread": "threads", "directory": "directory-index",
		"index": "directory-index", "root": "document-root", "loglevel": "log-level", "lgo-levle": "log-level",
		"p": "", "zzz": "", "quite-something-else": "", "": "",
	} {
		if got := nearest(typed, names); got != want {
			t.Errorf("nearest(%q) = %q, want %q", typed, got, want)
		}
	}
}

func TestEditDistance(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "abc", 0}, {"abc", "acb", 1}, {"abc", "axc", 1}, {"abc", "ab", 1}, {"größe", "grösse", 2}} {
		if got := editDistance(test.a, test.b); got != test.want {
			t.Errorf("editDistance(%q, %q) = %d, want %d", test.a, test.b, got, test.want)
		}
		if got := editDistance(test.b, test.a); got != test.want {
			t.Errorf("editDistance(%q, %q) = %d, want %d", test.b, test.a, got, test.want)
		}
	}
}

// FuzzParse asserts that no command line crashes the parser, and that every
// refusal is a usage error with a hint.
func FuzzParse(f *testing.F) {
	f.Add("--url-alias\x00/a\x00b\x00hello.wsgi")
	f.Add("--port=\x00-p8\x00--\x00--x")
	f.Add("start-server\x00--setenv\x00=\x00-")
	f.Fuzz(func(t *testing.T, words string) {
		_, _, err := parse(strings.Split(words, "\x00"))
		if err == nil {
			return
		}
		if _, ok := err.(*usageError); !ok || hintOf(err) == "" {
			t.Fatalf("%q: %T %v has no hint", words, err, err)
		}
	})
}
