package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestRunExitStatus(t *testing.T) {
	newTestFolder(t)
	for _, test := range []struct {
		name, args             string
		status                 int
		stdoutHas, stderrLines string
	}{
		{"help", "--help", exitOK, "Usage: overlay", ""},
		{"help wins over checks", "--threads 0 -h", exitOK, "Usage: overlay", ""},
		{"help of the default command", "start-server --help", exitOK, "Usage: overlay", ""},
		{"usage", "--nope", exitUsage, "", "overlay: unknown option --nope\noverlay: hint: "},
		{"control characters", "\x1b[31m", exitUsage, "", `overlay: entry point: `},
	} {
		var stdout, stderr bytes.Buffer
		if got := run(strings.Fields(test.args), &stdout, &stderr); got != test.status {
			t.Errorf("%s: status %d, want %d", test.name, got, test.status)
		}
		if !strings.Contains(stdout.String(), test.stdoutHas) || (test.stdoutHas == "" && stdout.Len() > 0) {
			t.Errorf("%s: stdout %q, want %q in it", test.name, stdout.String(), test.stdoutHas)
		}
		if !strings.HasPrefix(stderr.String(), test.stderrLines) || (test.stderrLines == "" && stderr.Len() > 0) {
			t.Errorf("%s: stderr %q, want the start %q", test.name, stderr.String(), test.stderrLines)
		}
		if strings.Contains(stderr.String(), "\x1b") {
			t.Errorf("%s: stderr holds control characters", test.name)
		}
	}
}

func TestRunServes(t *testing.T) {
	dir := newTestFolder(t)
	p, stdout, stderr := newTestProgram()
	var got *config
	p.serve = func(ctx context.Context, cfg *config, out, log io.Writer) error {
		got = cfg
		if ctx.Err() != nil || out != stdout || log != stderr {
			t.Error("serve is called with other writers, or a context that has ended")
		}
		return nil
	}
	if err := p.run([]string{"--port", "9", "hello.wsgi"}); err != nil {
		t.Fatal(err)
	}
	if got == nil || got.Port != 9 || got.Application.EntryPoint != dir+"/hello.wsgi" {
		t.Errorf("serve gets %+v", got)
	}
	p.serve = func(context.Context, *config, io.Writer, io.Writer) error { return errors.New("served") }
	if err := p.run([]string{"hello.wsgi"}); err == nil || err.Error() != "served" {
		t.Errorf("got %v, want the error of serve", err)
	}
}

func TestPrintError(t *testing.T) {
	for _, test := range []struct {
		name string
		err  error
		want string
	}{
		{"plain", errors.New("listen: in use"), "overlay: listen: in use\n"},
		{"with a hint", withHint(errors.New("in use"), "--port 0"), "overlay: in use\noverlay: hint: --port 0\n"},
		{"with an empty hint", withHint(errors.New("in use"), ""), "overlay: in use\n"},
		{"two lines", errors.New("a\nb\x1b"), `overlay: a\nb\x1b` + "\n"},
	} {
		var out bytes.Buffer
		printError(&out, test.err)
		if out.String() != test.want {
			t.Errorf("%s: got %q, want %q", test.name, out.String(), test.want)
		}
	}
}
