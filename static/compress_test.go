package static

import "testing"

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
