package static

import "testing"

func TestMediaTypes(t *testing.T) {
	m := newMediaTypes()
	for name, want := range map[string]string{
		"a/index.html":       "text/html; charset=utf-8",
		"A.HTML":             "text/html; charset=utf-8",
		"app.min.js":         "text/javascript; charset=utf-8",
		"a.css":              "text/css; charset=utf-8",
		"a.txt":              "text/plain; charset=utf-8",
		"a.json":             "application/json",
		"a.svg":              "image/svg+xml",
		"a.wasm":             "application/wasm",
		"a.woff2":            "font/woff2",
		"a.tar.gz":           "application/gzip",
		"README":             "text/plain; charset=utf-8",
		"a.xyz":              octetStream,
		"noextension":        octetStream,
		"dir.html/noext":     octetStream,
		"trailing.":          octetStream,
		"":                   octetStream,
		"app.webmanifest":    "application/manifest+json",
		"sheet.xlsx":         "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
		"feed.rss":           "application/rss+xml",
		"source.with.dots.c": "text/plain; charset=utf-8",
	} {
		if got := string(m.of(name)); got != want {
			t.Errorf("type of %q = %q, want %q", name, got, want)
		}
	}
}
