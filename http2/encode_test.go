package http2

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"
)

// decoded is what a decoder whose table has limit bytes makes of b.
func decoded(t testing.TB, d *hpack.Decoder, b []byte) string {
	t.Helper()
	fields, err := d.DecodeFull(b)
	if err != nil {
		t.Fatalf("%x: %v", b, err)
	}
	var text strings.Builder
	for _, f := range fields {
		fmt.Fprintf(&text, "%s=%s;", f.Name, f.Value)
	}
	return text.String()
}

// What is repeated costs a byte, unless it is likely to change.
func TestEncoderTable(t *testing.T) {
	var e encoder
	e.init()
	d := hpack.NewDecoder(encoderTable, nil)
	lengths := []int{}
	for range 2 {
		b := e.begin(nil, 200)
		b = e.field(b, "server", []byte("overlay"))
		b = e.field(b, "x-own", []byte("value"))
		n := len(b)
		b = e.field(b, "etag", []byte(`"abc"`))
		lengths = append(lengths, n)
		if got := decoded(t, d, b); got != `:status=200;server=overlay;x-own=value;etag="abc";` {
			t.Errorf("decoded %q", got)
		}
	}
	if lengths[0] < 10 || lengths[1] != 3 || len(e.entries) != 2 {
		t.Errorf("lengths %v, %d entries", lengths, len(e.entries))
	}
}

// The client's limit holds from the next head on, and is told first.
func TestEncoderLimit(t *testing.T) {
	var e encoder
	e.init()
	d := hpack.NewDecoder(encoderTable, nil)
	fill := func() {
		for i := range 300 {
			decoded(t, d, e.field(e.begin(nil, 404), fmt.Sprintf("x-%d", i), []byte(strings.Repeat("v", i))))
		}
	}
	fill()
	if e.size > encoderTable || e.size < encoderTable/2 {
		t.Errorf("%d bytes in a table of %d", e.size, encoderTable)
	}
	e.limit(0)
	e.limit(100)
	b := e.begin(nil, 200)
	if got, want := fmt.Sprintf("%x", b), "203f4588"; got != want {
		t.Errorf("sizes of the table: %s, want %s", got, want)
	}
	d.SetAllowedMaxDynamicTableSize(100)
	decoded(t, d, b)
	fill()
	if e.size > 100 {
		t.Errorf("%d bytes in a table of 100", e.size)
	}
	d.SetAllowedMaxDynamicTableSize(1 << 30)
	e.limit(1 << 30) // what is remembered here is bounded all the same
	fill()
	if e.max != encoderTable {
		t.Errorf("table of %d bytes", e.max)
	}
}

// Whatever is encoded, in whatever order, with whatever limits between, the client reads.
func FuzzEncoder(f *testing.F) {
	f.Add("server", "overlay", "x-a", "b", uint16(200), uint32(100))
	f.Add("etag", "\xff\x00", "content-type", strings.Repeat("z", 200), uint16(999), uint32(0))
	f.Fuzz(func(t *testing.T, name1, value1, name2, value2 string, status uint16, limit uint32) {
		var e encoder
		e.init()
		d := hpack.NewDecoder(encoderTable, nil)
		code := int(status)%900 + 100
		want := fmt.Sprintf(":status=%d;%s=%s;%s=%s;", code, name1, value1, name2, value2)
		for i := range 4 {
			if i == 2 {
				e.limit(limit)
			}
			b := e.field(e.field(e.begin(nil, code), name1, []byte(value1)), name2, []byte(value2))
			if got := decoded(t, d, b); got != want {
				t.Fatalf("decoded %q, want %q", got, want)
			}
			if e.size > e.max {
				t.Fatalf("%d bytes in a table of %d", e.size, e.max)
			}
		}
	})
}
