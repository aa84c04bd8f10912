package program

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	startDeadline = 2 * time.Minute // PyPy with Django, race detector, two busy cores
	stopDeadline  = 90 * time.Second
)

// readyLine is what the program prints once it listens: the port is the
// kernel's choice.
var readyLine = regexp.MustCompile(`http://(127\.0\.0\.1:[1-9][0-9]*)/`)

// Server is a running overlay. It is stopped when the test ends.
type Server struct {
	Addr string   // 127.0.0.1:port
	URL  *url.URL // http://127.0.0.1:port/

	t      testing.TB
	cmd    *exec.Cmd
	exited chan struct{} // closed when the process is gone; code is set then
	code   int
	output output
}

// Config says how to start the program.
type Config struct {
	Args []string // --port 0 is added
	Env  []string // added to the environment of the test
	Dir  string   // working directory; "" means that of the test
}

// Patient returns args with a --startup-timeout that a busy machine does not use up: PyPy was
// seen to take more than the 15 s that are the program's own. It is for what serves an
// application.
func Patient(args ...string) []string {
	if slices.Contains(args, "--startup-timeout") {
		return args
	}
	return append([]string{"--startup-timeout", "120"}, args...)
}

// Start starts the program and returns when it listens. The test fails when it
// does not, and at its end when the program's log holds a data race or a panic.
func (p *Program) Start(t testing.TB, config Config) *Server {
	t.Helper()
	p.touchSources(t)
	s := &Server{t: t, exited: make(chan struct{})}
	s.cmd = exec.Command(p.File, append([]string{"--port", "0"}, config.Args...)...)
	s.cmd.Dir = config.Dir
	s.cmd.Env = append(os.Environ(), config.Env...)
	s.cmd.Stdout, s.cmd.Stderr = &s.output, &s.output
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = s.cmd.Wait() // the code below says more
		s.code = s.cmd.ProcessState.ExitCode()
		close(s.exited)
	}()
	t.Cleanup(s.finish)

	for deadline := time.Now().Add(startDeadline); s.Addr == ""; {
		if found := readyLine.FindStringSubmatch(s.Log()); found != nil {
			s.Addr = found[1]
			s.URL = &url.URL{Scheme: "http", Host: s.Addr, Path: "/"}
			break
		}
		select {
		case <-s.exited:
			t.Fatalf("overlay ended with %d before it listened:\n%s", s.code, s.Log())
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("overlay does not listen after %s:\n%s", startDeadline, s.Log())
		}
	}
	return s
}

// PID returns the number of the server process.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Log returns what the program wrote so far to stdout and stderr together.
func (s *Server) Log() string { return s.output.String() }

// Signal sends sig to the server process, if it still runs.
func (s *Server) Signal(sig os.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.t.Fatalf("send %v: %v", sig, err)
	}
}

// Exited returns a channel that is closed when the server process is gone.
func (s *Server) Exited() <-chan struct{} { return s.exited }

// Wait waits for the end of the server process and returns its exit code, -1
// for one that a signal ended.
func (s *Server) Wait() int {
	s.t.Helper()
	select {
	case <-s.exited:
	case <-time.After(stopDeadline):
		s.t.Fatalf("overlay still runs %s after it was told to stop:\n%s", stopDeadline, tail(s.Log()))
	}
	return s.code
}

// finish stops a server that still runs, and looks for what no test expects.
func (s *Server) finish() {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err == nil || !errors.Is(err, os.ErrProcessDone) {
		select {
		case <-s.exited:
		case <-time.After(stopDeadline):
			s.t.Errorf("overlay does not stop within %s of SIGTERM", stopDeadline)
			_ = s.cmd.Process.Kill()
			<-s.exited
		}
	}
	log := s.Log()
	for _, bug := range []string{"WARNING: DATA RACE", "panic: ", "fatal error: ", "goroutine 1 ["} {
		if strings.Contains(log, bug) {
			s.t.Errorf("the log holds %q", bug)
		}
	}
	if s.t.Failed() {
		s.keepLog(log)
		s.t.Logf("log of overlay %s:\n%s", strings.Join(s.cmd.Args[1:], " "), tail(log))
	}
}

// keepLog writes the whole log of a server whose test has failed into the directory that
// OVERLAY_TEST_LOGS names, if it names one: the output of the test has only its end.
func (s *Server) keepLog(log string) {
	dir := os.Getenv("OVERLAY_TEST_LOGS")
	if dir == "" {
		return
	}
	name := fmt.Sprintf("%s-%d.log", strings.ReplaceAll(s.t.Name(), "/", "-"), s.PID())
	if err := os.WriteFile(filepath.Join(dir, name), []byte(log), 0o600); err != nil {
		s.t.Log(err) // the test has failed already, of something else
	}
}

// Run runs the program to its end, for what is expected to end by itself, and
// returns its exit code and what it wrote.
func (p *Program) Run(t testing.TB, config Config) (code int, stdout, stderr string) {
	t.Helper()
	p.touchSources(t)
	cmd := exec.CommandContext(t.Context(), p.File, config.Args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.Dir = config.Dir
	cmd.Env = append(os.Environ(), config.Env...)
	kill := time.AfterFunc(startDeadline, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// tail returns the end of a log for the output of a test. What is before that end is
// without the tracebacks of applications, which would leave no room for anything else.
func tail(log string) string {
	const whole, most = 3000, 9000 // bytes
	if len(log) <= most {
		return log
	}
	var before strings.Builder
	for line := range strings.Lines(log[:len(log)-whole]) {
		if !strings.HasPrefix(line, "    | ") {
			before.WriteString(line)
		}
	}
	log = before.String() + log[len(log)-whole:]
	if len(log) > most {
		log = "[...]" + log[len(log)-most:]
	}
	return log
}

// output collects what a process writes.
type output struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
