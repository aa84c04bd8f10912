package faults

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"overlay/tests/e2e/load"
)

// TestOutOfMemory: the kernel kills a worker process that takes all the memory there
// is. What it held fails, and nothing else.
func TestOutOfMemory(t *testing.T) {
	t.Parallel()
	// A group for each worker process, so that the kernel has no choice whom to kill. They are made
	// before the server, so that they go after it.
	groups := []*memoryGroup{newMemoryGroup(t, "a", 600<<20), newMemoryGroup(t, "b", 600<<20)}
	s, _ := start(t, "--processes", "2", "--request-timeout", "50")
	account := under(t, s, 8, plain, func(account *load.Account) {
		await(t, "both processes", func() bool { return len(pids(account)) == 2 })
		next := 0
		for pid := range pids(account) {
			groups[next].add(t, pid)
			next++
		}
		client := load.Client{Addr: s.Addr}
		defer client.Close()
		if o := client.Get("/?do=oom"); o.Status != 502 {
			t.Errorf("the request that took all the memory got %d, want 502", o.Status)
		}
		awaitLog(t, s, "worker process ready", 1)
	})
	answers(t, account, threads, 502)
	if n := len(pids(account)); n != 3 {
		t.Errorf("%d processes answered, want three: one was killed and replaced", n)
	}
	for _, want := range []string{`state="signal: killed"`, "request lost with its worker process", "GET /?do=oom"} {
		if !strings.Contains(s.Log(), want) {
			t.Errorf("the log does not tell %q", want)
		}
	}
	if n := groups[0].kills(t) + groups[1].kills(t); n != 1 {
		t.Errorf("the kernel says that it has killed %d processes, want one", n)
	}
}

// TestMemoryError: where memory ends for one process alone (RLIMIT_AS), Python says
// so with an exception. That request gets 500; its process goes on.
func TestMemoryError(t *testing.T) {
	t.Parallel()
	s, _ := start(t)
	account := under(t, s, 4, plain, func(*load.Account) {
		client := load.Client{Addr: s.Addr}
		defer client.Close()
		for range 3 {
			if o := client.Get("/?do=rlimit"); o.Status != 500 {
				t.Errorf("the request without memory got %d, want 500", o.Status)
			}
		}
	})
	answers(t, account, 0)
	if n := len(pids(account)); n != 1 {
		t.Errorf("%d processes answered, want one", n)
	}
	if !strings.Contains(s.Log(), "MemoryError") {
		t.Error("the log does not tell of the MemoryError")
	}
}

// memoryGroup is a control group with a limit of memory, of either version.
type memoryGroup struct {
	dir    string
	events string // the file that counts kills
}

// newMemoryGroup makes a control group, with a name of its own among those of a test, and skips the test where it may not.
func newMemoryGroup(t *testing.T, name string, limit int64) *memoryGroup {
	t.Helper()
	const root = "/sys/fs/cgroup"
	name = fmt.Sprintf("overlay-test-%d-%s", os.Getpid(), name)
	g := &memoryGroup{dir: filepath.Join(root, "memory", name), events: "memory.oom_control"}
	settings := map[string]int64{"memory.limit_in_bytes": limit, "memory.swappiness": 0}
	if _, err := os.Stat(filepath.Join(root, "cgroup.controllers")); err == nil {
		g = &memoryGroup{dir: filepath.Join(root, name), events: "memory.events"}
		settings = map[string]int64{"memory.max": limit, "memory.swap.max": 0}
		// It fails in a container, whose processes are in the group that looks like the root.
		_ = os.WriteFile(filepath.Join(root, "cgroup.subtree_control"), []byte("+memory"), 0)
	}
	if err := os.Mkdir(g.dir, 0o755); err != nil {
		t.Skipf("no control group with a limit of memory can be made here: %v", err)
	}
	t.Cleanup(func() {
		await(t, "the control group to be empty", func() bool {
			err := os.Remove(g.dir)
			return err == nil || errors.Is(err, fs.ErrNotExist)
		})
	})
	for file, value := range settings {
		err := os.WriteFile(filepath.Join(g.dir, file), strconv.AppendInt(nil, value, 10), 0)
		if err != nil && !strings.Contains(file, "swap") { // a kernel without swap has no limit of it
			t.Skipf("no limit of memory can be set here: %v", err)
		}
	}
	return g
}

func (g *memoryGroup) add(t *testing.T, pid int) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(g.dir, "cgroup.procs"), strconv.AppendInt(nil, int64(pid), 10), 0); err != nil {
		t.Fatal(err)
	}
}

// kills returns how many processes of the group the kernel has killed.
func (g *memoryGroup) kills(t *testing.T) (n int) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(g.dir, g.events))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if _, err := fmt.Sscanf(line, "oom_kill %d", &n); err == nil {
			return n
		}
	}
	t.Fatalf("the kernel counts no kills: %q", text)
	return 0
}
