package static

import (
	"io"
	"mime"
	"mime/multipart"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

func TestSeveralRanges(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "small.txt", "0123456789")
	write(t, dir, "large.bin", prose(memoryLimit+100))
	write(t, dir, "page.html", prose(4000))
	s := serve(t, Options{Root: dir})
	for _, tt := range []struct {
		target, ranges, accept string
		want                   []string // Content-Range
	}{
		{"/small.txt", "0-1,8-9", "identity", []string{"bytes 0-1/10", "bytes 8-9/10"}},
		{"/small.txt", "-2,0-0", "identity", []string{"bytes 8-9/10", "bytes 0-0/10"}},
		{"/small.txt", "0-0,50-60,5-5", "identity", []string{"bytes 0-0/10", "bytes 5-5/10"}},
		{"/large.bin", "5-9,60000-65700", "identity", nil},
		{"/page.html", "0-9,100-199", "gzip", nil},
	} {
		t.Run(tt.target+" "+tt.ranges, func(t *testing.T) {
			whole := s.get(tt.target, "Accept-Encoding: "+tt.accept)
			got := s.get(tt.target, "Accept-Encoding: "+tt.accept, "Range: bytes="+tt.ranges, "If-Range: "+whole.header.Get("ETag"))
			mediaType, params, err := mime.ParseMediaType(got.header.Get("Content-Type"))
			if err != nil || got.status != 206 || mediaType != "multipart/byteranges" || got.err != nil {
				t.Fatalf("GET = %d %v %v", got.status, got.header, got.err)
			}
			if got.header.Get("Content-Range") != "" || got.header.Get("Content-Encoding") != whole.header.Get("Content-Encoding") {
				t.Errorf("fields of the whole: %v", got.header)
			}
			parts := multipart.NewReader(strings.NewReader(got.body), params["boundary"])
			asked, _ := parseRange(nil, []byte("bytes="+tt.ranges), int64(len(whole.body)))
			for i, r := range asked {
				part, err := parts.NextPart()
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(part)
				if err != nil || string(body) != whole.body[r.start:r.start+r.length] {
					t.Errorf("part %d = %q, %v", i, body, err)
				}
				if v := part.Header.Get("Content-Type"); v != whole.header.Get("Content-Type") {
					t.Errorf("part %d: Content-Type %q", i, v)
				}
				if tt.want != nil && part.Header.Get("Content-Range") != tt.want[i] {
					t.Errorf("part %d: Content-Range %q, want %q", i, part.Header.Get("Content-Range"), tt.want[i])
				}
			}
			if _, err := parts.NextPart(); err != io.EOF {
				t.Errorf("after the last part: %v, want the end", err)
			}
		})
	}
	if err := os.Truncate(filepath.Join(dir, "large.bin"), 100); err != nil {
		t.Fatal(err)
	}
	if got := s.get("/large.bin", "Range: bytes=0-1,60000-60001"); got.status != 206 || got.header.Get("Content-Range") != "bytes 0-1/100" {
		t.Errorf("ranges of a truncated file = %d %v %q, want the one that is left", got.status, got.header, got.body)
	}
}

// A file that changes while its parts are sent never looks complete.
func TestSeveralRangesOfAChangedFile(t *testing.T) {
	dir := t.TempDir()
	const size = 4 << 20
	for name, change := range map[string]func(p string) error{
		"shorter": func(p string) error { return os.Truncate(p, size/2) },
		"written over": func(p string) error {
			return os.WriteFile(p, []byte(strings.Repeat("b", size)), 0o644)
		},
	} {
		p := write(t, dir, "a.bin", strings.Repeat("a", size))
		s := serve(t, Options{Root: dir, CacheRevalidate: -1})
		wrapped := serveHandler(t, func(ctx *fasthttp.RequestCtx) {
			s.h.Handle(ctx)
			if err := change(p); err != nil { // after the fields were decided, before the body is written
				t.Error(err)
			}
		}, nil)
		got := roundTrip(t, wrapped, "GET", "/a.bin", "Range: bytes=0-9,100-3999999")
		if got.status != 206 || got.err == nil || strings.HasSuffix(got.body, "--\r\n") {
			t.Errorf("%s: %d, %d bytes, %v; want a body cut short", name, got.status, len(got.body), got.err)
		}
	}
}
