package static

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// openBeneathDir returns a descriptor of dir for openat2, or nil when the kernel
// has no openat2 (before 5.6) or a container's filter forbids it.
func openBeneathDir(dir string) *os.File {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	probe, errno := openat2(fd, append(make([]byte, 0, 2), '.'), unix.O_PATH, unix.RESOLVE_BENEATH)
	if errno != 0 {
		unix.Close(fd)
		return nil
	}
	unix.Close(probe)
	return os.NewFile(uintptr(fd), dir)
}

// openat2 opens name below dirfd. The name's slice must have room for one more
// byte, which becomes its NUL; unlike unix.Openat2 nothing is allocated. Where that byte
// is a NUL already nothing is written: the name of an entry is opened by many at once.
func openat2(dirfd int, name []byte, flags, resolve uint64) (int, syscall.Errno) {
	if n := len(name); n < cap(name) && name[:n+1][n] == 0 {
		name = name[:n+1]
	} else {
		name = append(name, 0)
	}
	how := unix.OpenHow{Flags: flags | unix.O_CLOEXEC, Resolve: resolve}
	for try := 0; ; try++ {
		fd, _, errno := unix.Syscall6(unix.SYS_OPENAT2, uintptr(dirfd), uintptr(unsafe.Pointer(&name[0])),
			uintptr(unsafe.Pointer(&how)), unsafe.Sizeof(how), 0, 0)
		// EAGAIN: the kernel could not rule out that a rename moved ".." away
		// under its feet (openat2(2)); it is right to ask again, a few times.
		if errno == unix.EINTR || (errno == unix.EAGAIN && try < 16) {
			continue
		}
		return int(fd), errno
	}
}

func (t *tree) resolve() uint64 {
	switch t.follow {
	case FollowNever:
		return unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS
	case FollowAny:
		return 0
	}
	return unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS
}

// openBeneath opens name below the tree and returns a bare descriptor. Absence is
// errAbsent.
func (t *tree) openBeneath(o *opened, name []byte, flags uint64) (int, error) {
	fd, errno := openat2(int(o.dir.Fd()), name, flags, t.resolve())
	if errno == unix.EXDEV && t.follow == FollowInside {
		if inside, ok := o.insideLink(string(name)); ok {
			fd, errno = openat2(int(o.dir.Fd()), append(make([]byte, 0, len(inside)+1), inside...), flags, t.resolve())
		}
	}
	runtime.KeepAlive(o)
	if errno != 0 {
		return -1, classifyErrno(errno)
	}
	return fd, nil
}

// classifyErrno is classify without the detour by an error value, for the path of
// a request that names no file.
func classifyErrno(errno syscall.Errno) error {
	if errno == unix.ENOENT || errno == unix.ENOTDIR {
		return errAbsent
	}
	return classify(errno)
}

// stat tells what name is, without opening it for reading: opening a FIFO or a
// device can have effects, an O_PATH descriptor has none.
func (t *tree) stat(name []byte) (version, error) {
	o := t.current.Load()
	if o.dir == nil {
		return t.statRoot(o, string(name))
	}
	fd, err := t.openBeneath(o, name, unix.O_PATH)
	if err != nil {
		return version{}, err
	}
	v, err := fstat(fd)
	unix.Close(fd)
	return v, err
}

// open opens a regular file or a directory for reading. The version is that of
// what was opened, which may be newer than what stat saw.
func (t *tree) open(name []byte) (*file, version, error) {
	o := t.current.Load()
	var f *file
	if o.dir == nil {
		osf, err := t.openRoot(o, string(name))
		if err != nil {
			return nil, version{}, err
		}
		f = newFile(int(osf.Fd()), osf)
	} else {
		fd, err := t.openBeneath(o, name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY)
		if err != nil {
			return nil, version{}, err
		}
		f = newFile(fd, nil)
	}
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

func fstat(fd int) (version, error) {
	var st unix.Stat_t
	for {
		err := unix.Fstat(fd, &st)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return version{}, err
		}
		break
	}
	v := version{dev: uint64(st.Dev), ino: st.Ino, size: st.Size, mtime: st.Mtim.Nano(), ctime: st.Ctim.Nano()}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		v.kind = kindRegular
	case unix.S_IFDIR:
		v.kind = kindDirectory
	}
	return v, nil
}

// versionOf reads a version out of what package os says.
func versionOf(info fs.FileInfo) version {
	v := version{size: info.Size(), mtime: nanos(info.ModTime()), kind: kindOf(info.Mode())}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		v.dev, v.ino, v.ctime = uint64(st.Dev), st.Ino, st.Ctim.Nano()
	}
	return v
}

// readDir lists the directory that f is open on. It does not consume f.
func (f *file) readDir(limit int) ([]fs.DirEntry, error) {
	// A second descriptor, since os.File closes its own when it is collected.
	fd, errno := openat2(f.fd, append(make([]byte, 0, 2), '.'), unix.O_RDONLY|unix.O_DIRECTORY, unix.RESOLVE_BENEATH)
	if errno == unix.ENOSYS || errno == unix.EPERM {
		var err error
		fd, err = unix.Openat(f.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil, err
		}
	} else if errno != 0 {
		return nil, errno
	}
	d := os.NewFile(uintptr(fd), ".")
	defer d.Close()
	entries, err := d.ReadDir(limit)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return entries, nil
}
