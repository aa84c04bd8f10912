package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// worker is what the views process/worker and process/meet say.
type worker struct {
	PID, Thread, Count int
	Multithread        bool
	Multiprocess       bool
}

var processGroup = group{"process", "Thread Support", []testCase{
	{"all-at-once", extra, "every thread of every process runs a request at the same time", needWorkers | needAlone, func(t *testing.T, s *server) {
		n, name := s.processes*s.threads, newNote()
		answers := make([]worker, n)
		var all sync.WaitGroup
		for i := range answers {
			c := s.dial(t)
			all.Go(func() {
				c.send(request{target: fmt.Sprintf("/process/meet?n=%d&note=%s", n, name)})
				if r, err := c.tryHead("GET"); err == nil {
					if c.finish(r); r.status == 200 {
						answers[i] = into[worker](t, r)
					}
				}
			})
		}
		all.Wait()
		threads, processes := map[[2]int]bool{}, map[int]bool{}
		for _, w := range answers {
			threads[[2]int{w.PID, w.Thread}], processes[w.PID] = true, true
		}
		if len(threads) != n || len(processes) != s.processes {
			t.Errorf("%d requests at once met in %d threads of %d processes, want %d of %d", n, len(threads), len(processes), n, s.processes)
		}
	}},
	{"no-more-at-once", extra, "no more requests run at the same time than there are threads", needWorkers | needHere | needAlone, func(t *testing.T, s *server) {
		n, name := s.processes*s.threads, newNote()
		answers := make([]*response, 2*n)
		var all sync.WaitGroup
		for i := range answers {
			c := s.dial(t)
			all.Go(func() {
				// Each waits until n have come in; the others have to wait for one to go.
				c.send(request{target: fmt.Sprintf("/process/meet?n=%d&note=%s", n, name)})
				if r, err := c.tryHead("GET"); err == nil {
					c.finish(r)
					answers[i] = r
				}
			})
		}
		all.Wait()
		running, most := 0, 0
		text, _ := s.readNote(t, name)
		for _, step := range text {
			if step == '+' {
				running++
			} else {
				running--
			}
			most = max(most, running)
		}
		if most != n || running != 0 {
			t.Errorf("at most %d requests ran at the same time, and %d never ended; want %d and 0", most, running, n)
		}
		for i, r := range answers {
			if r == nil || r.status != 200 {
				t.Errorf("request %d was not answered: %+v", i, r)
			}
		}
	}},
	{"single-thread", must, "wsgi.multithread false: no second request while one runs", needWorkers | needHere | needAlone, func(t *testing.T, s *server) {
		if s.threads != 1 || s.processes != 1 {
			t.Skip("there is more than one thread")
		}
		name := newNote()
		first := s.dial(t)
		first.send(request{target: "/iter/blocks?n=1&note=" + name})
		first.head("GET")
		first.expect("block 0\n")
		second := s.dial(t)
		second.send(request{target: "/process/event?note=" + name + "-second"})
		// The first is still in its iteration, and the second has to wait for it.
		if _, ran := s.readNote(t, name+"-second"); ran {
			t.Error("the second request ran while the first did")
		}
		s.note(t, name+"-0")
		rest := second.head("GET")
		second.finish(rest)
		if rest.status != 200 {
			t.Errorf("second request: got %d", rest.status)
		}
	}},
	{"thread-local", extra, "a thread serves many requests: threading.local survives", needAlone, func(t *testing.T, s *server) {
		seen := map[[2]int]map[int]bool{}
		const n = 60
		for range n {
			w := into[worker](t, s.ok(t, "/process/worker"))
			id := [2]int{w.PID, w.Thread}
			if seen[id] == nil {
				seen[id] = map[int]bool{}
			}
			if seen[id][w.Count] {
				t.Errorf("thread %v was at its request number %d twice: its threading.local was lost", id, w.Count)
			}
			seen[id][w.Count] = true
		}
		if most := s.processes * (s.threads + s.spare); s.processes*s.threads > 0 && len(seen) > most {
			t.Errorf("%d threads ran %d requests, want at most %d", len(seen), n, most)
		}
	}},
	{"side-effects", extra, "threads and working directory of the application are its own affair", 0, func(t *testing.T, s *server) {
		for range 5 {
			s.wantBody(t, "/process/globals", "changed\n")
		}
	}},
	{"fork", extra, "the application may fork", 0, func(t *testing.T, s *server) {
		for range 3 {
			s.wantBody(t, "/process/fork", "[0, 0]\n")
		}
	}},
	{"descriptors", extra, "programs that the application starts do not get the server's sockets", needHere, func(t *testing.T, s *server) {
		name := newNote()
		s.wantBody(t, "/process/descriptors?note="+name, "listed\n")
		if text, _ := s.readNote(t, name); strings.Contains(text, "socket:") || text == "" {
			t.Errorf("a child process has open:\n%s", text)
		}
	}},
	{"many-connections", must, "requests of many clients do not get mixed up", 0, func(t *testing.T, s *server) {
		var all sync.WaitGroup
		for i := range 10 {
			c := s.dial(t)
			all.Go(func() {
				for j := range 20 {
					body := fmt.Sprintf("client %d request %d", i, j)
					c.send(request{method: "POST", target: "/input/echo", body: []byte(body)})
					r, err := c.tryHead("POST")
					if err != nil {
						t.Errorf("client %d, request %d: %v", i, j, err)
						return
					}
					if c.finish(r); string(r.body) != body {
						t.Errorf("client %d, request %d: got %q", i, j, r.body)
						return
					}
				}
			})
		}
		all.Wait()
	}},
}}

// peakMemory returns the largest resident size that the process has had, in bytes.
func peakMemory(t *testing.T, pid int) int {
	t.Helper()
	return 1024 * processStatus(t, pid, "VmHWM")
}

// parentOf returns the process that started pid: the server, for its workers.
func parentOf(t *testing.T, pid int) int {
	t.Helper()
	return processStatus(t, pid, "PPid")
}

// processStatus returns a number from /proc/pid/status.
func processStatus(t *testing.T, pid int, name string) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		if _, none := os.Stat("/proc/self/status"); none != nil {
			t.Skip("needs /proc: ", none)
		}
		t.Fatalf("process %d is gone: %v", pid, err)
	}
	_, rest, ok := strings.Cut(string(text), "\n"+name+":")
	fields := strings.Fields(rest)
	if !ok || len(fields) == 0 {
		t.Skipf("/proc/%d/status has no %s", pid, name)
	}
	n, err := strconv.Atoi(fields[0])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// unnamedFiles returns the bytes of disk that the process holds in files that
// have no name any more: its temporary ones.
func unnamedFiles(pid int) (size int64) {
	links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid)) // the pattern is well-formed
	for _, link := range links {
		name, err := os.Readlink(link)
		if err != nil || !strings.HasSuffix(name, " (deleted)") {
			continue // closed by now, or not temporary
		}
		if info, err := os.Stat(link); err == nil && info.Mode().IsRegular() {
			size += info.Sys().(*syscall.Stat_t).Blocks * 512
		}
	}
	return size
}
