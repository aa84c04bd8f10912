package static

import (
	"os"
	"testing"
)

func TestETagChangesWithTheFile(t *testing.T) {
	dir := t.TempDir()
	p := write(t, dir, "a.txt", "one")
	s := serve(t, Options{Root: dir})
	before := s.get("/a.txt").header.Get("ETag")
	info, err := os.Stat(p)
	if err != nil {
		t.Fatal(err)
	}
	// Same size, same mtime, another file: what cp -p or a build with a fixed
	// clock leaves behind.
	q := write(t, dir, "b.txt", "two")
	if err := os.Chtimes(q, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(q, p); err != nil {
		t.Fatal(err)
	}
	s2 := serve(t, Options{Root: dir})
	if got := s2.get("/a.txt", "If-None-Match: "+before); got.status != 200 || got.body != "two" {
		t.Errorf("after the replacement: %d %q, want 200 %q", got.status, got.body, "two")
	}
}
