package static

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

func TestFields(t *testing.T) {
	s := serve(t, Options{Root: testRoot(t)})
	got := s.get("/a.txt")
	for name, want := range map[string]string{
		"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff",
		"Accept-Ranges": "bytes", "Content-Length": "10",
	} {
		if v := got.header.Get(name); v != want {
			t.Errorf("%s = %q, want %q", name, v, want)
		}
	}
	tag, date := got.header.Get("ETag"), got.header.Get("Last-Modified")
	if len(tag) < 3 || tag[0] != '"' || date == "" {
		t.Errorf("ETag = %q, Last-Modified = %q", tag, date)
	}
	head := s.do("HEAD", "/a.txt")
	if head.status != 200 || head.body != "" || head.header.Get("Content-Length") != "10" || head.header.Get("ETag") != tag {
		t.Errorf("HEAD = %+v", head)
	}
	for _, tt := range []struct {
		name string
		want answer
		line string
	}{
		{"known tag", answer{status: 304}, "If-None-Match: " + tag},
		{"known date", answer{status: 304}, "If-Modified-Since: " + date},
		{"other tag", answer{status: 412, body: "412 Precondition Failed\n"}, `If-Match: "x"`},
		{"range", answer{status: 206, body: "234"}, "Range: bytes=2-4"},
		{"suffix range", answer{status: 206, body: "89"}, "Range: bytes=-2"},
		{"range past the end", answer{status: 416, body: "416 Requested Range Not Satisfiable\n"}, "Range: bytes=10-"},
		{"range, tag holds", answer{status: 206, body: "0"}, "Range: bytes=0-0\r\nIf-Range: " + tag},
		{"range, tag does not hold", answer{status: 200, body: "0123456789"}, "Range: bytes=0-0\r\nIf-Range: \"x\""},
		{"304 before the range", answer{status: 304}, "Range: bytes=99-\r\nIf-None-Match: " + tag},
	} {
		got := s.get("/a.txt", tt.line)
		if got.status != tt.want.status || got.body != tt.want.body {
			t.Errorf("%s: %d %q, want %d %q", tt.name, got.status, got.body, tt.want.status, tt.want.body)
		}
		switch got.status {
		case 304:
			if got.header.Get("ETag") != tag || got.header.Get("Content-Type") != "" || got.header.Get("Content-Length") != "" {
				t.Errorf("%s: fields %v", tt.name, got.header)
			}
		case 416:
			if v := got.header.Get("Content-Range"); v != "bytes */10" {
				t.Errorf("%s: Content-Range = %q, want %q", tt.name, v, "bytes */10")
			}
		}
	}
	if v := s.get("/a.txt", "Range: bytes=2-4").header.Get("Content-Range"); v != "bytes 2-4/10" {
		t.Errorf("Content-Range = %q, want %q", v, "bytes 2-4/10")
	}
}

func TestLargeFile(t *testing.T) {
	dir := testRoot(t)
	want, err := os.ReadFile(filepath.Join(dir, "big.bin"))
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, Options{Root: dir})
	if got := s.get("/big.bin"); got.status != 200 || got.body != string(want) {
		t.Errorf("GET = %d, %d bytes, %v, want 200 and the file's %d", got.status, len(got.body), got.err, len(want))
	}
	if got := s.get("/big.bin", "Range: bytes=100001-900000"); got.status != 206 || got.body != string(want[100001:900001]) {
		t.Errorf("range = %d, %d bytes, %v", got.status, len(got.body), got.err)
	}
	if got := s.do("HEAD", "/big.bin"); got.status != 200 || got.header.Get("Content-Length") != fmt.Sprint(len(want)) {
		t.Errorf("HEAD = %+v", got)
	}
}

// Range is for GET (RFC 9110 section 14.2), and of two Range fields none is understood.
func TestRangeIsForGET(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.txt", "0123456789")
	s := serve(t, Options{Root: dir})
	for _, row := range []struct {
		method string
		lines  []string
		status int
		length string
	}{
		{"GET", []string{"Range: bytes=0-3"}, 206, "4"},
		{"HEAD", []string{"Range: bytes=0-3"}, 200, "10"},
		{"HEAD", []string{"Range: bytes=99-"}, 200, "10"},
		{"GET", []string{"Range: bytes=0-3", "Range: bytes=0-3"}, 200, "10"},
	} {
		got := s.do(row.method, "/a.txt", row.lines...)
		if got.status != row.status || got.header.Get("Content-Length") != row.length || (got.header.Get("Content-Range") != "") != (row.status == 206) {
			t.Errorf("%s with %q = %d %v, want %d and %s bytes", row.method, row.lines, got.status, got.header, row.status, row.length)
		}
	}
}
