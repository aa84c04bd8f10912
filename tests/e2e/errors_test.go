package e2e

import (
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"overlay/tests/e2e/load"
	"overlay/tests/e2e/program"
)

// TestErrorsAtStart starts what cannot be served: one clear line, and a hint
// where something can be done.
func TestErrorsAtStart(t *testing.T) {
	python := anInterpreter(t)
	dir := t.TempDir()
	script := func(name, text string, mode os.FileMode) string {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return file
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, port, err := net.SplitHostPort(taken.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	// A Python that says it is older than it is, however it is asked by -c.
	old := script("python-old", "#!/bin/sh\nexec '"+python.file+`' -c '
import sys
sys.version_info, sys.executable = (3, 8, 18, "final", 0), sys.argv[1]
exec(sys.argv[sys.argv.index("-c", 1) + 1])' "$0" "$@"`+"\n", 0o755)
	failing := script("python-failing", "#!/bin/sh\necho 'cannot open shared object file' >&2\nexit 127\n", 0o755)
	noPython := script("python-other", "#!/bin/sh\necho hello\n", 0o755)
	notExecutable := script("python-plain", "#!/bin/sh\n", 0o644)
	hello := filepath.Join(root, "examples/hello/hello.wsgi")

	for _, row := range []struct {
		name string
		args []string
		want []string // in the first line
		hint bool
	}{
		{"taken port", []string{"--port", port, "--document-root", dir}, []string{port, "in use"}, true},
		{"missing document root", []string{"--port", "0", "--document-root", dir + "/nowhere"}, []string{dir + "/nowhere", "no such file"}, false},
		{"document root is a file", []string{"--port", "0", "--document-root", hello}, []string{hello, "not a folder"}, false},
		{"missing script", []string{"--port", "0", dir + "/nowhere.wsgi"}, []string{dir + "/nowhere.wsgi", "no such file"}, false},
		{"missing interpreter", []string{"--port", "0", "--python", dir + "/nowhere", hello}, []string{dir + "/nowhere"}, true},
		{"interpreter that is not executable", []string{"--port", "0", "--python", notExecutable, hello}, []string{notExecutable, "executable"}, true},
		{"interpreter that does not run", []string{"--port", "0", "--python", failing, hello}, []string{failing, "cannot open shared object file"}, true},
		{"interpreter that is no Python", []string{"--port", "0", "--python", noPython, hello}, []string{noPython, "hello"}, true},
		{"Python that is too old", []string{"--port", "0", "--python", old, hello}, []string{old, "3.8.18", "3.9"}, true},
		{"unknown option", []string{"--documentroot", dir}, []string{"--documentroot"}, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			code, stdout, stderr := overlay.Run(t, program.Config{Args: row.args})
			lines := strings.Split(strings.TrimSuffix(stderr, "\n"), "\n")
			if code == 0 || stdout != "" {
				t.Errorf("got exit code %d and stdout %q, want an error", code, stdout)
			}
			if !strings.HasPrefix(lines[0], "overlay: ") {
				t.Errorf("stderr begins %q, want \"overlay: ...\"", lines[0])
			}
			for _, want := range row.want {
				if !strings.Contains(lines[0], want) {
					t.Errorf("got %q, want %q in it", lines[0], want)
				}
			}
			hasHint := len(lines) == 2 && strings.HasPrefix(lines[1], "overlay: hint: ")
			if row.hint && !hasHint || !row.hint && len(lines) > 1 && !hasHint {
				t.Errorf("got %q, want one line and a hint", lines)
			}
		})
	}
}

// TestImportError serves files above an application that does not import: the
// application's URLs answer a plain 500, the traceback is in the log alone, and
// the application comes up once its file is repaired.
func TestImportError(t *testing.T) {
	eachInterpreter(t, func(t *testing.T, python interpreter) {
		dir := t.TempDir()
		script := filepath.Join(dir, "app.wsgi")
		broken, err := os.ReadFile(app("broken.py"))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(script, broken, 0o644); err != nil {
			t.Fatal(err)
		}
		htdocs := filepath.Join(dir, "htdocs")
		if err := os.Mkdir(htdocs, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(htdocs, "file.txt"), []byte("a file\n"), 0o644); err != nil {
			t.Fatal(err)
		}

		s := overlay.Start(t, program.Config{Args: program.Patient("--python", python.file, "--document-root", htdocs, script)})
		client := load.Client{Addr: s.Addr}
		defer client.Close()
		file := func() {
			t.Helper()
			if o := client.Get("/file.txt"); o.Status != 200 || string(o.Body) != "a file\n" {
				t.Errorf("/file.txt: got %v, status %d, %q", o.Fate, o.Status, o.Body)
			}
		}
		file()
		o := client.Get("/anything")
		if o.Fate != load.Answered || o.Status != 500 {
			t.Errorf("/anything: got %v, status %d, want 500", o.Fate, o.Status)
		}
		for _, leak := range []string{"Traceback", "RuntimeError", "on purpose", script} {
			if strings.Contains(string(o.Body), leak) {
				t.Errorf("the client gets %q: %q", leak, o.Body)
			}
		}
		for _, want := range []string{"Traceback", "RuntimeError: broken on purpose, at import", script} {
			if !strings.Contains(s.Log(), want) {
				t.Errorf("the log does not hold %q", want)
			}
		}
		file()

		repaired, err := os.ReadFile(app("plain.py"))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(script, repaired, 0o644); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
			o := client.Get("/hello")
			if o.Status == 200 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("/hello is still answered %d after the script was repaired", o.Status)
			}
		}
		file()
	})
}

// TestFaultyApplication asks for each wrong thing in tests/apps/faulty.py: the
// client sees a plain 500 or a response that is cut, never a complete lie, and
// nothing of the exception.
func TestFaultyApplication(t *testing.T) {
	eachInterpreter(t, func(t *testing.T, python interpreter) {
		s := overlay.Start(t, program.Config{Args: program.Patient("--python", python.file, app("faulty.py"))})
		for _, row := range []struct {
			target string
			want   []string // one of these: a status of a complete response, or cut
			log    string
		}{
			{"/raise", []string{"500"}, "ValueError: secret of raise\n"},
			{"/raise-started", []string{"500"}, "ValueError: secret of raise-started"},
			{"/raise-in-body", []string{"500", "cut"}, "ValueError: secret of raise-in-body"},
			{"/raise-late", []string{"500", "cut"}, "ValueError: secret of raise-late"},
			{"/raise-in-close", []string{"200"}, "ValueError: secret of raise-in-close"},
			{"/exc-info-late", []string{"500", "cut"}, "ValueError: secret of exc-info-late"},
			{"/too-short", []string{"500", "cut"}, "Content-Length says 100"},
			{"/too-short-late", []string{"500", "cut"}, "Content-Length says 4000000"},
			{"/too-long", []string{"200"}, "Content-Length says 10:"},
			{"/never-starts", []string{"500"}, "start_response"},
			{"/starts-twice", []string{"500"}, "start_response called a second time"},
			{"/split", []string{"500"}, "X-Value"},
			{"/hop-by-hop", []string{"500"}, "Transfer-Encoding"},
			{"/bad-status", []string{"500"}, "GET /bad-status"},
			{"/text-body", []string{"500"}, "GET /text-body"},
			{"/none", []string{"500"}, "NoneType"},
			{"/exit", []string{"500"}, "SystemExit"},
			{"/die", []string{"502"}, "GET /die"},
			{"/kill", []string{"502"}, "GET /kill"},
			{"/die-in-body", []string{"502", "cut"}, "GET /die-in-body"},
		} {
			t.Run(row.target, func(t *testing.T) {
				client := load.Client{Addr: s.Addr}
				defer client.Close()
				o := client.Get(row.target)
				got := o.Fate.String()
				if o.Fate == load.Answered {
					got = strconv.Itoa(o.Status)
				}
				if !slices.Contains(row.want, got) {
					t.Errorf("got %s (status %d), want one of %q; body %.100q", got, o.Status, row.want, o.Body)
				}
				if row.target == "/too-long" && string(o.Body) != "0123456789" {
					t.Errorf("got body %q, want the ten bytes that were announced", o.Body)
				}
				if strings.Contains(string(o.Body), "secret") || o.Header.Get("X-Injected") != "" {
					t.Errorf("the client sees what it must not: %v %.200q", o.Header, o.Body)
				}
				awaitLog(t, s, row.log)
				// The process, or the next one, goes on.
				awaitStatus(t, s, "/fine", 200)
			})
		}
	})
}

// TestCutResponse lets a response begin, and end badly only when its first part
// has arrived: then nothing but a visible cut is honest.
func TestCutResponse(t *testing.T) {
	eachInterpreter(t, func(t *testing.T, python interpreter) {
		s := overlay.Start(t, program.Config{Args: program.Patient("--python", python.file, app("faulty.py"))})
		for _, target := range []string{"raise-when-told", "die-when-told"} {
			t.Run(target, func(t *testing.T) {
				resp, err := http.Get(s.URL.String() + target)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				first := make([]byte, len("first part\n"))
				if _, err := io.ReadFull(resp.Body, first); err != nil || resp.StatusCode != 200 {
					t.Fatalf("got status %d, %q, %v; want the first part", resp.StatusCode, first, err)
				}
				teller := load.Client{Addr: s.Addr}
				defer teller.Close()
				teller.Get("/tell")
				rest, err := io.ReadAll(resp.Body)
				if err == nil {
					t.Errorf("the response ends as if it were complete: %q, then %q", first, rest)
				}
				if len(rest) > 0 {
					t.Errorf("the client gets %q after the first part", rest)
				}
				awaitStatus(t, s, "/fine", 200)
			})
		}
	})
}

// awaitLog waits until the log, which comes through a pipe, holds text.
func awaitLog(t *testing.T, s *program.Server, text string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !strings.Contains(s.Log(), text); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Errorf("the log does not hold %q", text)
			return
		}
	}
}

// awaitStatus asks for target until the answer has that status.
func awaitStatus(t *testing.T, s *program.Server, target string, status int) {
	t.Helper()
	client := load.Client{Addr: s.Addr}
	defer client.Close()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		o := client.Get(target)
		if o.Status == status {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is still answered %d (%v), want %d", target, o.Status, o.Err, status)
		}
	}
}
