package static

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// What was found is believed for CacheRevalidate, and not longer.
func TestRevalidate(t *testing.T) {
	dir := t.TempDir()
	p := write(t, dir, "a.txt", "one")
	believing := serve(t, Options{Root: dir, CacheRevalidate: time.Hour})
	asking := serve(t, Options{Root: dir, CacheRevalidate: -1})
	check := func(when, path string, wantBelieving, wantAsking string) {
		t.Helper()
		if got := believing.get(path); got.body != wantBelieving {
			t.Errorf("%s: with an hour's belief %s = %q, want %q", when, path, got.body, wantBelieving)
		}
		if got := asking.get(path); got.body != wantAsking {
			t.Errorf("%s: asked each time %s = %q, want %q", when, path, got.body, wantAsking)
		}
	}
	const missing = "404 Not Found\n"
	check("at first", "/a.txt", "one", "one")
	for range 3 { // a miss is remembered from the second time on
		check("at first", "/b.txt", missing, missing)
	}
	q := write(t, dir, "new", "two")
	if err := os.Rename(q, p); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "b.txt", "b")
	check("replaced", "/a.txt", "one", "two")
	check("created", "/b.txt", missing, "b")
	if err := os.WriteFile(p, []byte("six"), 0o644); err != nil { // in place, same size
		t.Fatal(err)
	}
	check("written over", "/a.txt", "one", "six")
	if err := os.Remove(p); err != nil {
		t.Fatal(err)
	}
	check("removed", "/a.txt", "one", missing)
}

// The file system is asked again as soon as CacheRevalidate is over, and not before.
func TestRevalidateToTheNanosecond(t *testing.T) {
	dir := t.TempDir()
	p := write(t, dir, "a.txt", "one")
	h, err := New(Options{Root: dir, CacheRevalidate: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	h.believeAges()
	start := time.Now()
	size := func(after time.Duration) int64 {
		t.Helper()
		e, err := h.find([]byte("/a.txt"), start.Add(after))
		if err != nil || e.outcome != outcomeFile {
			t.Fatalf("find = %v, %v", e, err)
		}
		return e.version.size
	}
	if n := size(0); n != 3 {
		t.Fatalf("size %d, want 3", n)
	}
	if err := os.WriteFile(p, []byte("longer"), 0o644); err != nil {
		t.Fatal(err)
	}
	if n := size(10*time.Second - 1); n != 3 {
		t.Errorf("before the time is over: size %d, want 3", n)
	}
	if n := size(10 * time.Second); n != 6 {
		t.Errorf("once it is over: size %d, want 6", n)
	}
}

// Files are replaced by rename while many clients read them: every body is one of the
// versions, whole, and fits its entity tag.
func TestReplacedUnderLoad(t *testing.T) {
	for _, size := range []int{100, 20 << 10, memoryLimit + 1, 300 << 10} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			dir := t.TempDir()
			content := func(n int) string {
				letter := n % 26
				return strings.Repeat(string(rune('a'+letter)), size+letter%3)
			}
			write(t, dir, "a.txt", content(0))
			s := serve(t, Options{Root: dir, CacheRevalidate: -1})
			var stop atomic.Bool
			var tags sync.Map
			var readers, bodies = sync.WaitGroup{}, atomic.Int64{}
			for reader := range 4 {
				readers.Go(func() {
					accept := []string{"identity", "gzip", "identity", "br"}[reader]
					for !stop.Load() {
						got := roundTrip(t, s.addr, "GET", "/a.txt", "Accept-Encoding: "+accept)
						if got.status != 200 || got.err != nil {
							continue // cut short, and the client sees it
						}
						body := string(decode(t, got.header.Get("Content-Encoding"), []byte(got.body)))
						if len(body) == 0 || body != content(int(body[0]-'a')) {
							t.Errorf("a body of %d bytes is mixed or cut", len(body))
							return
						}
						if old, seen := tags.LoadOrStore(got.header.Get("ETag"), body); seen && old != body {
							t.Errorf("two bodies for the tag %s", got.header.Get("ETag"))
							return
						}
						bodies.Add(1)
					}
				})
			}
			for n := 1; n < 30; n++ {
				p := write(t, dir, "next", content(n))
				if err := os.Rename(p, filepath.Join(dir, "a.txt")); err != nil {
					t.Fatal(err)
				}
				for seen := bodies.Load(); bodies.Load() < seen+2 && !t.Failed(); {
					time.Sleep(100 * time.Microsecond)
				}
			}
			stop.Store(true)
			readers.Wait()
		})
	}
}

// No more descriptors stay open than there may be; the files beyond that are served all
// the same.
func TestDescriptorsAreBounded(t *testing.T) {
	dir := t.TempDir()
	for i := range 4 {
		write(t, dir, fmt.Sprintf("%d.bin", i), strings.Repeat("a", memoryLimit+1+i))
	}
	s := serve(t, Options{Root: dir, CacheRevalidate: time.Hour})
	s.h.maxOpen = 2
	for i := range 4 {
		if got := s.get(fmt.Sprintf("/%d.bin", i)); got.status != 200 || len(got.body) != memoryLimit+1+i {
			t.Errorf("file %d: %d, %d bytes", i, got.status, len(got.body))
		}
		if n := s.h.openFiles.Load(); n != int64(min(i+1, 2)) {
			t.Errorf("after %d files: %d descriptors kept, want %d", i+1, n, min(i+1, 2))
		}
	}
}

func TestDescriptorsAreClosed(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.bin", strings.Repeat("a", memoryLimit+1))
	s := serve(t, Options{Root: dir, CacheRevalidate: time.Hour})
	s.get("/a.bin")
	if n := s.h.openFiles.Load(); n != 1 {
		t.Fatalf("after a request: %d descriptors kept, want 1", n)
	}
	s.h.sweep() // clears the mark of use
	s.h.sweep()
	if n := s.h.openFiles.Load(); n != 0 {
		t.Errorf("after two sweeps: %d descriptors kept, want none", n)
	}
	if got := s.get("/a.bin"); got.status != 200 || len(got.body) != memoryLimit+1 {
		t.Errorf("after the sweep: %d, %d bytes", got.status, len(got.body))
	}
}

// Where the file system cannot say whether there is a file, the application is not asked
// instead: it might answer, and be believed.
func TestTroubleIsNoMiss(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.txt", "a")
	s := serve(t, Options{Root: dir, Next: next, SPA: "/a.txt", Redirects: []Redirect{{From: "/*", To: "/elsewhere"}}, Logger: slog.New(slog.DiscardHandler)})
	o := s.h.trees[0].current.Load()
	if o.dir == nil {
		t.Skip("without openat2 another descriptor is used")
	}
	o.dir.Close() // every look-up fails from now on, and not because there is no file
	for _, target := range []string{"/a.txt", "/b.txt"} {
		if got := s.get(target, "Accept: text/html"); got.status != 500 || got.body != "500 Internal Server Error\n" {
			t.Errorf("GET %s = %d %q, want 500", target, got.status, got.body)
		}
	}
}
