package e2e

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"overlay/tests/e2e/load"
	"overlay/tests/e2e/program"
)

// reloadApp answers with what its script, a module of it and a template said when it was
// loaded, and imports another module when it is asked to.
const reloadApp = `
import os, time, module
SCRIPT = "one"
with open("page.html") as file:
    TEMPLATE = file.read()
def application(environ, start_response):
    time.sleep(0.002)
    words = [SCRIPT, module.WORD, TEMPLATE]
    if environ["PATH_INFO"] == "/late":
        import late
        words.append(late.WORD)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [" ".join(words).encode()]
`

// reloadSite is a folder with reloadApp, and a server of it.
type reloadSite struct {
	*program.Server
	t   *testing.T
	dir string
}

func startReload(t *testing.T, python interpreter, args ...string) *reloadSite {
	t.Helper()
	s := &reloadSite{t: t, dir: t.TempDir()}
	for name, text := range map[string]string{
		"app.wsgi": reloadApp, "module.py": `WORD = "one"`, "late.py": `WORD = "one"`,
		"page.html": "one", ".hidden/page.html": "one", "venv/pyvenv.cfg": "", "venv/page.html": "one",
	} {
		s.write(name, text)
	}
	args = append([]string{"--python", python.file, "--processes", "2"}, args...)
	s.Server = overlay.Start(t, program.Config{Args: program.Patient(append(args, "app.wsgi")...), Dir: s.dir, Env: []string{"PYTHONDONTWRITEBYTECODE=1"}})
	return s
}

func (s *reloadSite) write(name, text string) {
	s.t.Helper()
	name = filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// get returns what the application says.
func (s *reloadSite) get(target string) string {
	s.t.Helper()
	client := load.Client{Addr: s.Addr}
	defer client.Close()
	o := client.Get(target)
	if o.Fate != load.Answered || o.Status != 200 {
		s.t.Fatalf("%s: %v, status %d, %v", target, o.Fate, o.Status, o.Err)
	}
	return string(o.Body)
}

// await asks until the application says want.
func (s *reloadSite) await(target, want string) {
	s.t.Helper()
	for deadline := time.Now().Add(time.Minute); s.get(target) != want; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("%s still says %q, want %q", target, s.get(target), want)
		}
	}
}

// twoLooks is longer than files are not looked at. A reload that must not happen is waited for
// so long; where the machine is slow, that finds less and fails nothing.
const twoLooks = 2500 * time.Millisecond

// TestReloadWhatChanges: which files reload the application, with which option, while requests
// come. No request is lost, whatever changes.
func TestReloadWhatChanges(t *testing.T) {
	python := anInterpreter(t)
	edit := map[string]func(s *reloadSite){
		"script": func(s *reloadSite) { s.write("app.wsgi", strings.Replace(reloadApp, "one", "two", 1)) },
		"script with an older time": func(s *reloadSite) {
			s.write("new.wsgi", strings.Replace(reloadApp, "one", "two", 1))
			name, old := filepath.Join(s.dir, "new.wsgi"), time.Now().Add(-time.Hour)
			if err := os.Chtimes(name, old, old); err != nil {
				s.t.Fatal(err)
			}
			if err := os.Rename(name, filepath.Join(s.dir, "app.wsgi")); err != nil {
				s.t.Fatal(err)
			}
		},
		"module":          func(s *reloadSite) { s.write("module.py", `WORD = "two"`) },
		"late module":     func(s *reloadSite) { s.write("late.py", `WORD = "two"`) },
		"template":        func(s *reloadSite) { s.write("page.html", "two") },
		"hidden template": func(s *reloadSite) { s.write(".hidden/page.html", "two"); s.write("venv/page.html", "two") },
	}
	onChanges := []string{"--reload-on-changes"}
	pattern := []string{"--reload-on-changes", "--reload-pattern", "*.html"}
	for _, row := range []struct {
		name   string
		args   []string
		edit   string
		target string
		want   string // "" when nothing is to happen
	}{
		{"the script", nil, "script", "/", "two one one"},
		{"the script, with an older time", nil, "script with an older time", "/", "two one one"},
		{"the script, reloading disabled", []string{"--disable-reloading"}, "script", "/", ""},
		{"a module", onChanges, "module", "/", "one two one"},
		{"a module that a request has imported", onChanges, "late module", "/late", "one one one two"},
		{"a module, without the option", nil, "module", "/", ""},
		{"a template", pattern, "template", "/", "one one two"},
		{"a template, without a pattern", onChanges, "template", "/", ""},
		{"templates of hidden folders and environments", pattern, "hidden template", "/", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := startReload(t, python, row.args...)
			before := s.get(row.target)
			if !strings.HasPrefix(before, "one one one") {
				t.Fatalf("it says %q at first", before)
			}
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			var account load.Account
			loaded := make(chan struct{})
			go func() {
				defer close(loaded)
				account.Run(ctx, s.Addr, 1, func(int) string { return row.target })
			}()
			time.Sleep(twoLooks + time.Second) // what the application consists of has been looked at once
			edit[row.edit](s)
			if row.want != "" {
				s.await(row.target, row.want)
			} else {
				time.Sleep(twoLooks)
				if got := s.get(row.target); got != before || strings.Contains(s.Log(), "reloading the application") {
					t.Errorf("after the edit it says %q, want %q as before", got, before)
				}
				s.Signal(syscall.SIGHUP) // reloads in any case
				for deadline := time.Now().Add(time.Minute); !strings.Contains(s.Log(), "the application is reloaded"); time.Sleep(20 * time.Millisecond) {
					if time.Now().After(deadline) {
						t.Fatal("SIGHUP reloads nothing")
					}
				}
			}
			stop()
			<-loaded
			for _, o := range account.Outcomes() {
				if o.Fate != load.Answered || o.Status != 200 {
					t.Errorf("a request meanwhile: %v, status %d, %v", o.Fate, o.Status, o.Err)
				}
			}
		})
	}
}

// TestRolling: with --rolling, one worker process is loaded at a time; without, all but the
// first together.
func TestRolling(t *testing.T) {
	python := anInterpreter(t)
	// Each import says that it is under way; the last two meet, if they can.
	const app = `
import os, time
mine = "importing-%d" % os.getpid()
open(mine, "w").close()
end = time.monotonic() + WAIT
while time.monotonic() < end:
    if len([name for name in os.listdir(".") if name.startswith("importing-")]) > 1:
        open("met", "w").close()
        break
    time.sleep(0.01)
os.unlink(mine)
def application(environ, start_response):
    start_response("200 OK", [])
    return [b"fine"]
`
	for _, row := range []struct {
		name string
		args []string
		wait string // seconds
		met  bool
	}{
		{"rolling", []string{"--rolling"}, "0.5", false},
		{"together", nil, "10", true},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write := func(text string) {
				t.Helper()
				if err := os.WriteFile(filepath.Join(dir, "app.wsgi"), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			write("WAIT = 0" + app)
			args := append([]string{"--python", python.file, "--processes", "3", "--disable-reloading"}, row.args...)
			s := overlay.Start(t, program.Config{Args: program.Patient(append(args, "app.wsgi")...), Dir: dir})
			awaitStatus(t, s, "/", 200)
			write("WAIT = " + row.wait + app)
			for i := range 2 { // those of the start may still be under way at the first reload
				if i == 1 && row.met {
					break
				}
				_ = os.Remove(filepath.Join(dir, "met"))
				s.Signal(syscall.SIGHUP)
				for deadline := time.Now().Add(60 * time.Second); strings.Count(s.Log(), "the application is reloaded") <= i; time.Sleep(20 * time.Millisecond) {
					if time.Now().After(deadline) {
						t.Fatalf("reload %d does not end", i)
					}
				}
			}
			if _, err := os.Stat(filepath.Join(dir, "met")); (err == nil) != row.met {
				t.Errorf("two were loaded at once: %v, want %v", err == nil, row.met)
			}
		})
	}
}
