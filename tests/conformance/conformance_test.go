package conformance

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"overlay/tests/e2e/program"
)

var (
	flagURL       = flag.String("url", "", "test the server at this address, which serves suite:application")
	flagAdapter   = flag.String("adapter", "", "test the server that this file describes")
	flagProcesses = flag.Int("processes", 0, "worker processes of the server at -url; 0 means unknown")
	flagThreads   = flag.Int("threads", 0, "threads of each worker process of the server at -url; 0 means unknown")
	flagPatience  = flag.Duration("patience", 5*time.Minute, "bound of everything that a case waits for; far longer than anything takes")
	flagLevel     = flag.String("level", "extra", "which cases to run: must, should (and must), extra (all)")

	// overlay as users get it, and with cgo, for --embedded-mode. Both are nil with
	// -url and -adapter, the second also when there is no C compiler.
	theProgram, cgoProgram *program.Program
)

func TestMain(m *testing.M) {
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	flag.Parse()
	if parallel := flag.Lookup("test.parallel"); parallel.Value.String() == parallel.DefValue {
		// Cases wait for the server more than they compute.
		_ = parallel.Value.Set("6")
	}
	if *flagURL != "" || *flagAdapter != "" {
		return m.Run()
	}
	return program.Main(m, &theProgram, &cgoProgram)
}

// hosts returns the ways in which overlay runs an application with an
// interpreter, by what they add to its name.
func hosts(python interpreter) map[string]host {
	all := map[string]host{
		"":        {program: theProgram, processes: 2, threads: 5},
		"-single": {program: theProgram, processes: 1, threads: 1, mount: "/m%C3%A9%20t"},
	}
	if streams(python) {
		all["-streamed"] = host{program: theProgram, processes: 2, threads: 5, args: []string{"--stream-request-body", "*"}}
	}
	if cgoProgram != nil && strings.HasPrefix(python.name, "cpython") {
		all["-embedded"] = host{
			program: cgoProgram, processes: 1, threads: 5, args: []string{"--embedded-mode"},
			spare: 6 + runtime.NumCPU(), // Go runs Python on any thread that it has (pybridge/doc.go)
			skip:  map[string]string{"failure/(exit.*|killed)": "the application runs in the server process, which ends with it"},
		}
		if streams(python) {
			streamed := all["-embedded"]
			streamed.args = []string{"--embedded-mode", "--stream-request-body", "*"}
			all["-embedded-streamed"] = streamed
		}
	}
	return all
}

// streams reports whether bodies are streamed to this interpreter, too: to the oldest, a
// new one and PyPy. tests/e2e does it with all of them.
func streams(python interpreter) bool {
	for _, name := range []string{"cpython3.9", "cpython3.13", "pypy"} {
		if strings.HasPrefix(python.name, name) {
			return true
		}
	}
	return false
}

// TestConformance runs every case over every server: overlay with each
// interpreter, with two processes of five threads, with one thread in all and a
// mount point, and with the interpreter inside the server process; and where
// bodies of requests are received whole, and where they arrive while they are read.
func TestConformance(t *testing.T) {
	// The logs of servers are long: what failed stands after them, once more.
	var failed failures
	t.Cleanup(func() { failed.report(t) })
	switch {
	case *flagURL != "":
		s := atURL(t, *flagURL)
		runGroups(t, s, &failed)
	case *flagAdapter != "":
		a, err := readAdapter(*flagAdapter)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(a.Name, func(t *testing.T) { runGroups(t, a.start(t), &failed) })
	default:
		for _, python := range interpreters(t) {
			for suffix, h := range hosts(python) {
				t.Run(python.name+suffix, func(t *testing.T) {
					t.Parallel()
					runGroups(t, h.start(t, python.file), &failed)
				})
			}
		}
	}
}

func runGroups(t *testing.T, s *server, failed *failures) {
	most, ok := map[string]level{"must": must, "should": should, "extra": extra}[*flagLevel]
	if !ok {
		t.Fatalf("-level: got %q, want must, should or extra", *flagLevel)
	}
	for _, g := range groups {
		t.Run(g.name, func(t *testing.T) {
			for _, c := range g.cases {
				if c.level > most {
					continue
				}
				t.Run(c.name, func(t *testing.T) {
					if missing := s.has(c.needs); missing != "" {
						t.Skip("needs " + missing)
					}
					for pattern, why := range s.skip {
						if regexp.MustCompile("^(?:" + pattern + ")$").MatchString(g.name + "/" + c.name) {
							t.Skip("known: " + why)
						}
					}
					if c.needs&needAlone == 0 {
						t.Parallel()
					}
					defer func() {
						if t.Failed() {
							failed.add(t.Name())
							t.Logf("%s: PEP 3333, %s: %s", c.level, g.section, c.says)
						}
					}()
					c.run(t, s)
				})
			}
		})
	}
}

// failures are the names of cases that failed.
type failures struct {
	mu    sync.Mutex // guards names
	names []string
}

func (f *failures) add(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.names = append(f.names, name)
}

// report writes the names into the output of t, if there are any.
func (f *failures) report(t *testing.T) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.names) > 0 {
		slices.Sort(f.names)
		t.Logf("%d cases failed:\n%s", len(f.names), strings.Join(f.names, "\n"))
	}
}

// TestCases checks the table itself: a name that is used twice would hide a
// case, and a case without a sentence has no reason.
func TestCases(t *testing.T) {
	seen := map[string]bool{}
	for _, g := range groups {
		if g.section == "" || len(g.cases) == 0 {
			t.Errorf("group %q: no section or no cases", g.name)
		}
		for _, c := range g.cases {
			name := g.name + "/" + c.name
			if seen[name] || strings.ContainsAny(c.name, " /") || c.says == "" || c.run == nil {
				t.Errorf("case %q: repeated, ill-named, or without a sentence", name)
			}
			seen[name] = true
		}
	}
	t.Logf("%d cases", len(seen))
}

// interpreter is a Python to run the application with.
type interpreter struct {
	name string // as in cpython3.11.7
	file string
}

// interpreters returns those that tests/python-envs prepared. Without any,
// python3 on PATH will do, unless OVERLAY_TEST_REQUIRED asks for all.
func interpreters(t *testing.T) (all []interpreter) {
	t.Helper()
	files, err := filepath.Glob("../../.cache/python/*/bin/python")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name := filepath.Base(filepath.Dir(filepath.Dir(file)))
		if file, err = filepath.Abs(file); err != nil {
			t.Fatal(err)
		}
		all = append(all, interpreter{strings.Replace(name, "-", "", 1), file})
	}
	if len(all) > 0 {
		return all
	}
	if os.Getenv("OVERLAY_TEST_REQUIRED") != "" {
		t.Fatal("no interpreter is prepared: run ./test prepare")
	}
	file, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no python3 on PATH, and none is prepared: run ./test prepare")
	}
	return []interpreter{{"python3", file}}
}
