package static

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"
)

// FollowSymlinks says which symbolic links below a tree are followed.
type FollowSymlinks int

const (
	// FollowInside follows links whose target stays inside the tree, absolute
	// ones too. It is the zero value.
	FollowInside FollowSymlinks = iota
	// FollowNever takes every symbolic link for absent.
	FollowNever
	// FollowAny follows every link. Whoever can write below the tree then chooses
	// which files of the machine are served.
	FollowAny
)

// String returns the word that the command line uses.
func (f FollowSymlinks) String() string {
	switch f {
	case FollowInside:
		return "inside"
	case FollowNever:
		return "never"
	case FollowAny:
		return "any"
	}
	return fmt.Sprintf("FollowSymlinks(%d)", int(f))
}

// errAbsent is what a tree answers for everything that is not to be served as if
// it did not exist: missing, not permitted, a link that leads out, a name too long.
var errAbsent = errors.New("static: no such file")

// version identifies the content of a file at one moment. Two equal versions of
// one name have the same bytes, as far as a file system can tell: ctime catches
// what keeps size and mtime (cp -p, reproducible builds with a fixed mtime).
type version struct {
	dev, ino     uint64
	size         int64
	mtime, ctime int64 // nanoseconds since 1970
	kind         fileKind
}

type fileKind uint8

const (
	kindOther   fileKind = iota // FIFO, socket, device: counts as absent
	kindRegular                 // may be served
	kindDirectory
)

// tree is a directory whose files are served: the document root, or the target of
// an alias. Names are relative to it, without a slash at either end, and followed
// by a NUL byte that is not part of the slice's length; "." is the tree itself.
type tree struct {
	dir    string // absolute path of the directory
	file   string // not "" when one file of dir is the whole tree (an alias of a file)
	prefix string // URL path of an alias, without trailing slash; "" for the document root
	follow FollowSymlinks
	index  int // in Handler.trees

	current atomic.Pointer[opened]
	checked atomic.Int64 // when dir was last compared with current: nanoseconds on the handler's clock
}

// opened is the directory of a tree as it was at one moment. A deployment may
// replace the directory, or the link that led to it: see tree.refresh.
type opened struct {
	id   version
	root *os.Root
	dir  *os.File // nil where openat2 is not to be had
	real string   // dir with every symbolic link resolved
}

// newTree opens the directory dir for the life of the handler.
func newTree(dir string, follow FollowSymlinks) (*tree, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	t := &tree{dir: abs, follow: follow}
	o, err := t.reopen()
	if err != nil {
		return nil, err
	}
	t.current.Store(o)
	return t, nil
}

func (t *tree) reopen() (*opened, error) {
	root, err := os.OpenRoot(t.dir)
	if err != nil {
		return nil, err
	}
	info, err := root.Stat(".")
	if err != nil {
		root.Close()
		return nil, err
	}
	real, err := filepath.EvalSymlinks(t.dir)
	if err != nil {
		root.Close()
		return nil, err
	}
	o := &opened{id: versionOf(info), root: root, real: real}
	o.dir = openBeneathDir(t.dir)
	return o, nil
}

// refresh follows a document root that was replaced, as a deployment does that
// swings a symbolic link to the next release. It asks the file system once per
// interval. The old directory is closed by the garbage collector, when no request
// uses it any more.
func (t *tree) refresh(now, interval int64) {
	last := t.checked.Load()
	if now-last < interval && last != 0 {
		return
	}
	if !t.checked.CompareAndSwap(last, max(now, 1)) {
		return
	}
	info, err := os.Stat(t.dir)
	if err != nil || !info.IsDir() {
		return // between removal and replacement: the old one still answers
	}
	id, old := versionOf(info), t.current.Load()
	if id.dev == old.id.dev && id.ino == old.id.ino {
		return
	}
	if o, err := t.reopen(); err == nil {
		t.current.Store(o)
	}
}

// close gives the directory back. The tree must not be used afterwards.
func (t *tree) close() {
	if o := t.current.Load(); o != nil {
		o.root.Close()
		if o.dir != nil {
			o.dir.Close()
		}
	}
}

// statRoot answers stat by os.Root: everywhere that openat2 is missing, and as the
// judge of links that openat2 refuses.
func (t *tree) statRoot(o *opened, name string) (version, error) {
	switch t.follow {
	case FollowAny:
		info, err := os.Stat(filepath.Join(t.dir, filepath.FromSlash(name)))
		return versionAndError(info, err)
	case FollowNever:
		if err := noSymlink(o.root, name); err != nil {
			return version{}, err
		}
	}
	info, err := o.root.Stat(name)
	if err != nil && t.follow == FollowInside {
		if inside, ok := o.insideLink(name); ok {
			info, err = o.root.Stat(inside)
		}
	}
	return versionAndError(info, err)
}

// openRoot is to open what statRoot is to stat.
func (t *tree) openRoot(o *opened, name string) (*os.File, error) {
	const flags = os.O_RDONLY | syscall.O_NONBLOCK | syscall.O_NOCTTY // a FIFO must not block us
	var f *os.File
	var err error
	switch t.follow {
	case FollowAny:
		f, err = os.OpenFile(filepath.Join(t.dir, filepath.FromSlash(name)), flags, 0)
	case FollowNever:
		if err := noSymlink(o.root, name); err != nil {
			return nil, err
		}
		fallthrough
	default:
		f, err = o.root.OpenFile(name, flags, 0)
		if err != nil && t.follow == FollowInside {
			if inside, ok := o.insideLink(name); ok {
				f, err = o.root.OpenFile(inside, flags, 0)
			}
		}
	}
	if err != nil {
		return nil, classify(err)
	}
	return f, nil
}

// noSymlink returns errAbsent when a component of name is a symbolic link.
func noSymlink(root *os.Root, name string) error {
	for i := 0; i <= len(name); i++ {
		if i < len(name) && name[i] != '/' {
			continue
		}
		info, err := root.Lstat(name[:i])
		if err != nil {
			return classify(err)
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			return errAbsent
		}
	}
	return nil
}

// insideLink resolves a name that openat2 refused because a link on its way is
// absolute. Such a link may still lead back into the tree; the resolved name is
// then opened beneath it like any other, so that a race gains nothing.
func (o *opened) insideLink(name string) (string, bool) {
	p, err := filepath.EvalSymlinks(filepath.Join(o.real, filepath.FromSlash(name)))
	if err != nil {
		return "", false
	}
	rel, err := filepath.Rel(o.real, p)
	if err != nil || !filepath.IsLocal(rel) {
		return "", false
	}
	return filepath.ToSlash(rel), true
}

func versionAndError(info fs.FileInfo, err error) (version, error) {
	if err != nil {
		return version{}, classify(err)
	}
	return versionOf(info), nil
}

// classify turns the errors that mean "nothing to serve here" into errAbsent, and
// leaves those that mean trouble, such as no more descriptors or a disk that fails.
func classify(err error) error {
	var no syscall.Errno
	if errors.As(err, &no) {
		switch no {
		case syscall.ENOENT, syscall.ENOTDIR, syscall.ENAMETOOLONG, syscall.ELOOP, syscall.EXDEV,
			syscall.EACCES, syscall.EPERM, syscall.EINVAL, syscall.ENXIO, syscall.ENODEV, syscall.EISDIR, syscall.EILSEQ:
			return errAbsent
		}
		return err
	}
	// os.Root reports a path that escapes by an error without a number.
	return errAbsent
}

func nanos(t time.Time) int64 { return t.UnixNano() }

func kindOf(mode fs.FileMode) fileKind {
	switch {
	case mode.IsRegular():
		return kindRegular
	case mode.IsDir():
		return kindDirectory
	}
	return kindOther
}
