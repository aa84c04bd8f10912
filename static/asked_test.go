package static

import (
	"bufio"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

func parseHeader(t testing.TB, fields string) *fasthttp.RequestHeader {
	t.Helper()
	var h fasthttp.RequestHeader
	err := h.Read(bufio.NewReader(strings.NewReader("GET / HTTP/1.1\r\nHost: test\r\n" + fields + "\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	return &h
}

func TestAskedOf(t *testing.T) {
	for fields, want := range map[string]asked{
		"": 0,
		"Accept: */*\r\nReferer: http://x/\r\nIf: no\r\n":       0,
		"If-None-Match: \"a\"\r\n":                              askedCondition,
		"IF-MODIFIED-SINCE: x\r\n":                              askedCondition,
		"if-range: x\r\nrange: bytes=0-\r\n":                    askedCondition | askedRange,
		"Range:bytes=0-\r\n":                                    askedRange,
		"Range-X: 1\r\nRange: bytes=0-\r\n":                     askedRange,
		"Cookie: a=b\r\naCCEPT-eNCODING: gzip\r\n":              askedCoding,
		"Accept-Encoding: br\r\nIf-Match: *\r\nRange: x\r\n":    askedAll,
		"X: Range: bytes=0-\r\nY: if-none-match: a\r\nI: 1\r\n": 0,
	} {
		if got := askedOf(parseHeader(t, fields)); got != want {
			t.Errorf("askedOf(%q) = %b, want %b", fields, got, want)
		}
	}
	var made fasthttp.RequestHeader
	made.Set("Range", "bytes=0-")
	if got := askedOf(&made); got != askedAll {
		t.Errorf("askedOf a header made by hand = %b, want all", got)
	}
}

// FuzzAsked asserts that no field is missed that fasthttp finds.
func FuzzAsked(f *testing.F) {
	f.Add("If-None-Match: x\r\nRange: bytes=0-\r\n")
	f.Add("A: b\r\nACCEPT-encoding:gzip\r\n")
	f.Fuzz(func(t *testing.T, fields string) {
		var h fasthttp.RequestHeader
		if err := h.Read(bufio.NewReader(strings.NewReader("GET / HTTP/1.1\r\nHost: test\r\n" + fields + "\r\n\r\n"))); err != nil {
			return
		}
		a := askedOf(&h)
		for name, bit := range map[string]asked{"If-Match": askedCondition, "If-None-Match": askedCondition, "If-Modified-Since": askedCondition,
			"If-Unmodified-Since": askedCondition, "If-Range": askedCondition, "Range": askedRange, "Accept-Encoding": askedCoding} {
			if h.Peek(name) != nil && a&bit == 0 {
				t.Fatalf("askedOf(%q) = %b, without %s", fields, a, name)
			}
		}
	})
}
