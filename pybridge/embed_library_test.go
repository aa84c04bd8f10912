package pybridge

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLibraryBuildFind(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{
		"named/libpython3.11.so.1.0", "linked/libpython3.11.so", "static/libpython3.11.a",
		"multi/x86_64-linux-gnu/libpython3.11.so.1.0", "prefix/lib/libpython3.11.so.1.0", "free/libpython3.13t.so.1.0",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name  string
		build libraryBuild
		want  string // below dir; "" for ErrNoLibrary
	}{
		{"INSTSONAME", libraryBuild{"CPython", "3.11", "named", []string{"libpython3.11.so.1.0", "libpython3.11.so"}, "", "", ""}, "named/libpython3.11.so.1.0"},
		{"LDLIBRARY", libraryBuild{"CPython", "3.11", "linked", []string{"", "libpython3.11.so"}, "", "", ""}, "linked/libpython3.11.so"},
		{"a static library cannot be loaded", libraryBuild{"CPython", "3.11", "static", []string{"libpython3.11.a", "libpython3.11.a"}, "", "", ""}, ""},
		{"beside what a static build names", libraryBuild{"CPython", "3.11", "named", []string{"libpython3.11.a", "libpython3.11.a"}, "", "", ""}, "named/libpython3.11.so.1.0"},
		{"Debian's folder of the architecture", libraryBuild{"CPython", "3.11", "multi", []string{"libpython3.11.so.1.0"}, "x86_64-linux-gnu", "", ""}, "multi/x86_64-linux-gnu/libpython3.11.so.1.0"},
		{"a Python that has been moved", libraryBuild{"CPython", "3.11", "gone", []string{"libpython3.11.so.1.0"}, "", "prefix", ""}, "prefix/lib/libpython3.11.so.1.0"},
		{"free-threaded", libraryBuild{"CPython", "3.13", "free", nil, "", "", "t"}, "free/libpython3.13t.so.1.0"},
		{"nothing there", libraryBuild{"CPython", "3.12", "named", []string{"libpython3.12.so.1.0"}, "", "", ""}, ""},
		{"PyPy", libraryBuild{"PyPy", "3.11", "named", []string{"libpython3.11.so.1.0"}, "", "", ""}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.build.directory = filepath.Join(dir, tt.build.directory)
			if tt.build.prefix != "" {
				tt.build.prefix = filepath.Join(dir, tt.build.prefix)
			}
			got, err := tt.build.find("/usr/bin/python3")
			if tt.want == "" {
				if !errors.Is(err, ErrNoLibrary) || !strings.Contains(err.Error(), "/usr/bin/python3") {
					t.Errorf("find() = %q, %v, want ErrNoLibrary and the interpreter's name", got, err)
				}
				return
			}
			if err != nil || got != filepath.Join(dir, tt.want) {
				t.Errorf("find() = %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

// TestNoLibraryNamesThePackage: the error is for somebody who has to install something.
func TestNoLibraryNamesThePackage(t *testing.T) {
	b := libraryBuild{implementation: "CPython", version: "3.11", directory: "/usr/lib/nowhere"}
	_, err := b.find("/usr/bin/python3")
	for _, want := range []string{"package libpython3.11", "PYTHON_CONFIGURE_OPTS=--enable-shared", "libpython3.11.so"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want it to say %q", err, want)
		}
	}
}

func TestLibraryOfNoPython(t *testing.T) {
	path := filepath.Join(t.TempDir(), "python")
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho no Python >&2\nexit 3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Library(context.Background(), path); err == nil || !strings.Contains(err.Error(), "no Python") {
		t.Errorf("Library = %v, want what it printed", err)
	}
}
