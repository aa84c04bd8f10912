package static

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestContentCoding(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "app.js", script)
	write(t, dir, "tiny.js", "1")
	write(t, dir, "floor.js", script[:encodeFloor])
	write(t, dir, "photo.png", script)
	s := serve(t, Options{Root: dir})
	for _, tt := range []struct {
		name, target, accept string
		status               int
		coding, vary         string
	}{
		{"browser", "/app.js", "gzip, deflate, br, zstd", 200, "br", "Accept-Encoding"},
		{"no br", "/app.js", "gzip, zstd", 200, "zstd", "Accept-Encoding"},
		{"gzip alone", "/app.js", "gzip", 200, "gzip", "Accept-Encoding"},
		{"weights decide", "/app.js", "br;q=0.1, gzip;q=0.9", 200, "gzip", "Accept-Encoding"},
		{"star", "/app.js", "*", 200, "br", "Accept-Encoding"},
		{"nothing known", "/app.js", "compress", 200, "", "Accept-Encoding"},
		{"plain first", "/app.js", "identity, gzip;q=0.5", 200, "", "Accept-Encoding"},
		{"plain refused", "/app.js", "identity;q=0, gzip;q=0.1", 200, "gzip", "Accept-Encoding"},
		{"all refused", "/app.js", "*;q=0", 406, "", "Accept-Encoding"},
		{"too small", "/tiny.js", "gzip", 200, "", ""},
		{"just large enough", "/floor.js", "gzip", 200, "gzip", "Accept-Encoding"},
		{"not worth it", "/photo.png", "gzip", 200, "", ""},
		{"not worth it, plain refused", "/photo.png", "gzip, identity;q=0", 406, "", "Accept-Encoding"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for range 2 {
				got := s.get(tt.target, "Accept-Encoding: "+tt.accept)
				if got.status != tt.status || got.header.Get("Content-Encoding") != tt.coding || got.header.Get("Vary") != tt.vary {
					t.Fatalf("GET %s, %s = %d %q, Vary %q, want %d %q %q", tt.target, tt.accept, got.status,
						got.header.Get("Content-Encoding"), got.header.Get("Vary"), tt.status, tt.coding, tt.vary)
				}
				if tt.status != 200 {
					continue
				}
				want, _ := os.ReadFile(filepath.Join(dir, tt.target))
				if body := decode(t, tt.coding, []byte(got.body)); string(body) != string(want) {
					t.Fatalf("body decodes to %d bytes, want the file's %d", len(body), len(want))
				}
				if head := s.do("HEAD", tt.target, "Accept-Encoding: "+tt.accept); head.header.Get("Content-Encoding") != tt.coding || head.header.Get("Content-Length") == "" {
					t.Fatalf("HEAD = %v", head.header)
				}
			}
		})
	}
	if got := s.get("/app.js"); got.header.Get("Content-Encoding") != "" || got.header.Get("Vary") != "Accept-Encoding" {
		t.Errorf("without Accept-Encoding: %v", got.header)
	}
}

// Two forms never share a tag, and a client that holds the quick form is told that
// it is still good when the best form has taken its place.
func TestTagsOfForms(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "app.js", script)
	s := serve(t, Options{Root: dir})
	tags := map[string]string{}
	var quick string
	for _, accept := range []string{"identity", "br", "zstd", "gzip"} {
		got := s.get("/app.js", "Accept-Encoding: "+accept)
		tag := got.header.Get("ETag")
		if other, dup := tags[tag]; dup || tag == "" {
			t.Errorf("%s has the tag %s of %s", accept, tag, other)
		}
		tags[tag] = accept
		if accept == "gzip" {
			quick = tag
		}
	}
	// Force the best form, whatever the improver does.
	e, err := s.h.find([]byte("/app.js"), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	best, err := s.h.encode(e, codingGzip, levelBest)
	if err != nil {
		t.Fatal(err)
	}
	e.coded[codingGzip].Store(best)
	got := s.get("/app.js", "Accept-Encoding: gzip")
	if got.header.Get("ETag") == quick || string(decode(t, "gzip", []byte(got.body))) != script {
		t.Errorf("the best form has the tag of the quick one, %s, or another content", quick)
	}
	if got := s.get("/app.js", "Accept-Encoding: gzip", "If-None-Match: "+quick); got.status != 304 || got.header.Get("ETag") != quick {
		t.Errorf("quick tag revalidated = %d %s, want 304 %s", got.status, got.header.Get("ETag"), quick)
	}
	if got := s.get("/app.js", "Accept-Encoding: gzip", "Range: bytes=0-9", "If-Range: "+quick); got.status != 200 {
		t.Errorf("range of the quick form = %d, want 200: the bytes are others now", got.status)
	}
	if got := s.get("/app.js", "Accept-Encoding: gzip", "If-None-Match: "+string(e.plain.etag)); got.status != 200 {
		t.Errorf("tag of the plain file revalidates the coded form: %d", got.status)
	}
}

// An encoder that makes other bytes the second time, as one of a peer of another release
// may, costs another look and no error.
func TestFormMadeAgainDiffers(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "app.js", script)
	s := serve(t, Options{Root: dir})
	s.get("/app.js", "Accept-Encoding: gzip")
	e, err := s.h.find([]byte("/app.js"), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	f := e.coded[codingGzip].Load()
	e.coded[codingGzip].Store(&form{coding: f.coding, level: levelQuick, encoded: true, name: f.name, version: f.version, fresh: f.fresh,
		size: f.size + 1, etag: f.etag, also: f.also})
	got := s.get("/app.js", "Accept-Encoding: gzip")
	if got.status != 200 || got.header.Get("Content-Encoding") != "gzip" || string(decode(t, "gzip", []byte(got.body))) != script {
		t.Errorf("GET = %d %v, want the form as it is now", got.status, got.header)
	}
}

func TestBestFormInTheBackground(t *testing.T) {
	dir := t.TempDir()
	small, big := prose(20<<10), prose(encodeInline+1)
	write(t, dir, "app.js", small)
	write(t, dir, "big.js", big)
	s := serve(t, Options{Root: dir})
	s.h.believeAges()
	for target, want := range map[string]string{"/app.js": small, "/big.js": big} {
		first := s.get(target, "Accept-Encoding: gzip")
		if target == "/big.js" && (first.header.Get("Content-Encoding") != "" || first.body != want) {
			t.Errorf("first reader of a large file waited for its coding")
		}
		deadline := time.Now().Add(time.Minute)
		for {
			got := s.get(target, "Accept-Encoding: gzip")
			if string(decode(t, got.header.Get("Content-Encoding"), []byte(got.body))) != want {
				t.Fatalf("GET %s: wrong content", target)
			}
			if got.header.Get("ETag") != first.header.Get("ETag") {
				if len(got.body) >= len(first.body) {
					t.Errorf("GET %s: best form %d bytes, first answer %d", target, len(got.body), len(first.body))
				}
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("GET %s: no best form", target)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
}

// Text without repetition: the quick encoders of gzip and zstd store it as it is.
func TestQuickFormUseless(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	b := make([]byte, 50<<10)
	for i := range b {
		b[i] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[r.IntN(64)]
	}
	dir := t.TempDir()
	write(t, dir, "data.txt", string(b))
	s := serve(t, Options{Root: dir})
	s.h.believeAges()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		got := s.get("/data.txt", "Accept-Encoding: gzip")
		if got.status != 200 || len(got.body) > len(b) || string(decode(t, got.header.Get("Content-Encoding"), []byte(got.body))) != string(b) {
			t.Fatalf("GET = %d, %d bytes", got.status, len(got.body))
		}
		if len(got.body) < len(b)*8/10 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("no form smaller than %d bytes", len(got.body))
		}
	}
}

func TestSiblings(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.js", script)
	for c, data := range map[string]coding{"a.js.gz": codingGzip, "a.js.br": codingBrotli} {
		out, err := new(encoderSet).encode(data, []byte(script))
		if err != nil {
			t.Fatal(err)
		}
		write(t, dir, c, string(out)+"")
	}
	write(t, dir, "stale.js", script)
	stale := write(t, dir, "stale.js.gz", "not even gzip")
	if err := os.Chtimes(stale, time.Unix(1, 0), time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	s := serve(t, Options{Root: dir, CacheRevalidate: -1})
	// zstd is preferred to gzip, but the sibling is there already.
	if got := s.get("/a.js", "Accept-Encoding: gzip, zstd"); got.header.Get("Content-Encoding") != "gzip" {
		t.Errorf("sibling not taken: %v", got.header)
	}
	got := s.get("/a.js", "Accept-Encoding: gzip, br")
	if got.header.Get("Content-Encoding") != "br" || string(decode(t, "br", []byte(got.body))) != script ||
		got.header.Get("Content-Type") != "text/javascript; charset=utf-8" {
		t.Errorf("GET with siblings = %v", got.header)
	}
	part := s.get("/a.js", "Accept-Encoding: br", "Range: bytes=3-9")
	if part.status != 206 || part.body != got.body[3:10] || part.header.Get("Content-Encoding") != "br" {
		t.Errorf("range of a sibling = %d %q %v", part.status, part.body, part.header)
	}
	// Each form has a tag of its own, and holds for no other.
	tags := map[string]string{}
	for _, accept := range []string{"identity", "gzip", "br"} {
		tag := s.get("/a.js", "Accept-Encoding: "+accept).header.Get("ETag")
		for other, same := range tags {
			if tag == same || strings.HasPrefix(tag, "W/") {
				t.Errorf("%s and %s have the tags %s and %s, want different strong ones", other, accept, same, tag)
			}
			if got := s.get("/a.js", "Accept-Encoding: "+accept, "If-None-Match: "+same); got.status != 200 {
				t.Errorf("%s with the tag of %s = %d, want 200", accept, other, got.status)
			}
			if got := s.get("/a.js", "Accept-Encoding: "+accept, "Range: bytes=0-1", "If-Range: "+same); got.status != 200 {
				t.Errorf("a range of %s with the tag of %s = %d, want 200", accept, other, got.status)
			}
		}
		tags[accept] = tag
	}
	if got := s.get("/stale.js", "Accept-Encoding: gzip"); string(decode(t, "gzip", []byte(got.body))) != script {
		t.Error("a sibling older than its file was taken")
	}
	if err := os.Remove(filepath.Join(dir, "a.js.br")); err != nil {
		t.Fatal(err)
	}
	if got := s.get("/a.js", "Accept-Encoding: gzip, br"); got.header.Get("Content-Encoding") != "gzip" {
		t.Errorf("after the removal of a sibling: %v", got.header)
	}
	if got := s.get("/a.js.gz"); got.status != 200 || got.header.Get("Content-Type") != "application/gzip" || got.header.Get("Content-Encoding") != "" {
		t.Errorf("sibling by its own name = %d %v", got.status, got.header)
	}
}
