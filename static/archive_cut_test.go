package static

import (
	"archive/tar"
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// askArchive asks for the archive of everything in a version of HTTP, and returns the
// answer with its body unread.
func askArchive(t *testing.T, s *testServer, version string) *http.Response {
	t.Helper()
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute))
	fmt.Fprintf(c, "GET /?download=tar HTTP/%s\r\nHost: test\r\nConnection: keep-alive\r\n\r\n", version)
	resp, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: "GET"})
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// HTTP/1.0 has no chunks (RFC 9112 section 6.1): the archive ends with its connection.
func TestDownloadHTTP10(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.txt", strings.Repeat("a", 300_000))
	s := serve(t, Options{Root: dir, DirectoryDownload: true})
	for version, chunked := range map[string]bool{"1.0": false, "1.1": true} {
		resp := askArchive(t, s, version)
		if got := len(resp.TransferEncoding) > 0; got != chunked || resp.ContentLength >= 0 {
			t.Errorf("HTTP/%s: in chunks %v, length %d, want %v and none", version, got, resp.ContentLength, chunked)
		}
		if !chunked && !resp.Close {
			t.Errorf("HTTP/%s: %v says that the connection goes on", version, resp.Header)
		}
		files := tar.NewReader(resp.Body)
		if f, err := files.Next(); err != nil || f.Name != "files/a.txt" || f.Size != 300_000 {
			t.Errorf("HTTP/%s: %+v, %v", version, f, err)
		}
		if _, err := files.Next(); err != io.EOF {
			t.Errorf("HTTP/%s: after the last file: %v", version, err)
		}
	}
}

// Half an archive does not look like a whole one, in either version.
func TestDownloadCut(t *testing.T) {
	for _, version := range []string{"1.0", "1.1"} {
		dir := t.TempDir()
		big := write(t, dir, "a.bin", "")
		if err := os.Truncate(big, 64<<20); err != nil { // more than sockets hold
			t.Fatal(err)
		}
		write(t, dir, "b.txt", "after it")
		s := serve(t, Options{Root: dir, DirectoryDownload: true})
		resp := askArchive(t, s, version)
		if _, err := io.ReadFull(resp.Body, make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(filepath.Join(dir, "a.bin"), 0); err != nil {
			t.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, resp.Body); err == nil {
			t.Errorf("HTTP/%s: %d bytes, and an end as if that were all", version, n)
		}
	}
}

// Listings and archives are bounded: a listing says so, an archive is cut.
func TestFolderBounds(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.txt", "b.txt", "c.txt", "sub/deep/d.txt"} {
		write(t, dir, name, "x")
	}
	s := serve(t, Options{Root: dir, Listing: true, DirectoryDownload: true})
	const cut = "The list is cut short."
	for most, want := range map[int]bool{4: false, 3: true} {
		s.h.maxListed = most
		if got := s.get("/"); strings.Contains(got.body, cut) != want || strings.Count(got.body, "<tr>")-1 != most {
			t.Errorf("four names with a bound of %d: %d rows, %q said: %v, want %v", most, strings.Count(got.body, "<tr>")-1, cut, !want, want)
		}
	}
	whole := func() bool {
		resp := askArchive(t, s, "1.1")
		_, err := io.Copy(io.Discard, resp.Body)
		return err == nil
	}
	for _, row := range []struct {
		files, depth int
		want         bool
	}{{6, 2, true}, {5, 2, false}, {6, 1, false}} { // four files in two folders, one below the other
		s.h.maxArchived, s.h.maxDepth = row.files, row.depth
		if got := whole(); got != row.want {
			t.Errorf("bounds of %d files and %d folders deep: whole %v, want %v", row.files, row.depth, got, row.want)
		}
	}
}
