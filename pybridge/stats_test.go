package pybridge

import (
	"testing"
)

// TestBacklogsCount: what is held is counted as long as it is, in memory and in a
// file, whether it is taken or dropped.
func TestBacklogsCount(t *testing.T) {
	var count Backlogs
	check := func(when string, memory, files, bytes int64) {
		t.Helper()
		if count.Memory() != memory || count.Files() != files || count.FileBytes() != bytes {
			t.Errorf("%s: %d bytes in memory, %d files with %d bytes, want %d, %d, %d",
				when, count.Memory(), count.Files(), count.FileBytes(), memory, files, bytes)
		}
	}
	add := func(b *backlog, n int) {
		t.Helper()
		if err := b.add(make([]byte, n)); err != nil {
			t.Fatal(err)
		}
	}
	b := &backlog{bound: 10, count: &count}
	add(b, 10)
	check("full memory", 10, 0, 0)
	add(b, 7)
	check("beyond it", 10, 1, 7)
	for _, want := range []int64{7, 0} {
		if _, err := b.take(); err != nil {
			t.Fatal(err)
		}
		check("taken", 0, 1, want)
	}
	add(b, 4)
	b.reset(10)
	check("dropped from memory", 0, 0, 0)
	add(b, 10)
	add(b, 10)
	b.reset(0)
	check("dropped from the file", 0, 0, 0)
}
