package e2e

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"overlay/tests/e2e/program"
)

// overlay and, with cgo and nil without a C compiler, overlayCgo are built once, by
// TestMain; root is the repository.
var (
	overlay, overlayCgo *program.Program

	root string
	ran  interpretersThatRan
)

func TestMain(m *testing.M) {
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	var err error
	if root, err = filepath.Abs("../.."); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	flag.Parse()
	if parallel := flag.Lookup("test.parallel"); parallel.Value.String() == parallel.DefValue {
		_ = parallel.Value.Set("6") // what runs in parallel waits more than it computes
	}
	code := program.Main(m, &overlay, &overlayCgo)
	ran.print()
	return code
}

// interpreter is a Python that tests/python-envs prepared.
type interpreter struct {
	name string // as in cpython-3.11.7
	file string // of its virtual environment
}

// interpreters returns those that are prepared, by name. The test skips when
// there is none, and fails instead when OVERLAY_TEST_REQUIRED is set.
func interpreters(t *testing.T) []interpreter {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, ".cache/python/*/bin/python"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		const message = "no interpreter is prepared: run ./test prepare"
		if os.Getenv("OVERLAY_TEST_REQUIRED") != "" {
			t.Fatal(message)
		}
		t.Skip(message)
	}
	var all []interpreter
	for _, file := range files {
		all = append(all, interpreter{filepath.Base(filepath.Dir(filepath.Dir(file))), file})
	}
	return all
}

// anInterpreter returns one CPython, for tests that are not about Python.
func anInterpreter(t *testing.T) interpreter {
	t.Helper()
	all := interpreters(t)
	i := slices.IndexFunc(all, func(p interpreter) bool { return strings.HasPrefix(p.name, "cpython-3.11") })
	return all[max(i, 0)]
}

// eachInterpreter runs test as a subtest for each of them.
func eachInterpreter(t *testing.T, test func(t *testing.T, python interpreter)) {
	t.Helper()
	for _, python := range interpreters(t) {
		t.Run(python.name, func(t *testing.T) {
			ran.add(python.name, t.Name())
			test(t, python)
		})
	}
}

// interpretersThatRan is the list that closes the run, so that nobody takes a
// machine with one Python for a test of all.
type interpretersThatRan struct {
	mu    sync.Mutex // guards tests
	tests map[string][]string
}

func (r *interpretersThatRan) add(python, test string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tests == nil {
		r.tests = map[string][]string{}
	}
	test, _, _ = strings.Cut(test, "/")
	r.tests[python] = append(r.tests[python], test)
}

func (r *interpretersThatRan) print() {
	r.mu.Lock()
	defer r.mu.Unlock()
	var names []string
	for name := range r.tests {
		names = append(names, name)
	}
	slices.Sort(names)
	fmt.Printf("INTERPRETERS THAT RAN: %d\n", len(names))
	for _, name := range names {
		fmt.Printf("  %-20s %s\n", name, strings.Join(r.tests[name], " "))
	}
	for _, kind := range []string{"cpython-", "pypy-"} {
		if !slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(name, kind) }) {
			fmt.Printf("  NOT RUN: no %s* was found\n", kind)
		}
	}
}

// app returns the path of an application in tests/apps.
func app(name string) string { return filepath.Join(root, "tests/apps", name) }
