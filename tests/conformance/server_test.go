package conformance

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"overlay/tests/e2e/program"
)

// server is a running server that serves suite:application.
type server struct {
	addr      string // host:port
	mount     string // "" or "/prefix", as it stands in a URL
	processes int    // 0 when unknown
	threads   int    // of each process; 0 when unknown
	spare     int    // threads of which some rest while others run as many requests
	notes     string // the directory of the notes; "" when it is not on this machine
	log       func() string
	skip      map[string]string // patterns of cases, to why they are left out
	overlay   bool
}

// connect asks the application about itself, once it answers.
func (s *server) connect(t *testing.T) {
	t.Helper()
	var problem error
	for end := time.Now().Add(*flagPatience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		c, err := net.DialTimeout("tcp", s.addr, *flagPatience)
		if err == nil {
			_ = c.Close()
			problem = nil
			break
		}
		problem = err
	}
	if problem != nil {
		t.Fatalf("the server does not listen: %v", problem)
	}
	about := into[struct{ Notes, Python, Implementation string }](t, s.ok(t, "/about"))
	t.Logf("%s, %s", s.addr, strings.ReplaceAll(about.Python, "\n", " "))
	name := newNote()
	s.notes = about.Notes
	if err := os.WriteFile(filepath.Join(s.notes, name), []byte("x"), 0o600); err != nil {
		s.notes = ""
		return
	}
	if found := into[*string](t, s.ok(t, "/process/read?note="+name)); found == nil {
		s.notes = "" // a directory of the same name on another machine
	}
}

// host is one way to run an application with overlay.
type host struct {
	program            *program.Program
	processes, threads int
	spare              int      // as in server
	mount              string   // as in server
	args               []string // more options
	skip               map[string]string
}

// start starts overlay with an interpreter.
func (h host) start(t *testing.T, python string) *server {
	t.Helper()
	apps, err := filepath.Abs("apps")
	if err != nil {
		t.Fatal(err)
	}
	mountPoint, err := url.PathUnescape(orElse(h.mount, "/"))
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "file.txt"), []byte("a file of the document root\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	running := h.program.Start(t, program.Config{
		Args: program.Patient(append([]string{
			// Cases wait for one another; how long that may take is up to them.
			"--request-timeout", "600", "--queue-timeout", "600",
			"--python", python, "--application-type", "module", "--python-path", apps, "--document-root", root,
			"--processes", strconv.Itoa(h.processes), "--threads", strconv.Itoa(h.threads), "--mount-point", mountPoint,
			// A slow client may be this far behind before the application has to wait for it.
			"--response-spool-size", "16M",
			"--setenv", "CONFORMANCE_SET", "as it is", "--working-directory", t.TempDir(), "suite",
		}, h.args...)...),
		Env: []string{"CONFORMANCE_NOTES=" + t.TempDir(), "PYTHONDONTWRITEBYTECODE=1"},
	})
	s := &server{
		addr: running.Addr, mount: h.mount, processes: h.processes, threads: h.threads, spare: h.spare,
		log: running.Log, skip: h.skip, overlay: true,
	}
	s.connect(t)
	return s
}

// adapter describes how another server is started; README.md explains it.
type adapter struct {
	Name      string            `json:"name"`
	Command   []string          `json:"command"`
	Processes int               `json:"processes"`
	Threads   int               `json:"threads"`
	Mount     string            `json:"mount"`
	Skip      map[string]string `json:"skip"`
}

func readAdapter(file string) (a adapter, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return a, err
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&a); err != nil {
		return a, fmt.Errorf("adapter %s: %w", file, err)
	}
	if a.Name == "" || len(a.Command) == 0 {
		return a, fmt.Errorf("adapter %s: name and command must be there", file)
	}
	return a, nil
}

// start starts the server of the adapter in a process group of its own.
func (a adapter) start(t *testing.T) *server {
	t.Helper()
	apps, err := filepath.Abs("apps")
	if err != nil {
		t.Fatal(err)
	}
	// A port that was free a moment ago: most servers cannot say which one they got.
	probe, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(probe.Addr().String())
	_ = probe.Close()
	var args []string
	for _, arg := range a.Command {
		args = append(args, strings.NewReplacer("{port}", port, "{apps}", apps).Replace(arg))
	}
	var output lockedBuffer
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.Env = append(os.Environ(), "CONFORMANCE_NOTES="+t.TempDir(), "PYTHONDONTWRITEBYTECODE=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			t.Error(err)
		}
		_ = cmd.Wait() // it was killed
		if t.Failed() {
			t.Logf("log of %s:\n%s", a.Name, output.String())
		}
	})
	s := &server{
		addr: "127.0.0.1:" + port, mount: a.Mount, processes: a.Processes, threads: a.Threads,
		log: output.String, skip: a.Skip,
	}
	s.connect(t)
	return s
}

// atURL is a server that somebody else has started.
func atURL(t *testing.T, address string) *server {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" || u.Port() == "" {
		t.Fatalf("-url: got %q, want something like http://127.0.0.1:8000/ (%v)", address, err)
	}
	s := &server{addr: u.Host, mount: strings.TrimRight(u.Path, "/"), processes: *flagProcesses, threads: *flagThreads}
	s.connect(t)
	return s
}

// has reports whether the server offers what a case needs.
func (s *server) has(needs need) (missing string) {
	for _, n := range []struct {
		need    need
		missing bool
		text    string
	}{
		{needLog, s.log == nil, "the server's log"},
		{needHere, s.notes == "", "a server on this machine"},
		{needWorkers, s.processes == 0 || s.threads == 0, "the number of processes and threads"},
		{needMount, s.mount == "", "a mount point other than /"},
		{needRoot, s.mount != "", "the mount point /"},
		{needSpare, s.processes*s.threads == 1, "threads for two requests at once"},
	} {
		if needs&n.need != 0 && n.missing {
			return n.text
		}
	}
	return ""
}

// lockedBuffer collects what a process writes.
type lockedBuffer struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
