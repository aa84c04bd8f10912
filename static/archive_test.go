package static

import (
	"archive/tar"
	"archive/zip"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestDownload(t *testing.T) {
	dir := listingRoot(t)
	for _, empty := range []string{"list/empty", "list/sub/hidden only/.git"} {
		if err := os.MkdirAll(filepath.Join(dir, empty), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s := serve(t, Options{Root: dir, Listing: true, DirectoryDownload: true})
	want := map[string]string{"list/b.txt": "bb", "list/a#1?.txt": "a", "list/<script>.txt": "cccc", "list/sub/deep.txt": "deep", "list/link.txt": "bb",
		"list/empty/": "", "list/sub/hidden only/": ""}
	check := func(format string, got map[string]string) {
		t.Helper()
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s holds %v, want %v", format, got, want)
		}
	}
	a := s.get("/list/?download=zip")
	z, err := zip.NewReader(strings.NewReader(a.body), int64(len(a.body)))
	if err != nil || a.header.Get("Content-Disposition") != `attachment; filename="list.zip"; filename*=UTF-8''list.zip` {
		t.Fatalf("zip: %v %v", err, a.header)
	}
	got := map[string]string{}
	if !slices.IsSortedFunc(z.File, func(a, b *zip.File) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("zip: the files are not in the order of their names")
	}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		got[f.Name] = string(b)
	}
	check("zip", got)
	a = s.get("/list/?download=tar")
	got = map[string]string{}
	for r := tar.NewReader(strings.NewReader(a.body)); ; {
		f, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(r)
		got[f.Name] = string(b)
	}
	check("tar", got)
	// A folder with an index file can be had, a file and a missing folder cannot.
	for target, want := range map[string]string{
		"/with/?download=zip": "application/zip", "/?download=tar": "application/x-tar",
		"/a.txt?download=zip": "text/plain; charset=utf-8", "/missing/?download=zip": "text/plain; charset=utf-8",
		"/list/?download=rar": "text/html; charset=utf-8",
	} {
		if got := s.get(target).header.Get("Content-Type"); got != want {
			t.Errorf("GET %s: Content-Type %q, want %q", target, got, want)
		}
	}
	if got := s.do("HEAD", "/list/?download=zip"); got.status != 200 || got.body != "" {
		t.Errorf("HEAD = %d %q", got.status, got.body)
	}
	off := serve(t, Options{Root: listingRoot(t), Listing: true})
	if got := off.get("/list/?download=zip"); got.header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("without the option: %v", got.header)
	}
}

// A client that goes away in the middle of an archive ends the reading.
func TestDownloadGivenUp(t *testing.T) {
	dir := t.TempDir()
	for i := range 20 {
		write(t, dir, fmt.Sprintf("%d.bin", i), strings.Repeat("x", 1<<20))
	}
	s := serve(t, Options{Root: dir, DirectoryDownload: true, Listing: true})
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "GET /?download=tar HTTP/1.1\r\nHost: test\r\n\r\n")
	if _, err := io.ReadFull(c, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	c.Close()
	// The server's cleanup waits for the goroutine; it hangs if that does not end.
}
