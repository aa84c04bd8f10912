package static

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// Whoever may write below the document root and swaps a folder for a link that leads
// out of it, as fast as he can, never gets a file from outside.
func TestSwappedForALinkUnderLoad(t *testing.T) {
	outside := t.TempDir()
	write(t, outside, "a.txt", "outside")
	write(t, outside, "deep/b.txt", "outside")
	write(t, outside, "outside.txt", "") // seen in a listing
	for _, openat2 := range []bool{true, false} {
		dir := t.TempDir()
		write(t, dir, "real/a.txt", "inside")
		write(t, dir, "real/deep/b.txt", "inside")
		for name, target := range map[string]string{
			"absolute": outside, "relative": filepath.Join("..", filepath.Base(outside)), "back": filepath.Join(dir, "real"),
		} {
			if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink(filepath.Join(dir, "real"), filepath.Join(dir, "swapped")); err != nil {
			t.Fatal(err)
		}
		s := serve(t, Options{Root: dir, CacheRevalidate: -1, Listing: true})
		if !openat2 {
			s.h.withoutOpenat2()
		}
		var stop atomic.Bool
		var served, refused atomic.Int64
		var readers sync.WaitGroup
		for _, target := range []string{"/swapped/a.txt", "/swapped/deep/b.txt", "/swapped/", "/back/a.txt"} {
			readers.Go(func() {
				for !stop.Load() {
					got := roundTrip(t, s.addr, "GET", target, "Accept: application/json")
					switch {
					case strings.Contains(got.body, "outside"):
						t.Errorf("openat2 %v: GET %s = %q", openat2, target, got.body)
						return
					case got.status == 200:
						served.Add(1)
					default:
						refused.Add(1)
					}
				}
			})
		}
		// Each of them takes the place of the one before in one step, by rename.
		for n := 0; n < 400 && !t.Failed() || n < 100_000 && (served.Load() == 0 || refused.Load() == 0); n++ {
			for _, name := range []string{"absolute", "back", "relative", "back"} {
				link, err := os.Readlink(filepath.Join(dir, name))
				if err == nil {
					err = os.Symlink(link, filepath.Join(dir, "next"))
				}
				if err == nil {
					err = os.Rename(filepath.Join(dir, "next"), filepath.Join(dir, "swapped"))
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			// The folder itself, which links have been resolved to a moment ago.
			real, parked := filepath.Join(dir, "real"), filepath.Join(dir, "parked")
			for _, step := range []func() error{
				func() error { return os.Rename(real, parked) }, func() error { return os.Symlink(outside, real) },
				func() error { return os.Remove(real) }, func() error { return os.Rename(parked, real) },
			} {
				if err := step(); err != nil {
					t.Fatal(err)
				}
			}
		}
		stop.Store(true)
		readers.Wait()
		if served.Load() == 0 || refused.Load() == 0 {
			t.Errorf("openat2 %v: %d answers and %d refusals: nothing was raced for", openat2, served.Load(), refused.Load())
		}
	}
}
