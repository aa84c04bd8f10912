package static

import (
	"math"
	"slices"
	"strings"
	"testing"
)

func TestParseRange(t *testing.T) {
	type rs = []byteRange
	for _, tt := range []struct {
		name, value string
		size        int64
		want        rs
		result      rangeResult
	}{
		{"first bytes", "bytes=0-4", 10, rs{{0, 5}}, rangeSatisfiable},
		{"one byte", "bytes=9-9", 10, rs{{9, 1}}, rangeSatisfiable},
		{"open end", "bytes=3-", 10, rs{{3, 7}}, rangeSatisfiable},
		{"suffix", "bytes=-3", 10, rs{{7, 3}}, rangeSatisfiable},
		{"suffix longer than the file", "bytes=-99", 10, rs{{0, 10}}, rangeSatisfiable},
		{"last past the end", "bytes=5-99", 10, rs{{5, 5}}, rangeSatisfiable},
		{"last does not fit in 64 bits", "bytes=5-99999999999999999999", 10, rs{{5, 5}}, rangeSatisfiable},
		{"unit in capitals", "BYTES=0-0", 10, rs{{0, 1}}, rangeSatisfiable},
		{"two ranges", "bytes=0-1,8-9", 10, rs{{0, 2}, {8, 2}}, rangeSatisfiable},
		{"order is kept", "bytes=8-9, 0-1", 10, rs{{8, 2}, {0, 2}}, rangeSatisfiable},
		{"white space and empty elements", "bytes= , 0-1 ,\t,2-3,", 10, rs{{0, 2}, {2, 2}}, rangeSatisfiable},
		{"one of two is satisfiable", "bytes=0-1,20-30", 10, rs{{0, 2}}, rangeSatisfiable},
		{"first past the end", "bytes=10-", 10, nil, rangeUnsatisfiable},
		{"first does not fit in 64 bits", "bytes=99999999999999999999-", 10, nil, rangeUnsatisfiable},
		{"empty suffix", "bytes=-0", 10, nil, rangeUnsatisfiable},
		{"none of two is satisfiable", "bytes=10-,20-30", 10, nil, rangeUnsatisfiable},
		{"last before first", "bytes=5-4", 10, nil, rangeIgnored},
		{"other unit", "lines=0-1", 10, nil, rangeIgnored},
		{"no ranges", "bytes=", 10, nil, rangeIgnored},
		{"only commas", "bytes=,,", 10, nil, rangeIgnored},
		{"dash alone", "bytes=-", 10, nil, rangeIgnored},
		{"no dash", "bytes=5", 10, nil, rangeIgnored},
		{"sign", "bytes=+1-2", 10, nil, rangeIgnored},
		{"letters", "bytes=a-b", 10, nil, rangeIgnored},
		{"space inside", "bytes=0 - 1", 10, nil, rangeIgnored},
		{"good and bad", "bytes=0-1,x", 10, nil, rangeIgnored},
		{"empty file", "bytes=0-", 0, nil, rangeIgnored},
		{"overlap beyond the size", "bytes=0-,0-", 10, nil, rangeIgnored},
		{"as many as allowed", "bytes=" + strings.TrimSuffix(strings.Repeat("0-0,", maxRanges), ","), 100,
			slices.Repeat(rs{{0, 1}}, maxRanges), rangeSatisfiable},
		{"one more than allowed", "bytes=" + strings.TrimSuffix(strings.Repeat("0-0,", maxRanges+1), ","), 100, nil, rangeIgnored},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, result := parseRange(nil, []byte(tt.value), tt.size)
			if !slices.Equal(got, tt.want) || result != tt.result {
				t.Errorf("parseRange(%q, %d) = %v, %v, want %v, %v", tt.value, tt.size, got, result, tt.want, tt.result)
			}
		})
	}
}

func TestAppendContentRange(t *testing.T) {
	if got := string(byteRange{2, 3}.appendContentRange(nil, 10)); got != "bytes 2-4/10" {
		t.Errorf("appendContentRange = %q, want %q", got, "bytes 2-4/10")
	}
}

// FuzzParseRange asserts that every range is a non-empty slice of the
// representation, that they are no longer than it together, and that whatever is
// not satisfiable yields no range.
func FuzzParseRange(f *testing.F) {
	for _, s := range []string{"bytes=0-", "bytes=-5", "bytes=1-2,3-4", "bytes=9223372036854775807-", "bytes=, ,"} {
		f.Add([]byte(s), int64(10))
	}
	f.Fuzz(func(t *testing.T, value []byte, size int64) {
		if size < 0 {
			size = -(size + 1)
		}
		content := make([]byte, min(size, 1<<12))
		got, result := parseRange(nil, value, size)
		if (result == rangeSatisfiable) != (len(got) > 0) || len(got) > maxRanges {
			t.Fatalf("parseRange(%q, %d) = %v, %v", value, size, got, result)
		}
		total := int64(0)
		for _, r := range got {
			if r.start < 0 || r.length <= 0 || r.start > math.MaxInt64-r.length || r.start+r.length > size {
				t.Fatalf("parseRange(%q, %d) has %v", value, size, r)
			}
			if total += r.length; total > size {
				t.Fatalf("parseRange(%q, %d) = %v, longer than the representation", value, size, got)
			}
			if size <= 1<<12 {
				_ = content[r.start : r.start+r.length]
			}
		}
	})
}
