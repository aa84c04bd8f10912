package static

import (
	"testing"
)

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

func TestMIMETypesFile(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.foo", "x")
	write(t, dir, "a.js", "x")
	for name, content := range map[string]string{
		"apache": "# types\napplication/x-foo foo FOO2 # more\ntext/x-own js\n",
		"nginx":  "types {\n    application/x-foo  foo foo2;\n    text/x-own js;\n}\n",
	} {
		s := serve(t, Options{Root: dir, MIMETypes: write(t, t.TempDir(), name, content)})
		for target, want := range map[string]string{"/a.foo": "application/x-foo", "/a.js": "text/x-own; charset=utf-8"} {
			if got := s.get(target).header.Get("Content-Type"); got != want {
				t.Errorf("%s: type of %s = %q, want %q", name, target, got, want)
			}
		}
	}
	for _, bad := range []string{"foo bar\n", "a/b c/d\n", "a/ x\n"} {
		if err := newMediaTypes().readFile(write(t, t.TempDir(), "bad", bad)); err == nil {
			t.Errorf("readFile(%q) = nil, want an error", bad)
		}
	}
}
