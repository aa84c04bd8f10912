package static

import (
	"bytes"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	brotli "github.com/molecule-man/go-brrr"
)

// decode is what a client does with a body.
func decode(t testing.TB, c string, body []byte) []byte {
	t.Helper()
	var r io.Reader
	switch c {
	case "", "identity":
		return body
	case "gzip":
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r = z
	case "zstd":
		z, err := zstd.NewReader(bytes.NewReader(body), zstd.WithDecoderMaxWindow(8<<20))
		if err != nil {
			t.Fatal(err)
		}
		defer z.Close()
		r = z
	case "br":
		r = brotli.NewReader(bytes.NewReader(body))
	default:
		t.Fatalf("unknown content coding %q", c)
	}
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("decode %s: %v", c, err)
	}
	return out
}

func TestEncode(t *testing.T) {
	random := make([]byte, 20<<10)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range random {
		random[i] = byte(r.Uint32())
	}
	for name, data := range map[string][]byte{
		"empty": {}, "text": []byte(strings.Repeat("some text to code, ", 4000)), "random": random,
	} {
		var e encoders
		for c := range codingIdentity {
			var size [levels]int
			for l := range level(levels) {
				for range 2 { // the second time with a used encoder
					out, err := e.encode(c, l, data)
					if err != nil {
						t.Fatalf("encode %s %v %v: %v", name, c, l, err)
					}
					if got := decode(t, c.String(), out); !bytes.Equal(got, data) {
						t.Errorf("encode %s %v %v does not decode to what it was", name, c, l)
					}
					size[l] = len(out)
				}
			}
			if size[levelBest] > size[levelQuick]+64 {
				t.Errorf("encode %s %v: best %d bytes, quick %d", name, c, size[levelBest], size[levelQuick])
			}
		}
	}
	if _, err := new(encoders).encode(codingIdentity, levelQuick, nil); err == nil {
		t.Error("encode identity = nil error, want one")
	}
}

func TestCompressible(t *testing.T) {
	for contentType, want := range map[string]bool{
		"text/html; charset=utf-8": true, "application/json": true, "image/svg+xml": true, "application/wasm": true,
		"image/png": false, "application/zip": false, "font/woff2": false, octetStream: false,
	} {
		if got := compressible(contentType); got != want {
			t.Errorf("compressible(%q) = %t, want %t", contentType, got, want)
		}
	}
}
