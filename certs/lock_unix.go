//go:build unix

package certs

import (
	"fmt"
	"os"
	"syscall"
)

// lock keeps other programs out of the folder until unlock is called, or this
// process ends.
func lock(dir string) (unlock func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("lock the authority: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("lock the authority %s: %w", dir, err)
	}
	return func() { _ = f.Close() }, nil
}
