package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"runtime/debug"
	"strings"
	"testing"
)

func TestVersionOf(t *testing.T) {
	revision := debug.BuildSetting{Key: "vcs.revision", Value: "0123456789abcdef0123456789abcdef01234567"}
	modified := debug.BuildSetting{Key: "vcs.modified", Value: "true"}
	for _, test := range []struct {
		name string
		info debug.BuildInfo
		want string
	}{
		{"release", debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}}, "v1.2.3"},
		{"from a repository", debug.BuildInfo{Main: debug.Module{Version: "v0.0.0-20261121"}, Settings: []debug.BuildSetting{revision}}, "devel 0123456789ab"},
		{"with changes", debug.BuildInfo{Settings: []debug.BuildSetting{revision, modified}}, "devel 0123456789ab with changes"},
		{"go run, go test", debug.BuildInfo{Main: debug.Module{Version: "(devel)"}}, "devel"},
		{"nothing known", debug.BuildInfo{}, "devel"},
	} {
		if got := versionOf(&test.info); got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}

// newTestProgram returns a program that serves nothing, and what it writes.
func newTestProgram() (p *program, stdout, stderr *bytes.Buffer) {
	stdout, stderr = &bytes.Buffer{}, &bytes.Buffer{}
	p = &program{
		stdout: stdout, stderr: stderr,
		findPython: func(explicit, _ string) (string, string, error) {
			if explicit == "broken" {
				return "", "", errors.New("broken does not run")
			}
			if explicit == "" {
				explicit = "/usr/bin/python3"
			}
			return explicit, "CPython 3.11.2", nil
		},
		serve: func(context.Context, *config, io.Writer, io.Writer) error { return errors.New("served") },
	}
	return p, stdout, stderr
}

func TestVersion(t *testing.T) {
	for _, test := range []struct{ args, want string }{
		{"--version", "CPython 3.11.2, /usr/bin/python3\n"},
		{"--version --python /opt/python", "CPython 3.11.2, /opt/python\n"},
		{"--python /opt/python --version", "CPython 3.11.2, /opt/python\n"},
	} {
		p, stdout, _ := newTestProgram()
		if err := p.run(strings.Fields(test.args)); err != nil {
			t.Fatal(err)
		}
		lines := strings.SplitAfter(stdout.String(), "\n")
		if len(lines) != 4 || !strings.HasPrefix(lines[0], "overlay ") || !strings.HasPrefix(lines[1], "go1.") || lines[2] != test.want {
			t.Errorf("overlay %s: got %q, want the last line %q", test.args, stdout, test.want)
		}
	}
}

func TestVersionWithoutPython(t *testing.T) {
	p, stdout, _ := newTestProgram()
	if err := p.run([]string{"--version", "--python", "broken"}); err == nil || err.Error() != "--python: broken does not run" {
		t.Errorf("the Python asked for is broken: got %v", err)
	}
	p.findPython = func(string, string) (string, string, error) { return "", "", errors.New("no python3 on PATH") }
	if err := p.run([]string{"--version"}); err != nil {
		t.Errorf("no Python at all: %v", err)
	}
	if want := "\nPython: none (no python3 on PATH)\n"; !strings.HasSuffix(stdout.String(), want) {
		t.Errorf("got %q, want the end %q", stdout, want)
	}
}
