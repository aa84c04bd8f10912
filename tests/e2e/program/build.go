// Package program builds overlay and starts it for tests.
package program

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Program is a built overlay.
type Program struct {
	File string // the executable
	dir  string
	root string // of the repository that it is built from

	touched sync.Once
}

// Main is what TestMain does in a package two folders below the root of the
// repository: it builds overlay into *plain, and, unless withCgo is nil, as embedded
// mode needs it into *withCgo, runs the tests, and removes what it has built. It
// returns what TestMain exits with. *withCgo stays nil without a C compiler.
func Main(m *testing.M, plain, withCgo **Program) int {
	root, err := filepath.Abs("../..")
	if err == nil {
		*plain, err = Build(root)
	}
	if err == nil {
		defer (*plain).Remove()
		if withCgo != nil {
			*withCgo, err = (*plain).buildWithCgo(root)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "build overlay for the tests:", err)
		return 1
	}
	return m.Run()
}

// buildWithCgo builds overlay beside p, and is removed with it.
func (p *Program) buildWithCgo(root string) (*Program, error) {
	if _, err := exec.LookPath("gcc"); err != nil && os.Getenv("OVERLAY_TEST_REQUIRED") == "" {
		return nil, nil
	}
	file := filepath.Join(p.dir, "overlay-cgo")
	build := exec.Command("go", "build", "-o", file, "./cmd/overlay")
	build.Dir, build.Env = root, append(os.Environ(), "CGO_ENABLED=1")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build with cgo: %w\n%s", err, out)
	}
	return &Program{File: file, root: root}, nil
}

// Build builds overlay from the repository at root. With the race detector in
// the test, the program gets it too; without, it is the one binary without cgo
// that users get. Remove deletes it.
func Build(root string) (*Program, error) {
	dir, err := os.MkdirTemp("", "overlay-e2e-")
	if err != nil {
		return nil, err
	}
	p := &Program{File: filepath.Join(dir, "overlay"), dir: dir, root: root}
	args := []string{"build", "-o", p.File}
	env := append(os.Environ(), "CGO_ENABLED=0")
	if raceEnabled {
		args = append(args, "-race")
		env = append(os.Environ(), "CGO_ENABLED=1")
	}
	build := exec.Command("go", append(args, "./cmd/overlay")...)
	build.Dir, build.Env = root, env
	if out, err := build.CombinedOutput(); err != nil {
		p.Remove()
		return nil, fmt.Errorf("go %s: %w\n%s", strings.Join(build.Args[1:], " "), err, out)
	}
	return p, nil
}

// Remove deletes what Build made.
func (p *Program) Remove() { os.RemoveAll(p.dir) }

// touchSources opens every file that p is built from, once. go test keeps results and answers
// from them until a file that the test opened has changed; what the go command opened for
// us does not count, nor does what TestMain opens before it runs the tests.
func (p *Program) touchSources(t testing.TB) {
	t.Helper()
	p.touched.Do(func() {
		if err := touch(p.root); err != nil {
			t.Fatalf("read the sources: %v", err)
		}
	})
}

func touch(root string) error {
	return filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && name != root && strings.HasPrefix(entry.Name(), ".") {
			return fs.SkipDir
		}
		switch filepath.Ext(name) {
		case ".go", ".py", ".wsgi", ".html", ".mod", ".sum", ".c", ".h":
			f, err := os.Open(name)
			if err != nil {
				return err
			}
			return f.Close()
		}
		return nil
	})
}
