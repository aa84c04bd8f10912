// Package program builds overlay and starts it for tests.
package program

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Program is a built overlay.
type Program struct {
	File string // the executable
	dir  string
}

// Build builds overlay from the repository at root. With the race detector in
// the test, the program gets it too; without, it is the one binary without cgo
// that users get. Remove deletes it.
func Build(root string) (*Program, error) {
	if err := touchSources(root); err != nil {
		return nil, fmt.Errorf("read the sources: %w", err)
	}
	dir, err := os.MkdirTemp("", "overlay-e2e-")
	if err != nil {
		return nil, err
	}
	p := &Program{File: filepath.Join(dir, "overlay"), dir: dir}
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

// touchSources opens every file that the program is built from. go test keeps
// results and answers from them until a file that the test opened has changed;
// what the go command opened for us does not count.
func touchSources(root string) error {
	return filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && name != root && strings.HasPrefix(entry.Name(), ".") {
			return fs.SkipDir
		}
		switch filepath.Ext(name) {
		case ".go", ".py", ".mod", ".sum", ".c", ".h":
			f, err := os.Open(name)
			if err != nil {
				return err
			}
			return f.Close()
		}
		return nil
	})
}
