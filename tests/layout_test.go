package tests

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

// maxGoLines is where a Go file, tests apart, is too long to be one concern.
const maxGoLines = 500

// TestLayout holds the repository to what CONTRIBUTING.md says of its layout.
// It reads the files itself: go list may be answered from a stale cache.
func TestLayout(t *testing.T) {
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	tree := os.DirFS(root)
	for _, rule := range rules(root) {
		t.Run(rule.name, func(t *testing.T) {
			for _, fault := range rule.check(t, tree) {
				t.Error(fault)
			}
		})
	}
}

// TestRulesFindFaults shows each rule a tree that breaks it, once.
func TestRulesFindFaults(t *testing.T) {
	const root = "/somewhere/overlay"
	long := "// Package p is long.\npackage p\n" + strings.Repeat("\n", maxGoLines)
	faulty := map[string]fstest.MapFS{
		"import directions": {
			"static/a.go":   file("package static\nimport _ \"overlay/tlsauth\"\n"),
			"static/b.go":   file("package static\nimport _ \"overlay/static/inner\"\n"),
			"cmd/x/a.go":    file("package main\nimport _ \"overlay/static\"\n"),
			"pybridge/a.go": file("package pybridge\nimport _ \"overlay/tests/e2e\"\n"),
			// Allowed: the program, and helpers of tests in tests.
			"cmd/overlay/a.go":      file("package main\nimport _ \"overlay/static\"\n"),
			"cmd/overlay/a_test.go": file("package main\nimport _ \"overlay/tlsauth/tlstest\"\n"),
			"static/a_test.go":      file("package static\nimport _ \"overlay/tlsauth/tlstest\"\n"),
		},
		"package comments": {
			"static/doc.go":    file("// Package static does it.\npackage static\n"),
			"static/a.go":      file("package static\n"),
			"tlsauth/a.go":     file("package tlsauth\n"),
			"certs/a.go":       file("// Certificates.\npackage certs\n"),
			"cmd/overlay/m.go": file("// Command overlay serves.\npackage main\n"),
		},
		"nothing of one machine": {
			"README.md": file("see " + root + "/README.md"),
			"a/lock":    file("--index-url https://pypi." + "org/simple"),
			"fine.md":   file("see somewhere/overlay and os.Root"),
		},
		"length of files": {
			"p/a.go":      file(long),
			"p/a_test.go": file(long),
		},
		"scripts say what they show": {
			"tests/scripts/a.txtar": file("exec overlay\n"),
			"tests/scripts/b.txtar": file("# it starts\nexec overlay\n"),
		},
	}
	want := map[string]int{
		"import directions":          3,
		"package comments":           2,
		"nothing of one machine":     2,
		"length of files":            1,
		"scripts say what they show": 1,
	}
	for _, rule := range rules(root) {
		got := rule.check(t, faulty[rule.name])
		if len(got) != want[rule.name] {
			t.Errorf("%s: got %d faults, want %d: %q", rule.name, len(got), want[rule.name], got)
		}
	}
}

func file(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }

type rule struct {
	name  string
	check func(testing.TB, fs.FS) []string // one line per fault
}

// rules returns every rule; root is where the repository is on this machine.
func rules(root string) []rule {
	return []rule{
		{"import directions", importDirections},
		{"package comments", packageComments},
		{"nothing of one machine", func(t testing.TB, tree fs.FS) []string { return ofOneMachine(t, tree, root) }},
		{"length of files", lengths},
		{"scripts say what they show", scriptComments},
	}
}

// parts are the packages that know nothing of one another; cmd/overlay joins them.
var parts = []string{"eventloop", "http2", "static", "tlsauth", "certs", "fallthrough", "pybridge"}

// importDirections finds parts that import one another, and anything but
// cmd/overlay and tests that imports a part.
func importDirections(t testing.TB, tree fs.FS) (faults []string) {
	walk(t, tree, ".go", func(name string, text []byte) {
		if strings.HasSuffix(name, "_test.go") || strings.HasPrefix(name, "tests/") {
			return // tests may look across, and use the helpers of others
		}
		for _, imported := range parse(t, name, text).Imports {
			target, err := strconv.Unquote(imported.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			target, ours := strings.CutPrefix(target, "overlay/")
			from, _, _ := strings.Cut(name, "/")
			to, _, _ := strings.Cut(target, "/")
			switch {
			case !ours, from == to, path.Dir(name) == "cmd/overlay" && slices.Contains(parts, to):
			default:
				faults = append(faults, fmt.Sprintf("%s imports %s: only cmd/overlay brings packages together", name, target))
			}
		}
	})
	return faults
}

// packageComments finds packages without the comment that go doc opens with.
func packageComments(t testing.TB, tree fs.FS) (faults []string) {
	comments := map[string]bool{}
	walk(t, tree, ".go", func(name string, text []byte) {
		f := parse(t, name, text)
		// As gofmt's own tools have it: "Package flate ..." and "Command gofmt ..." or "Gofmt ...".
		want := "Package " + strings.TrimSuffix(f.Name.Name, "_test") + " "
		if f.Name.Name == "main" {
			want = "(?i:command )?(?i:" + regexp.QuoteMeta(path.Base(path.Dir(name))) + ") "
		}
		has := f.Doc != nil && regexp.MustCompile("^"+want).MatchString(f.Doc.Text())
		comments[path.Dir(name)] = comments[path.Dir(name)] || has
	})
	for dir, has := range comments {
		if !has {
			faults = append(faults, fmt.Sprintf("%s: no file has a package comment, \"// Package name ...\" or \"// Command name ...\"", dir))
		}
	}
	return faults
}

// ofOneMachine finds text that means something on one machine only: where the
// repository or a home directory is, and hosts that packages come from, which
// differ from one site to the next.
func ofOneMachine(t testing.TB, tree fs.FS, root string) (faults []string) {
	// The names are in pieces, so that this file passes.
	patterns := []string{
		regexp.QuoteMeta(root) + `\b`, `/opt/` + `wheels`, `/work/` + `(main|shared)`,
		`\bpypi\.` + `org`, `python` + `hosted\.org`, `(proxy|sum)\.golang` + `\.org`, `registry\.` + `npmjs`, `deb\.` + `debian\.org`,
	}
	if home, err := os.UserHomeDir(); err == nil && len(home) > 1 {
		patterns = append(patterns, regexp.QuoteMeta(home)+`/\.\w`)
	}
	wrong := regexp.MustCompile(strings.Join(patterns, "|"))
	walk(t, tree, "", func(name string, text []byte) {
		if bytes.IndexByte(text, 0) >= 0 {
			return // not text
		}
		for i, line := range bytes.Split(text, []byte("\n")) {
			if found := wrong.Find(line); found != nil {
				faults = append(faults, fmt.Sprintf("%s:%d: %q means something on one machine only", name, i+1, found))
			}
		}
	})
	return faults
}

func lengths(t testing.TB, tree fs.FS) (faults []string) {
	walk(t, tree, ".go", func(name string, text []byte) {
		lines := bytes.Count(text, []byte("\n"))
		if !strings.HasSuffix(name, "_test.go") && lines > maxGoLines {
			faults = append(faults, fmt.Sprintf("%s: %d lines, want at most %d: one concern per file", name, lines, maxGoLines))
		}
	})
	return faults
}

// scriptComments finds scripts that do not open with what they show.
func scriptComments(t testing.TB, tree fs.FS) (faults []string) {
	walk(t, tree, ".txtar", func(name string, text []byte) {
		if strings.HasPrefix(name, "tests/scripts/") && !bytes.HasPrefix(text, []byte("# ")) {
			faults = append(faults, name+": the first line is no comment that says what the script shows")
		}
	})
	return faults
}

// walk calls visit for each file of the repository whose name ends in suffix,
// leaving out what git ignores.
func walk(t testing.TB, tree fs.FS, suffix string, visit func(name string, text []byte)) {
	ignored := []string{".git", ".cache", ".venv", "__pycache__", "examples/django/var", "examples/django/htdocs"}
	err := fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (slices.Contains(ignored, name) || slices.Contains(ignored, entry.Name())) {
			return fs.SkipDir
		}
		if !entry.Type().IsRegular() || !strings.HasSuffix(name, suffix) || name == "overlay" || name == ".git" { // a file in a worktree
			return nil
		}
		text, err := fs.ReadFile(tree, name)
		if err == nil {
			visit(name, text)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func parse(t testing.TB, name string, text []byte) *ast.File {
	f, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ImportsOnly|parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	return f
}
