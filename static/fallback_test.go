package static

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSPA(t *testing.T) {
	dir := testRoot(t)
	plain := serve(t, Options{Root: dir, SPA: "/index.html"})
	app := serve(t, Options{Root: dir, SPA: "/index.html", Next: next})
	for _, tt := range []struct {
		target, accept string
		plain, app     int
	}{
		{"/route/17", "text/html,*/*", 200, 200},
		{"/route/17", "*/*", 200, 299},
		{"/api/data", "application/json", 200, 299},
		{"/missing.js", "*/*", 404, 299},
		{"/v1.2/", "text/html", 200, 200},
		{"/a/../b", "text/html", 404, 299},
		{"/a.txt", "text/html", 200, 200},
	} {
		for s, want := range map[*testServer]int{plain: tt.plain, app: tt.app} {
			got := s.get(tt.target, "Accept: "+tt.accept)
			if got.status != want || (want == 200 && tt.target != "/a.txt" && got.body != "<p>home") {
				t.Errorf("GET %s, Accept %s = %d %q, want %d", tt.target, tt.accept, got.status, got.body, want)
			}
			// The answer depends on Accept wherever the page is among those that may come.
			byAccept := tt.target != "/a.txt" && tt.target != "/a/../b"
			if vary := got.header.Get("Vary"); strings.Contains(vary, "Accept") != byAccept || strings.Count(vary, "Accept") > 1 {
				t.Errorf("GET %s, Accept %s: Vary %q", tt.target, tt.accept, vary)
			}
		}
	}
}

func TestErrorDocuments(t *testing.T) {
	dir := testRoot(t)
	write(t, dir, "errors/404.html", "<p>lost")
	s := serve(t, Options{Root: dir, ErrorDocuments: map[int]string{404: "/errors/404.html"}})
	got := s.get("/missing")
	if got.status != 404 || got.body != "<p>lost" || got.header.Get("Content-Type") != "text/html; charset=utf-8" || got.header.Get("ETag") != "" {
		t.Errorf("GET /missing = %d %q %v", got.status, got.body, got.header)
	}
	if got := s.do("POST", "/a.txt", "Content-Length: 0"); got.body != "405 Method Not Allowed\n" {
		t.Errorf("405 = %q", got.body)
	}
	if got := s.do("HEAD", "/missing"); got.status != 404 || got.body != "" {
		t.Errorf("HEAD = %d %q", got.status, got.body)
	}
	if err := os.Remove(filepath.Join(dir, "errors/404.html")); err != nil {
		t.Fatal(err)
	}
	s2 := serve(t, Options{Root: dir})
	if got := s2.get("/missing"); got.body != "404 Not Found\n" {
		t.Errorf("without a document = %q", got.body)
	}
}

// A document for errors is one of 64 KiB at most: a larger one is refused at the start,
// and not sent for each stray request when it has become so.
func TestErrorDocumentBound(t *testing.T) {
	for size, want := range map[int]bool{memoryLimit: true, memoryLimit + 1: false} {
		dir := t.TempDir()
		write(t, dir, "404.html", strings.Repeat("x", size))
		o := Options{Root: dir, ErrorDocuments: map[int]string{404: "/404.html"}, CacheRevalidate: -1, Logger: slog.New(slog.DiscardHandler)}
		if err := Check(o); (err == nil) != want {
			t.Errorf("a document of %d bytes: %v, want it taken: %v", size, err, want)
		}
		write(t, dir, "404.html", "small")
		s := serve(t, o)
		write(t, dir, "404.html", strings.Repeat("x", size))
		got := s.get("/missing")
		if got.status != 404 || (len(got.body) == size) != want || !want && got.body != "404 Not Found\n" {
			t.Errorf("a document of %d bytes: %d, %d bytes, want it sent: %v", size, got.status, len(got.body), want)
		}
	}
}
