package static

import (
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
