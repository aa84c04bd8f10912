package static

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestZeroOptions(t *testing.T) {
	s := serve(t, Options{})
	if got := s.get("/"); got.status != 404 {
		t.Errorf("GET / without a root = %d, want 404", got.status)
	}
}

func TestNewErrors(t *testing.T) {
	dir := t.TempDir()
	p := write(t, dir, "a.txt", "")
	for _, tt := range []struct {
		name string
		o    Options
		want string
	}{
		{"missing root", Options{Root: filepath.Join(dir, "none")}, "document root: "},
		{"root is a file", Options{Root: p}, "document root: "},
		{"alias without a slash", Options{Aliases: []Alias{{"a", dir}}}, "want a slash first"},
		{"alias with dots", Options{Aliases: []Alias{{"/a/../b", dir}}}, "without empty or dot segments"},
		{"alias target missing", Options{Aliases: []Alias{{"/a", filepath.Join(dir, "none")}}}, "alias /a: "},
		{"alias target empty", Options{Aliases: []Alias{{"/a", ""}}}, "the target is empty"},
		{"alias twice", Options{Aliases: []Alias{{"/a", dir}, {"/a/", dir}}}, "given twice"},
		{"alias of a device", Options{Aliases: []Alias{{"/a", "/dev/null"}}}, "neither a file nor a directory"},
		{"file for everything", Options{Aliases: []Alias{{"/", p}}}, "whole site"},
		{"index file with a slash", Options{IndexFiles: []string{"a/b"}}, "want a plain file name"},
		{"bad pattern", Options{Hide: []string{"["}}, "Hide: pattern"},
		{"bad link policy", Options{FollowSymlinks: 9}, "want never, inside or any"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := New(tt.o)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("New = %v, want an error with %q", err, tt.want)
			}
			if checked := Check(tt.o); checked == nil || checked.Error() != err.Error() {
				t.Errorf("Check = %v, want %v", checked, err)
			}
		})
	}
}

func TestExpectationErrors(t *testing.T) {
	dir := testRoot(t)
	for _, tt := range []struct {
		name string
		o    Options
	}{
		{"missing SPA page", Options{SPA: "/none.html"}},
		{"SPA is no path", Options{SPA: "index.html"}},
		{"missing error document", Options{ErrorDocuments: map[int]string{404: "/none"}}},
		{"error document for 200", Options{ErrorDocuments: map[int]string{200: "/a.txt"}}},
		{"try extension", Options{TryExtensions: []string{"html"}}},
		{"redirect", Options{Redirects: []Redirect{{From: "x", To: "/y"}}}},
		{"header name", Options{Headers: []Field{{"a b", "c"}}}},
		{"header value", Options{Headers: []Field{{"A", "c\r\nd"}}}},
		{"own header", Options{Headers: []Field{{"Content-Length", "5"}}}},
		{"cors origin", Options{CORS: []string{"example.org"}}},
		{"cors null", Options{CORS: []string{"null"}}},
		{"cors with a path", Options{CORS: []string{"https://a/b"}}},
		{"media types", Options{MIMETypes: filepath.Join(dir, "none")}},
		{"cache rule", Options{CacheControl: []CacheRule{{"[", ""}}}},
		{"cache entries", Options{CacheEntries: 1}},
	} {
		tt.o.Root = dir
		h, err := New(tt.o)
		if err == nil {
			h.Close()
			t.Errorf("%s: New = nil error, want one", tt.name)
			continue
		}
		if checked := Check(tt.o); checked == nil || checked.Error() != err.Error() {
			t.Errorf("%s: Check = %v, want %v", tt.name, checked, err)
		}
	}
}
