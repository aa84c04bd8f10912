package static

import (
	"math"
	"testing"
)

func TestStoreKey(t *testing.T) {
	k := storeKey{codingGzip, levelBest, 3, version{math.MaxUint64, 5, 1 << 20, -7, 1e18, kindRegular}, 9, "a b/c+d%20e,f"}
	got, err := parseStoreKey(k.String())
	if err != nil || got != k {
		t.Errorf("parseStoreKey(%q) = %+v, %v, want %+v", k.String(), got, err, k)
	}
	for _, bad := range []string{"", "a", "a,0,0,0,0,0,0,0,0,0,", "a,9,0,0,0,0,0,0,0,0,x", "a,0,0,-1,0,0,0,0,0,0,x", "a,0,0,0,0,0,zzzzzzzz,0,0,0,x", "a,0,0,0,0,0,0,0,0,0,%",
		"0,0,0,0,0,0,0,0,0,x", "A,0,0,0,0,0,0,0,0,0,x"} {
		if k, err := parseStoreKey(bad); err == nil {
			t.Errorf("parseStoreKey(%q) = %+v, want an error", bad, k)
		}
	}
}

// FuzzStoreKey asserts that a key that is accepted, from a peer, means one thing only.
func FuzzStoreKey(f *testing.F) {
	f.Add("a,0,1,0,0,0,a,b,c,0,a%20b")
	f.Add("a,3,0,0,-1,0,zz,-b,c,1,x")
	f.Fuzz(func(t *testing.T, s string) {
		k, err := parseStoreKey(s)
		if err != nil {
			return
		}
		if again, err := parseStoreKey(k.String()); err != nil || again != k || k.version.size < 0 || k.tree < 0 || k.name == "" {
			t.Fatalf("parseStoreKey(%q) = %+v, and of its string %+v, %v", s, k, again, err)
		}
	})
}
