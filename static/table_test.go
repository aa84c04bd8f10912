package static

import (
	"fmt"
	"testing"
)

// The table stays within its bound, keeps what is in use, and gives back descriptors.
func TestTableIsBounded(t *testing.T) {
	dropped := map[*entry]bool{}
	table := newTable(tableShards, func(e *entry) { dropped[e] = true })
	entries := map[string]*entry{}
	for i := range 1000 {
		e := &entry{path: fmt.Sprintf("/%d", i)}
		entries[e.path] = e
		table.put(table.hash([]byte(e.path)), e)
	}
	if n := table.len(); n > tableShards || n+len(dropped) != 1000 {
		t.Errorf("after 1000 entries: %d kept, %d dropped, want at most %d kept", n, len(dropped), tableShards)
	}
	table.each(func(e *entry) {
		if dropped[e] || table.get(table.hash([]byte(e.path)), []byte(e.path)) != e {
			t.Errorf("entry %s is listed and gone", e.path)
		}
	})
	for path, e := range entries {
		table.remove(table.hash([]byte(path)), e)
	}
	if n := table.len(); n != 0 || len(dropped) != 1000 {
		t.Errorf("after all were removed: %d kept, %d dropped", n, len(dropped))
	}
}
