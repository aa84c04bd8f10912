package static

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestStats(t *testing.T) {
	root := t.TempDir()
	names := []string{"0.bin", "1.bin", "2.bin", "large.bin"}
	for _, name := range names {
		size := 1000
		if name == "large.bin" {
			size = memoryLimit + 1
		}
		write(t, root, name, strings.Repeat("x", size))
	}
	s := serve(t, Options{Root: root, CacheSize: 1 << 20, CacheEntries: 640, CacheRevalidate: time.Hour})
	if got := s.h.Stats(); got.Entries != 0 || got.EntryLimit != 640 || got.Hits != 0 || got.Bytes != 0 || got.ByteLimit != 1<<20 || got.OpenLimit <= 0 {
		t.Errorf("at the start: %+v", got)
	}
	for range 2 {
		for _, name := range names {
			if got := s.get("/" + name); got.status != 200 {
				t.Fatalf("%s: %d", name, got.status)
			}
		}
	}
	got := s.h.Stats()
	if got.Entries != 4 || got.Hits != 4 || got.Misses != 4 || got.Bytes < 3000 || got.Bytes > 4000 || got.Items != 3 || got.OpenFiles != 1 {
		t.Errorf("after two rounds of four files: %+v", got)
	}
}

// What is kept stays within --cache-size, whatever is asked for: an eighth is for what
// the lists of it cost.
func TestStoreIsBounded(t *testing.T) {
	root := t.TempDir()
	const size, file = 1 << 20, 10_000
	for i := range 200 { // twice as much
		write(t, root, fmt.Sprintf("%d.txt", i), strings.Repeat("x", file))
	}
	s := serve(t, Options{Root: root, CacheSize: size, NoCompression: true, CacheRevalidate: time.Hour})
	for i := range 200 {
		if got := s.get(fmt.Sprintf("/%d.txt", i)); got.status != 200 || len(got.body) != file {
			t.Fatalf("%d: %d, %d bytes", i, got.status, len(got.body))
		}
		if got := s.h.Stats(); got.Bytes > size-size/8 {
			t.Fatalf("after %d files: %d bytes are kept, want %d at most", i+1, got.Bytes, size-size/8)
		}
	}
	if got := s.h.Stats(); got.Bytes < size/2 || got.Evictions < 100 {
		t.Errorf("%d bytes are kept and %d files were dropped: the memory is not used", got.Bytes, got.Evictions)
	}
}
