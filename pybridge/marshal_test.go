package pybridge

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
)

func TestAppendMarshal(t *testing.T) {
	tests := []struct {
		name string
		v    any
		want string
	}{
		{"true", true, "T"},
		{"false", false, "F"},
		{"zero", 0, "i\x00\x00\x00\x00"},
		{"number", 0x01020304, "i\x04\x03\x02\x01"},
		{"minus one", -1, "i\xff\xff\xff\xff"},
		{"empty string", "", "u\x00\x00\x00\x00"},
		{"string", "é", "u\x02\x00\x00\x00\xc3\xa9"},
		{"no strings", []string{}, "[\x00\x00\x00\x00"},
		{"strings", []string{"a", "b"}, "[\x02\x00\x00\x00u\x01\x00\x00\x00au\x01\x00\x00\x00b"},
		{"mixed list", []any{1, "a", true}, "[\x03\x00\x00\x00i\x01\x00\x00\x00u\x01\x00\x00\x00aT"},
		{"empty map", map[string]any{}, "{0"},
		{"map", map[string]any{"k": []any{}}, "{u\x01\x00\x00\x00k[\x00\x00\x00\x000"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := appendMarshal([]byte("before"), tt.v); string(got) != "before"+tt.want {
				t.Errorf("appendMarshal(%v) = %q, want %q", tt.v, got, tt.want)
			}
		})
	}
}

// TestMarshalIsPython: Python reads what was written, and nothing is left over.
func TestMarshalIsPython(t *testing.T) {
	python := requirePython(t)
	value := map[string]any{
		"numbers": []any{0, 1, -1, 2147483647, -2147483648},
		"strings": []string{"", "a", "é\u20ac\U0001F600", "with\x00NUL", strings.Repeat("x", 70_000)},
		"nested":  map[string]any{"yes": true, "no": false, "empty": []any{}, "none": map[string]any{}},
	}
	const program = `import marshal, sys
f = sys.stdin.buffer
value = marshal.load(f)
assert f.read() == b"", "bytes left over"
assert value == {
    "numbers": [0, 1, -1, 2147483647, -2147483648],
    "strings": ["", "a", "\u00e9\u20ac\U0001f600", "with\0NUL", "x" * 70000],
    "nested": {"yes": True, "no": False, "empty": [], "none": {}},
}, value`
	cmd := exec.Command(python.Path, "-c", program)
	cmd.Stdin = bytes.NewReader(appendMarshal(nil, value))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// TestHello: the first bytes for a worker process are a length and that much.
func TestHello(t *testing.T) {
	text := hello(map[string]any{"threads": 5})
	size := len(text) - 10
	if got := strings.TrimSpace(string(text[:10])); got == "" || len(got) > 9 {
		t.Fatalf("length %q", text[:10])
	}
	python := requirePython(t)
	const program = `import marshal, sys
f = sys.stdin.buffer
h = marshal.loads(f.read(int(f.read(10))))
assert f.read() == b"", "bytes left over"
assert h["settings"] == {"threads": 5}, h["settings"]
assert set(h["sources"]) > set(h["order"]) | {"boot", "overlay_module"} and h["order"][-1] == "main", h["order"]
for name, source in h["sources"].items():
    compile(source, name, "exec", dont_inherit=True)`
	cmd := exec.Command(python.Path, "-c", program)
	cmd.Stdin = bytes.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("program of %d bytes: %v: %s", size, err, out)
	}
}
