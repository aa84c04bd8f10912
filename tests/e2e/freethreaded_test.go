package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"overlay/tests/e2e/load"
	"overlay/tests/e2e/program"
)

// TestFreeThreadedDefaults: a Python that says that it has no GIL gets one process and as many
// threads as Go has processors, unless it is told otherwise; one with a GIL gets five.
func TestFreeThreadedDefaults(t *testing.T) {
	python := anInterpreter(t)
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
		return name
	}
	free := write("python-free", "#!/bin/sh\nexec '"+python.file+`' -c '
import sys
sys._is_gil_enabled, sys.executable = lambda: False, sys.argv[1]
exec(sys.argv[sys.argv.index("-c", 1) + 1])' "$0" "$@"`+"\n")
	script := write("app.wsgi", `
import overlay
def application(environ, start_response):
    start_response("200 OK", [])
    what = overlay.maximum_processes, overlay.threads_per_process, environ["wsgi.multiprocess"], environ["wsgi.multithread"]
    return [repr(what).encode()]
`)
	for _, row := range []struct {
		name, python, processors string
		args                     []string
		want                     string
	}{
		{"without a GIL", free, "3", nil, "(1, 3, False, True)"},
		{"without a GIL, one processor", free, "1", nil, "(1, 1, False, False)"},
		{"without a GIL, threads given", free, "3", []string{"--threads", "5"}, "(1, 5, False, True)"},
		{"with a GIL", python.file, "3", nil, "(1, 5, False, True)"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"--python", row.python}, row.args...)
			s := overlay.Start(t, program.Config{Args: program.Patient(append(args, script)...), Env: []string{"GOMAXPROCS=" + row.processors}})
			client := load.Client{Addr: s.Addr}
			defer client.Close()
			if o := client.Get("/"); string(o.Body) != row.want {
				t.Errorf("processes, threads, multiprocess, multithread: %d %s, want %s", o.Status, o.Body, row.want)
			}
		})
	}
}
