package pybridge

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestFileNames: an answer in several frames is one answer, and one beyond the
// bound is a fault.
func TestFileNames(t *testing.T) {
	half := strings.Repeat("x", maxFileNames/2)
	tests := []struct {
		name   string
		frames []string // all but the last without flagLast
		want   []string
		fault  bool
	}{
		{"none", []string{""}, nil, false},
		{"one frame", []string{"/a\x00/b"}, []string{"/a", "/b"}, false},
		{"several", []string{"/a\x00/b", "/c", "", "/d"}, []string{"/a", "/b", "/c", "/d"}, false},
		{"as much as is taken", []string{half, half}, []string{half, half}, false},
		{"one byte more", []string{half, half, "x"}, nil, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var f fileNames
			for i, text := range tt.frames {
				last := i == len(tt.frames)-1
				h := frameHeader{}
				if last {
					h.flags = flagLast
				}
				whole, err := f.add(h, []byte(text))
				if tt.fault && last {
					if err == nil {
						t.Error("no error beyond the bound")
					}
					return
				}
				if err != nil || whole != last {
					t.Fatalf("frame %d: whole %v, %v", i, whole, err)
				}
			}
			if !slices.Equal(f.names, tt.want) {
				t.Errorf("got %d names, want %d", len(f.names), len(tt.want))
			}
		})
	}
}

// TestManyFiles: more names than fit into a frame do not end the worker process.
func TestManyFiles(t *testing.T) {
	const modules = 30_000
	w, _ := startScript(t, fmt.Sprintf(`
import sys
for number in range(%d):
    module = type(sys)("made_%%d" %% number)
    module.__file__ = "/made/%%05d/%s.py" %% number
    sys.modules[module.__name__] = module

def application(environ, start_response):
    start_response("200 OK", [])
    return [b"hello"]
`, modules, strings.Repeat("long", 20)))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	files, err := w.Files(ctx)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(files)
	files = slices.Compact(files)
	made := 0
	for _, name := range files {
		if strings.HasPrefix(name, "/made/") {
			if want := fmt.Sprintf("/made/%05d/", made); !strings.HasPrefix(name, want) {
				t.Fatalf("got %s, want one in %s", name, want)
			}
			made++
		}
	}
	if made != modules {
		t.Errorf("got %d names, want %d", made, modules)
	}
	if again, err := w.Files(ctx); err != nil || len(again) != 0 {
		t.Errorf("asked again: %d names, %v, want none", len(again), err)
	}
	if state := w.State(); state != "" {
		t.Errorf("the worker process has ended: %s", state)
	}
}

// TestFilesOfExchangedModule: a module that takes the place of another is found, although there are as many as before.
func TestFilesOfExchangedModule(t *testing.T) {
	w, _ := startScript(t, `
import sys
def add(name):
    module = type(sys)(name)
    module.__file__ = "/made/%s.py" % name
    sys.modules[name] = module

add("first")

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    if sys.modules.pop("first", None):
        add("second")
    return [b"hello"]
`)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if files, err := w.Files(ctx); err != nil || !slices.Contains(files, "/made/first.py") {
		t.Fatalf("at first: %q, %v", files, err)
	}
	if answer, err := ask(t, w, "/"); err != nil {
		t.Fatal(answer, err)
	}
	if files, err := w.Files(ctx); err != nil || !slices.Contains(files, "/made/second.py") {
		t.Errorf("then: %q, %v; want /made/second.py", files, err)
	}
}
