package static

import "testing"

func TestParseAcceptEncoding(t *testing.T) {
	const no, last = 0, 1
	for _, tt := range []struct {
		name, value string
		want        weights // br, zstd, gzip, identity
	}{
		{"browser", "gzip, deflate, br, zstd", weights{1000, 1000, 1000, last}},
		{"empty", "", weights{no, no, no, last}},
		{"one", "gzip", weights{no, no, 1000, last}},
		{"old name", "x-gzip", weights{no, no, 1000, last}},
		{"capitals", "GZIP;Q=0.5", weights{no, no, 500, last}},
		{"weights", "br;q=0.1, gzip;q=0.9", weights{100, no, 900, last}},
		{"three decimals", "br;q=0.123", weights{123, no, no, last}},
		{"one point nought", "br;q=1.000", weights{1000, no, no, last}},
		{"refused", "br;q=0, gzip", weights{no, no, 1000, last}},
		{"refused in full", "br;q=0.000, gzip", weights{no, no, 1000, last}},
		{"star", "*", weights{1000, 1000, 1000, last}},
		{"star with a weight", "*;q=0.5, gzip", weights{500, 500, 1000, last}},
		{"star refused", "gzip, *;q=0", weights{no, no, 1000, no}},
		{"everything refused", "*;q=0", weights{no, no, no, no}},
		{"identity named beside refused star", "identity, *;q=0", weights{no, no, no, 1000}},
		{"identity refused", "identity;q=0, gzip", weights{no, no, 1000, no}},
		{"identity first", "identity, gzip;q=0.5", weights{no, no, 500, 1000}},
		{"spaces", " br ; q=0.5 ,\tgzip", weights{500, no, 1000, last}},
		{"broken weight", "br;q=2, gzip", weights{no, no, 1000, last}},
		{"weight with four decimals", "br;q=0.1234, gzip", weights{no, no, 1000, last}},
		{"weight above one", "br;q=1.001, gzip", weights{no, no, 1000, last}},
		{"other parameter", "br;level=5, gzip", weights{no, no, 1000, last}},
		{"unknown coding", "compress", weights{no, no, no, last}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := parseAcceptEncoding([]byte(tt.value)); got != tt.want {
				t.Errorf("parseAcceptEncoding(%q) = %v, want %v", tt.value, got, tt.want)
			}
		})
	}
	if got, want := parseAcceptEncoding([]byte("br"), []byte("gzip")), (weights{1000, 0, 1000, 1}); got != want {
		t.Errorf("two fields = %v, want %v", got, want)
	}
}

// FuzzNegotiate asserts that every weight is in range, and that refusing a coding at
// the end refuses it, whatever stands before.
func FuzzNegotiate(f *testing.F) {
	for _, s := range []string{"gzip, br", "*;q=0.5", "identity;q=0", "br;q=,", ";;q=1"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		for c, q := range parseAcceptEncoding(value) {
			if q < 0 || q > 1000 {
				t.Fatalf("parseAcceptEncoding(%q): weight of %v = %d", value, coding(c), q)
			}
		}
		if got := parseAcceptEncoding(value, []byte("br;q=0")); got[codingBrotli] != 0 {
			t.Fatalf("parseAcceptEncoding(%q, br;q=0) = %v, want br refused", value, got)
		}
	})
}
