package static

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What means "nothing here" is declined; what means trouble must not be, or the
// application would answer for a file that is there.
func TestClassify(t *testing.T) {
	for errno, absent := range map[syscall.Errno]bool{
		syscall.ENOENT: true, syscall.ENOTDIR: true, syscall.ENAMETOOLONG: true, syscall.ELOOP: true, syscall.EXDEV: true,
		syscall.EACCES: true, syscall.ENXIO: true,
		syscall.EMFILE: false, syscall.ENFILE: false, syscall.ENOMEM: false, syscall.EIO: false, syscall.ESTALE: false,
	} {
		err := classify(&fs.PathError{Op: "openat", Path: "x", Err: errno})
		if errors.Is(err, errAbsent) != absent {
			t.Errorf("classify(%v) = %v, want absent %t", errno, err, absent)
		}
	}
}

// Files that are replaced again and again leave no descriptors behind.
func TestNoDescriptorLeak(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, Options{Root: dir, CacheRevalidate: -1})
	open := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip("needs /proc/self/fd to count descriptors")
		}
		return len(entries)
	}
	replace := func(i int) {
		p := write(t, dir, "next", strings.Repeat(fmt.Sprint(i%10), memoryLimit+1+i))
		if err := os.Rename(p, filepath.Join(dir, "a.bin")); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if got := s.get("/a.bin"); got.status != 200 || len(got.body) != memoryLimit+1+i {
				t.Fatalf("GET = %d, %d bytes", got.status, len(got.body))
			}
		}
		s.get("/missing")
		s.get("/")
	}
	replace(0)
	before := open()
	for i := range 100 {
		replace(i)
	}
	if after := open(); after > before+20 || s.h.openFiles.Load() != 1 {
		t.Errorf("descriptors: %d before, %d after; %d files kept, want 1", before, after, s.h.openFiles.Load())
	}
}

func TestFollowSymlinksString(t *testing.T) {
	for f, want := range map[FollowSymlinks]string{FollowInside: "inside", FollowNever: "never", FollowAny: "any", 7: "FollowSymlinks(7)"} {
		if got := f.String(); got != want {
			t.Errorf("FollowSymlinks(%d) = %q, want %q", int(f), got, want)
		}
	}
}

// A document root that is swung to another directory, as deployments do, is
// followed.
func TestRootIsReplaced(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "v1/a.txt", "one")
	write(t, dir, "v2/a.txt", "two")
	current := filepath.Join(dir, "current")
	if err := os.Symlink("v1", current); err != nil {
		t.Fatal(err)
	}
	s := serve(t, Options{Root: current})
	if got := s.get("/a.txt"); got.body != "one" {
		t.Fatalf("before: %q", got.body)
	}
	if err := os.Symlink("v2", current+".new"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(current+".new", current); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; {
		got := s.get("/a.txt")
		if got.body == "two" {
			return
		}
		if got.body != "one" || time.Now().After(deadline) {
			t.Fatalf("after: %q, want %q", got.body, "two")
		}
		time.Sleep(20 * time.Millisecond)
	}
}
