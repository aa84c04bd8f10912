package static

import (
	"fmt"
	"slices"
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

// What was asked for since the last time is spared; what was not makes room.
func TestTableSparesWhatIsUsed(t *testing.T) {
	var dropped []string
	table := newTable(3*tableShards, func(e *entry) { dropped = append(dropped, e.path) })
	put := func(path string) { table.put(0, &entry{path: path}) } // all in one shard
	for _, path := range []string{"a", "b", "c"} {
		put(path)
	}
	use := func(path string) {
		e := table.get(0, []byte(path))
		if e == nil {
			t.Fatalf("%s is gone", path)
		}
		e.touch()
	}
	use("a")
	put("d") // in the place of b
	use("a")
	use("c")
	put("e") // of d
	put("f") // of c, which the hand comes to first
	if want := []string{"b", "d", "c"}; !slices.Equal(dropped, want) {
		t.Errorf("dropped %q, want %q", dropped, want)
	}
}
