//go:build !linux

package static

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"sync/atomic"
)

// openBeneathDir: openat2 is Linux's own, os.Root answers elsewhere.
func openBeneathDir(string) *os.File { return nil }

func (t *tree) stat(name []byte) (version, error) {
	return t.statRoot(t.current.Load(), string(name))
}

func (t *tree) open(name []byte) (*file, version, error) {
	osf, err := t.openRoot(t.current.Load(), string(name))
	if err != nil {
		return nil, version{}, err
	}
	f := &file{os: osf}
	f.refs.Store(1)
	v, err := f.stat()
	if err == nil && v.kind == kindOther {
		err = errAbsent
	}
	if err != nil {
		f.release()
		return nil, version{}, err
	}
	return f, v, nil
}

// versionOf has no inode and no ctime to go by here: size and mtime must do.
func versionOf(info fs.FileInfo) version {
	return version{size: info.Size(), mtime: nanos(info.ModTime()), kind: kindOf(info.Mode())}
}

// file is an open file that several responses may read at once, each at its own
// offset. It is closed when the last holder releases it.
type file struct {
	os   *os.File
	refs atomic.Int32
}

func (f *file) acquire() bool {
	for {
		n := f.refs.Load()
		if n <= 0 {
			return false
		}
		if f.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (f *file) release() {
	if f.refs.Add(-1) == 0 {
		f.os.Close()
	}
}

func (f *file) readAt(p []byte, off int64) (int, error) {
	n, err := f.os.ReadAt(p, off)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

func (f *file) stat() (version, error) {
	info, err := f.os.Stat()
	if err != nil {
		return version{}, err
	}
	return versionOf(info), nil
}

func (f *file) readDir(limit int) ([]fs.DirEntry, error) {
	entries, err := f.os.ReadDir(limit)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return entries, nil
}
