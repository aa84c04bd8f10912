package pybridge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Interpreter is what is known of a Python once it has run.
type Interpreter struct {
	Path           string // the executable to start
	Implementation string // "CPython" or "PyPy"
	Version        string // such as "3.11.7"
	Executable     string // sys.executable
	Prefix         string // sys.prefix: the virtual environment, if it is one
	FreeThreaded   bool   // runs without a GIL
}

// String returns the words for people: "CPython 3.11.7".
func (i Interpreter) String() string {
	s := i.Implementation + " " + i.Version
	if i.FreeThreaded {
		s += " (free-threaded)"
	}
	return s
}

// The oldest Python that the worker program runs on.
const (
	minMajor = 3
	minMinor = 9
)

// Errors of FindPython and Inspect. The text around them names the path.
var (
	ErrNoPython     = errors.New("no Python found")
	ErrPythonTooOld = errors.New("too old a Python")
)

// FindPython returns the path of the interpreter to use: explicit if it is not
// empty (an executable, or the directory of a virtual environment), else that
// of $VIRTUAL_ENV, else of a .venv in one of the directories near (beside the
// application, say), else python3 on PATH. It does not run it; Inspect does.
func FindPython(explicit string, near ...string) (string, error) {
	if explicit != "" {
		return resolvePython(explicit)
	}
	if env := os.Getenv("VIRTUAL_ENV"); env != "" {
		path, err := resolvePython(env)
		if err != nil {
			return "", fmt.Errorf("VIRTUAL_ENV=%s: %w", env, err)
		}
		return path, nil
	}
	for _, dir := range near {
		path := filepath.Join(dir, ".venv", "bin", "python")
		if isExecutable(path) {
			return path, nil
		}
	}
	path, err := exec.LookPath("python3")
	if err != nil {
		return "", fmt.Errorf("%w: there is no python3 on PATH", ErrNoPython)
	}
	return filepath.Abs(path)
}

// resolvePython turns what the user wrote into an absolute path of an
// executable. A symbolic link stays one: the link in a virtual environment is
// how Python knows that it is in one.
func resolvePython(name string) (string, error) {
	info, err := os.Stat(name)
	if err == nil && info.IsDir() {
		for _, file := range []string{"bin/python", "bin/python3", "bin/pypy3"} {
			if path := filepath.Join(name, file); isExecutable(path) {
				return filepath.Abs(path)
			}
		}
		return "", fmt.Errorf("%w: %s is a directory without bin/python", ErrNoPython, name)
	}
	if !strings.ContainsRune(name, filepath.Separator) {
		// As in a shell, a bare name is a command, not a file in this folder.
		path, lookErr := exec.LookPath(name)
		if lookErr != nil {
			return "", fmt.Errorf("%w: there is no %s on PATH", ErrNoPython, name)
		}
		return filepath.Abs(path)
	}
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNoPython, err)
	}
	if !isExecutable(name) {
		return "", fmt.Errorf("%w: %s is not executable", ErrNoPython, name)
	}
	return filepath.Abs(name)
}

func isExecutable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// inspectTimeout is far longer than any interpreter takes to start.
const inspectTimeout = 20 * time.Second

// outputDelay bounds how long the output of an interpreter that has ended is read:
// what a shim has started may keep it open. On a busy machine it takes a while
// until all of it is read.
const outputDelay = 2 * time.Second

// Inspect runs the interpreter at path and asks what it is. The error says
// what it printed if it does not run, and wraps ErrPythonTooOld below 3.9.
func Inspect(ctx context.Context, path string) (Interpreter, error) {
	ctx, cancel := context.WithTimeout(ctx, inspectTimeout)
	defer cancel()
	const question = `import sys, platform
gil = getattr(sys, "_is_gil_enabled", lambda: True)()
sys.stdout.write("\0".join([platform.python_implementation(), "%d.%d.%d" % sys.version_info[:3],
    sys.executable or "", sys.prefix, "gil" if gil else "free-threaded"]))`
	var stdout, stderr answer
	cmd := exec.CommandContext(ctx, path, "-c", question)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = outputDelay
	// The answer counts, even when somebody keeps the output open after it.
	if err := cmd.Run(); err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		switch {
		case stdout.over || stderr.over:
			err = fmt.Errorf("it prints more than %d bytes", maxAnswer)
		case ctx.Err() != nil:
			err = fmt.Errorf("it does not answer: %w", context.Cause(ctx))
		}
		if text := firstLine(stderr.text.String()); text != "" {
			return Interpreter{}, fmt.Errorf("run %s: %w: %s", path, err, text)
		}
		return Interpreter{}, fmt.Errorf("run %s: %w", path, err)
	}
	interpreter, err := parseInterpreter(path, stdout.text.String())
	if err != nil {
		return Interpreter{}, err
	}
	if isExecutable(interpreter.Executable) {
		// A shim of pyenv or asdf is a script that costs more than Python itself.
		interpreter.Path = interpreter.Executable
	}
	return interpreter, checkVersion(interpreter)
}

// maxAnswer is far more than an interpreter has to say of itself.
const maxAnswer = 64 << 10

// answer keeps what a program prints. One that prints more than maxAnswer is no
// Python; it finds its output closed.
type answer struct {
	text strings.Builder
	over bool
}

func (a *answer) Write(p []byte) (int, error) {
	if a.text.Len()+len(p) > maxAnswer {
		a.over = true
		return 0, io.ErrShortWrite
	}
	return a.text.Write(p)
}

func parseInterpreter(path, answer string) (Interpreter, error) {
	parts := strings.Split(answer, "\x00")
	if len(parts) != 5 {
		return Interpreter{}, fmt.Errorf("ask %s what it is: got %q, which no Python answers", path, answer)
	}
	return Interpreter{
		Path:           path,
		Implementation: parts[0],
		Version:        parts[1],
		Executable:     parts[2],
		Prefix:         parts[3],
		FreeThreaded:   parts[4] == "free-threaded",
	}, nil
}

func checkVersion(i Interpreter) error {
	var major, minor int
	if _, err := fmt.Sscanf(i.Version, "%d.%d", &major, &minor); err != nil {
		return fmt.Errorf("version of %s: got %q, want digits", i.Path, i.Version)
	}
	if major < minMajor || major == minMajor && minor < minMinor {
		return fmt.Errorf("%w: %s is %s, want %d.%d or later", ErrPythonTooOld, i.Path, i.Version, minMajor, minMinor)
	}
	return nil
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}
