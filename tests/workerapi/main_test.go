package workerapi

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"overlay/pybridge"
	"overlay/tests/e2e/program"
)

// overlay as users get it, and with cgo, for --embedded-mode; the second is nil
// without a C compiler.
var theProgram, cgoProgram *program.Program

func TestMain(m *testing.M) { os.Exit(program.Main(m, &theProgram, &cgoProgram)) }

// host is one way to run an application.
type host struct {
	name     string
	python   string
	embedded bool
}

// hosts returns worker processes with each interpreter, and embedded mode where
// there is a shared library.
func hosts(t *testing.T) []host {
	t.Helper()
	files, err := filepath.Glob("../../.cache/python/*/bin/python")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		path, err := exec.LookPath("python3")
		if err != nil {
			if os.Getenv("OVERLAY_TEST_REQUIRED") != "" {
				t.Fatal(err)
			}
			t.Skip("no Python to test with")
		}
		files = []string{path}
	}
	var all []host
	for _, file := range files {
		file, err := filepath.Abs(file)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(filepath.Dir(filepath.Dir(file)))
		all = append(all, host{name: name, python: file})
		if cgoProgram == nil {
			continue
		}
		if _, err := pybridge.Library(t.Context(), file); err == nil {
			all = append(all, host{name: name + "-embedded", python: file, embedded: true})
		}
	}
	return all
}

// each runs a test on every host, with an application of apps.
func each(t *testing.T, app string, test func(t *testing.T, s *server), args ...string) {
	t.Helper()
	for _, h := range hosts(t) {
		t.Run(h.name, func(t *testing.T) { test(t, h.start(t, app, args...)) })
	}
}

// server is overlay with an application.
type server struct {
	*program.Server
	host host
}

func (h host) start(t *testing.T, app string, args ...string) *server {
	t.Helper()
	apps, err := filepath.Abs("apps")
	if err != nil {
		t.Fatal(err)
	}
	p := theProgram
	args = append([]string{"--python", h.python, "--application-type", "module", "--working-directory", apps, "--threads", "3", app}, args...)
	if h.embedded {
		p = cgoProgram
		args = append(args, "--embedded-mode")
	}
	return &server{p.Start(t, program.Config{Args: program.Patient(args...), Env: []string{"PYTHONDONTWRITEBYTECODE=1"}}), h}
}

// get returns status and body of a request for path. A response that is cut
// has the body that came.
func (s *server) get(t *testing.T, path string) (int, string) {
	t.Helper()
	return s.do(t, http.MethodGet, path, "")
}

func (s *server) do(t *testing.T, method, path, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+s.Addr+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatalf("%s: %v\n%s", path, err, s.Log())
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatalf("%s: %v", path, err)
	}
	return resp.StatusCode, string(text)
}

// ask returns the JSON that path answers.
func ask[T any](t *testing.T, s *server, path string) (v T) {
	t.Helper()
	status, body := s.get(t, path)
	if status != http.StatusOK {
		t.Fatalf("%s: status %d, %s\n%s", path, status, body, s.Log())
	}
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		t.Fatalf("%s: %v in %s", path, err, body)
	}
	return v
}

// keysOf returns the keys of a map in order.
func keysOf[V any](m map[string]V) []string {
	var keys []string
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
