package pybridge

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// executable writes a file that can be run.
func executable(t testing.TB, text string, path ...string) string {
	t.Helper()
	name := filepath.Join(path...)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestFindPython(t *testing.T) {
	dir := t.TempDir()
	onPath := executable(t, "", dir, "path", "python3")
	executable(t, "", dir, "path", "pypy3")
	custom := executable(t, "", dir, "custom", "python3.99")
	venv := executable(t, "", dir, "venv", "bin", "python")
	executable(t, "", dir, "venv", "bin", "python3")
	near := executable(t, "", dir, "near", ".venv", "bin", "python")
	pypy := executable(t, "", dir, "pypyenv", "bin", "pypy3")
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "empty", "bin", "python"), 0o755); err != nil { // a directory named so
		t.Fatal(err)
	}
	linked := filepath.Join(dir, "linked", "bin", "python")
	if err := os.MkdirAll(filepath.Dir(linked), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(onPath, linked); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)

	at := func(name string) string { return filepath.Join(dir, name) }
	tests := []struct {
		name       string
		explicit   string
		virtualEnv string
		near       []string
		path       string
		want       string
		err        string // part of it
	}{
		{"on PATH", "", "", nil, at("path"), onPath, ""},
		{"not on PATH", "", "", nil, at("empty"), "", "no Python found: there is no python3 on PATH"},
		{"an executable", custom, at("venv"), []string{at("near")}, at("path"), custom, ""},
		{"a relative one", "custom/python3.99", "", nil, at("path"), custom, ""},
		{"a name on PATH", "pypy3", "", nil, at("path"), at("path/pypy3"), ""},
		{"a name not on PATH", "python3.42", "", nil, at("path"), "", "no Python found: there is no python3.42 on PATH"},
		{"a virtual environment", at("venv"), "", nil, at("path"), venv, ""},
		{"one of PyPy", at("pypyenv"), "", nil, at("path"), pypy, ""},
		{"a link stays a link", at("linked"), "", nil, at("path"), linked, ""},
		{"a directory without one", at("empty"), "", nil, at("path"), "", "is a directory without bin/python"},
		{"not there", at("gone/python"), "", nil, at("path"), "", "no such file"},
		{"not executable", plain, "", nil, at("path"), "", "is not executable"},
		{"VIRTUAL_ENV", "", at("venv"), []string{at("near")}, at("path"), venv, ""},
		{"VIRTUAL_ENV that is gone", "", at("gone"), []string{at("near")}, at("path"), "", "VIRTUAL_ENV=" + at("gone")},
		{"VIRTUAL_ENV without python", "", at("empty"), nil, at("path"), "", "VIRTUAL_ENV=" + at("empty")},
		{"near", "", "", []string{at("near")}, at("path"), near, ""},
		{"the second near", "", "", []string{at("custom"), at("near")}, at("path"), near, ""},
		{"none near", "", "", []string{at("custom")}, at("path"), onPath, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("VIRTUAL_ENV", tt.virtualEnv)
			t.Setenv("PATH", tt.path)
			got, err := FindPython(tt.explicit, tt.near...)
			if got != tt.want {
				t.Errorf("FindPython(%q, %q) = %q, want %q", tt.explicit, tt.near, got, tt.want)
			}
			if tt.err == "" && err != nil || tt.err != "" && (!errors.Is(err, ErrNoPython) || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("FindPython(%q, %q): %v, want %q", tt.explicit, tt.near, err, tt.err)
			}
		})
	}
}

// answering is an interpreter that answers the question with these fields.
func answering(fields ...string) string {
	return "#!/bin/sh\nprintf '" + strings.Join(fields, `\000`) + "'\n"
}

func TestInspect(t *testing.T) {
	dir := t.TempDir()
	tests := []struct {
		name   string
		script string
		want   string // String of the Interpreter
		err    string // part of it
		is     error
	}{
		{"CPython", answering("CPython", "3.11.7", "", "/prefix", "gil"), "CPython 3.11.7", "", nil},
		{"the oldest", answering("CPython", "3.9.0", "", "/prefix", "gil"), "CPython 3.9.0", "", nil},
		{"one version older", answering("CPython", "3.8.18", "", "/prefix", "gil"), "", "is 3.8.18, want 3.9 or later", ErrPythonTooOld},
		{"Python 2", answering("CPython", "2.7.18", "", "/prefix", "gil"), "", "is 2.7.18, want 3.9 or later", ErrPythonTooOld},
		{"Python 4", answering("CPython", "4.0.0", "", "/prefix", "gil"), "CPython 4.0.0", "", nil},
		{"PyPy", answering("PyPy", "3.10.14", "", "/prefix", "gil"), "PyPy 3.10.14", "", nil},
		{"free-threaded", answering("CPython", "3.13.0", "", "/prefix", "free-threaded"), "CPython 3.13.0 (free-threaded)", "", nil},
		{"garbage", "#!/bin/sh\necho hello\n", "", `got "hello\n", which no Python answers`, nil},
		{"nothing", "#!/bin/sh\n", "", `got "", which no Python answers`, nil},
		{"garbage for a version", answering("CPython", "three", "", "/prefix", "gil"), "", `got "three", want digits`, nil},
		{"endless garbage", "#!/bin/sh\nexec yes\n", "", "it prints more than 65536 bytes", nil},
		{"fails with words", "#!/bin/sh\necho '  cannot open libpython3.so' >&2\necho more >&2\nexit 127\n", "", "exit status 127: cannot open libpython3.so", nil},
		{"fails without", "#!/bin/sh\nexit 3\n", "", "exit status 3", nil},
		{"is no program", "\x00\x01", "", "exec format error", nil},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := executable(t, tt.script, dir, fmt.Sprint(i), "python")
			got, err := Inspect(t.Context(), path)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) || !strings.Contains(err.Error(), path) {
					t.Errorf("Inspect: %v, want the path and %q", err, tt.err)
				}
				if tt.is != nil && !errors.Is(err, tt.is) {
					t.Errorf("Inspect: %v, want %v", err, tt.is)
				}
				return
			}
			if err != nil || got.String() != tt.want || got.Path != path || got.Prefix != "/prefix" {
				t.Errorf("Inspect = %+v, %v, want %s", got, err, tt.want)
			}
		})
	}
}

// TestInspectShim: what a shim runs is what will be started.
func TestInspectShim(t *testing.T) {
	real := executable(t, "", t.TempDir(), "python3.11")
	shim := executable(t, answering("CPython", "3.11.7", real, "/prefix", "gil"), t.TempDir(), "python3")
	got, err := Inspect(t.Context(), shim)
	if err != nil || got.Path != real {
		t.Errorf("Inspect(%s) = %q, %v, want %s", shim, got.Path, err, real)
	}
}

// TestInspectHeldOutput: an answer counts although something that the shim has
// started keeps its output open.
func TestInspectHeldOutput(t *testing.T) {
	answer := strings.TrimPrefix(answering("CPython", "3.11.7", "", "/prefix", "gil"), "#!/bin/sh\n")
	path := executable(t, "#!/bin/sh\nsleep 600 &\necho $! > \"$0.pid\"\n"+answer, t.TempDir(), "python")
	t.Cleanup(func() { killNoted(t, path+".pid") })
	got, err := Inspect(t.Context(), path)
	if err != nil || got.Version != "3.11.7" {
		t.Errorf("Inspect = %+v, %v, want 3.11.7", got, err)
	}
}

// TestInspectHangs: an interpreter that does not answer is given up when ctx
// ends, also when something it has started holds its output open.
func TestInspectHangs(t *testing.T) {
	for name, script := range map[string]string{
		"itself":          "#!/bin/sh\necho $$ > \"$0.pid\"\nexec sleep 600\n",
		"what it started": "#!/bin/sh\nsleep 600 &\necho $! > \"$0.pid\"\nwait\n",
	} {
		t.Run(name, func(t *testing.T) {
			path := executable(t, script, t.TempDir(), "python")
			t.Cleanup(func() { killNoted(t, path+".pid") })
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			done := make(chan error, 1)
			go func() {
				_, err := Inspect(ctx, path)
				done <- err
			}()
			err := receive(t, "Inspect gives up", done)
			if err == nil || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), path) {
				t.Errorf("Inspect: %v, want the path and the deadline", err)
			}
		})
	}
}

// killNoted ends the process whose number stands in the file at path: Inspect
// ends what it has started itself, and nothing beyond.
func killNoted(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		return // it was given up before it wrote
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid <= 1 {
		t.Fatalf("process %q: %v", text, err)
	}
	_ = syscall.Kill(pid, syscall.SIGKILL) // or it has ended
}

func TestInspectReal(t *testing.T) {
	python := requirePython(t)
	if python.Implementation == "" || python.Version == "" || python.Prefix == "" || !filepath.IsAbs(python.Path) {
		t.Errorf("Inspect = %+v", python)
	}
}
