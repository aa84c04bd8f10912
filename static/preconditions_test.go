package static

import (
	"bytes"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

var (
	testModified = time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	testDates    = struct{ same, before, after string }{
		"Mon, 04 May 2026 03:02:01 GMT", "Mon, 04 May 2026 03:02:00 GMT", "Mon, 04 May 2026 03:02:02 GMT",
	}
)

func testValidators() *validators {
	return &validators{etag: []byte(`"a"`), modified: testModified, field: []byte(testDates.same)}
}

func TestEvaluate(t *testing.T) {
	d := testDates
	type fields [][2]string
	for _, tt := range []struct {
		name   string
		fields fields
		want   verdict
	}{
		{"none", nil, verdictSend},
		{"If-Match equal", fields{{"If-Match", `"a"`}}, verdictSend},
		{"If-Match in a list", fields{{"If-Match", `"x", "a"`}}, verdictSend},
		{"If-Match in a second field", fields{{"If-Match", `"x"`}, {"If-Match", `"a"`}}, verdictSend},
		{"If-Match star", fields{{"If-Match", `*`}}, verdictSend},
		{"If-Match different", fields{{"If-Match", `"x"`}}, verdictFailed},
		{"If-Match is strong", fields{{"If-Match", `W/"a"`}}, verdictFailed},
		{"If-Match without quotes", fields{{"If-Match", `a`}}, verdictFailed},
		{"If-Unmodified-Since same", fields{{"If-Unmodified-Since", d.same}}, verdictSend},
		{"If-Unmodified-Since later", fields{{"If-Unmodified-Since", d.after}}, verdictSend},
		{"If-Unmodified-Since earlier", fields{{"If-Unmodified-Since", d.before}}, verdictFailed},
		{"If-Unmodified-Since no date", fields{{"If-Unmodified-Since", "yesterday"}}, verdictSend},
		{"If-Match decides over If-Unmodified-Since", fields{{"If-Match", `"a"`}, {"If-Unmodified-Since", d.before}}, verdictSend},
		{"If-None-Match equal", fields{{"If-None-Match", `"a"`}}, verdictNotModified},
		{"If-None-Match weak", fields{{"If-None-Match", `W/"a"`}}, verdictNotModified},
		{"If-None-Match star", fields{{"If-None-Match", `*`}}, verdictNotModified},
		{"If-None-Match list", fields{{"If-None-Match", `"x",,W/"y" , "a"`}}, verdictNotModified},
		{"If-None-Match tag with a comma", fields{{"If-None-Match", `"x,y", "a"`}}, verdictNotModified},
		{"If-None-Match different", fields{{"If-None-Match", `"x"`}}, verdictSend},
		{"If-None-Match broken before the tag", fields{{"If-None-Match", `"x" "a"`}}, verdictSend},
		{"If-None-Match decides over If-Modified-Since", fields{{"If-None-Match", `"x"`}, {"If-Modified-Since", d.same}}, verdictSend},
		{"If-Modified-Since same", fields{{"If-Modified-Since", d.same}}, verdictNotModified},
		{"If-Modified-Since later", fields{{"If-Modified-Since", d.after}}, verdictNotModified},
		{"If-Modified-Since earlier", fields{{"If-Modified-Since", d.before}}, verdictSend},
		{"If-Modified-Since RFC 850", fields{{"If-Modified-Since", "Monday, 04-May-26 03:02:01 GMT"}}, verdictNotModified},
		{"If-Modified-Since asctime", fields{{"If-Modified-Since", "Mon May  4 03:02:01 2026"}}, verdictNotModified},
		{"If-Modified-Since no date", fields{{"If-Modified-Since", "x"}}, verdictSend},
		{"If-Match fails before If-None-Match matches", fields{{"If-Match", `"x"`}, {"If-None-Match", `"a"`}}, verdictFailed},
		{"If-Unmodified-Since fails before If-None-Match matches", fields{{"If-Unmodified-Since", d.before}, {"If-None-Match", `"a"`}}, verdictFailed},
		{"If-Match holds, then If-None-Match matches", fields{{"If-Match", `"a"`}, {"If-None-Match", `"a"`}}, verdictNotModified},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var h fasthttp.RequestHeader
			for _, f := range tt.fields {
				h.Add(f[0], f[1])
			}
			if got, _ := testValidators().evaluate(&h); got != tt.want {
				t.Errorf("evaluate(%v) = %v, want %v", tt.fields, got, tt.want)
			}
		})
	}
}

func TestRangeHolds(t *testing.T) {
	later := testModified.Add(time.Hour)
	for _, tt := range []struct {
		name, value string
		now         time.Time
		coded, want bool
	}{
		{"no field", "", later, false, true},
		{"same tag", `"a"`, later, false, true},
		{"same tag, coded", `"a"`, later, true, true},
		{"other tag", `"b"`, later, false, false},
		{"weak tag", `W/"a"`, later, false, false},
		{"same date", testDates.same, later, false, true},
		{"same date, coded", testDates.same, later, true, false},
		{"same date within its second", testDates.same, testModified.Add(time.Second), false, false},
		{"later date", testDates.after, later, false, false},
		{"earlier date", testDates.before, later, false, false},
		{"no date", "x", later, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := testValidators()
			v.coded = tt.coded
			if got := v.rangeHolds([]byte(tt.value), tt.now); got != tt.want {
				t.Errorf("rangeHolds(%q) = %t, want %t", tt.value, got, tt.want)
			}
		})
	}
}

// FuzzMatchETag asserts that a list that was written correctly finds each of its
// members, whatever stands before it in other values.
func FuzzMatchETag(f *testing.F) {
	f.Add([]byte(`"x", W/"y"`), "a")
	f.Add([]byte(`*`), "b-c")
	f.Add([]byte(`"x" "y`), "")
	f.Fuzz(func(t *testing.T, noise []byte, tag string) {
		for _, c := range []byte(tag) {
			if c <= 0x20 || c == 0x7f || c == '"' {
				return
			}
		}
		quoted := []byte(`"` + tag + `"`)
		list := append(append([]byte(`W/"other", `), quoted...), ` , "z"`...)
		if matchETag([][]byte{noise, list}, false, quoted, nil) == nil {
			t.Fatalf("matchETag(%q, %q) does not find %q", noise, list, quoted)
		}
		if got := matchETag([][]byte{noise}, true, quoted, nil); got != nil && !bytes.Contains(noise, quoted) && !bytes.ContainsRune(noise, '*') {
			t.Fatalf("matchETag(%q) = %q out of nowhere", noise, got)
		}
	})
}
