package static

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

func TestRedirects(t *testing.T) {
	dir := testRoot(t)
	name := write(t, t.TempDir(), "_redirects", "# moved in 2024\n\n/old /new\n/docs/*\thttps://docs.example/:splat 308 # all\n/a.txt /never\n/q /new?x=1 302\n")
	rules, err := ReadRedirects(name)
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, Options{Root: dir, Redirects: rules, Next: next})
	for _, tt := range []struct {
		target   string
		status   int
		location string
	}{
		{"/old", 301, "/new"},
		{"/old?a=b", 301, "/new?a=b"},
		{"/old/", 299, ""},
		{"/docs/a%20b/c", 308, "https://docs.example/a%20b/c"},
		{"/docs//evil.example/", 308, "https://docs.example/evil.example/"},
		{"/q?a=b", 302, "/new?x=1"},
		{"/a.txt", 200, ""},
		{"/docs", 299, ""},
	} {
		if got := s.get(tt.target); got.status != tt.status || got.header.Get("Location") != tt.location {
			t.Errorf("GET %s = %d %q, want %d %q", tt.target, got.status, got.header.Get("Location"), tt.status, tt.location)
		}
	}
	for _, bad := range []string{"/a", "/a /b 200", "/a /b x", "a /b", "/a b", "/a //evil", "/*/b /c", "/* https://:splat/", "/* https://x:splat/",
		"/a /:splat", "/* /:splat", "/a ftp://x/", "/a https:///x", "/a /b 301 more", `/a /\evil`} {
		if err := os.WriteFile(name, []byte(bad+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadRedirects(name); err == nil || !strings.Contains(err.Error(), "line 1") {
			t.Errorf("ReadRedirects of %q = %v, want an error that names the line", bad, err)
		}
	}
}

// FuzzRedirect asserts that no request chooses the host that it is sent to.
func FuzzRedirect(f *testing.F) {
	f.Add("/docs/* /new/:splat", []byte("/docs//evil.example"))
	f.Add("/x* /:splat", []byte("/x//evil.example"))
	f.Add("/* https://docs.example/:splat", []byte(`/%5c%5cevil`))
	f.Fuzz(func(t *testing.T, line string, uri []byte) {
		r, ok, err := parseRedirect(line)
		var tg Target
		if tg.parse(uri); !ok || err != nil || tg.Err != nil || strings.ContainsAny(string(tg.Query), "\r\n") {
			return
		}
		to, ok := r.location(&tg)
		if !ok {
			return
		}
		if bytes.HasPrefix(to, []byte("//")) || bytes.HasPrefix(to, []byte(`/\`)) {
			t.Fatalf("%q sends %q to %q", line, uri, to)
		}
		if strings.HasPrefix(r.To, "http") {
			want, _, _ := strings.Cut(strings.SplitN(r.To, "://", 2)[1], "/")
			got, _, _ := strings.Cut(strings.SplitN(string(to), "://", 2)[1], "/")
			want, _, _ = strings.Cut(want, "?")
			got, _, _ = strings.Cut(got, "?")
			want, _, _ = strings.Cut(want, "#")
			got, _, _ = strings.Cut(got, "#")
			if got != want {
				t.Fatalf("%q sends %q to the host %q", line, uri, got)
			}
		}
	})
}
