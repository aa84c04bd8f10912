package static

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync/atomic"
	"unsafe"
	"weak"

	"github.com/golang/groupcache"
)

// store keeps the bytes of files and of their coded forms: a groupcache group, which
// bounds them and lets each be made by one request while the others wait. A key
// names one version of one file, so that the bytes under it never change and never
// need to be dropped; what is no longer asked for falls out at the far end.
type store struct {
	h     *Handler
	group *groupcache.Group
}

// groupNumber makes the names of groups unique: groupcache keeps all groups of a
// process for ever in one registry, and panics on the second of a name.
var groupNumber atomic.Int64

func newStore(h *Handler, name string, bytes int64) *store {
	s := &store{h: h}
	if name == "" {
		name = "overlay-static-" + strconv.FormatInt(groupNumber.Add(1), 10)
	}
	s.group = groupcache.NewGroup(name, bytes, groupcache.GetterFunc(s.fill))
	return s
}

// storeKey is what a key says. Everything a reader needs is in it, since a key may
// come from another server (see peers.go).
type storeKey struct {
	coding  coding // codingIdentity: the bytes of the file themselves
	level   level
	tree    int // index of Handler.trees
	version version
	fresh   uint64 // not 0 for a file too young to be told from its next version
	name    string
}

func (k *storeKey) String() string {
	b := make([]byte, 0, 112+len(k.name))
	for _, n := range [...]int64{int64(k.coding), int64(k.level), int64(k.tree), int64(k.version.dev), int64(k.version.ino),
		k.version.size, k.version.mtime, k.version.ctime, int64(k.fresh)} {
		b = append(strconv.AppendInt(b, n, 36), ' ')
	}
	return string(append(b, k.name...))
}

var errStoreKey = errors.New("static: malformed cache key")

// parseStoreKey reads what String wrote. The name may be anything.
func parseStoreKey(s string) (k storeKey, err error) {
	var n [9]int64
	for i := range n {
		field, rest, ok := strings.Cut(s, " ")
		if !ok {
			return k, errStoreKey
		}
		if n[i], err = strconv.ParseInt(field, 36, 64); err != nil {
			return k, errStoreKey
		}
		s = rest
	}
	if n[0] < 0 || n[0] >= codings || n[1] < 0 || n[1] >= levels || n[2] < 0 || n[2] > 1<<20 || n[5] < 0 || n[5] > maxMemoryFile || s == "" {
		return k, errStoreKey
	}
	k = storeKey{coding: coding(n[0]), level: level(n[1]), tree: int(n[2]), fresh: uint64(n[8]), name: s}
	k.version = version{dev: uint64(n[3]), ino: uint64(n[4]), size: n[5], mtime: n[6], ctime: n[7], kind: kindRegular}
	return k, nil
}

// maxMemoryFile bounds what is ever read into memory whole.
const maxMemoryFile = max(encodeMax, 64<<20)

// fill makes the bytes of a key. groupcache has no answer to a panic in it but to
// let every waiter hang, so none gets out.
func (s *store) fill(_ context.Context, key string, dest groupcache.Sink) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("static: fill cache: %v", p)
		}
	}()
	k, err := parseStoreKey(key)
	if err != nil {
		return err
	}
	b, err := s.h.read(&k)
	if err != nil {
		return err
	}
	if k.coding != codingIdentity {
		if b, err = s.h.encoders.encode(k.coding, k.level, b); err != nil {
			return err
		}
	}
	// As a string the group takes the bytes over, where SetBytes would copy them.
	return dest.SetString(unsafe.String(unsafe.SliceData(b), len(b)))
}

// read returns the bytes of the version of a file that k names, and errChanged if
// the file is another by now.
func (h *Handler) read(k *storeKey) ([]byte, error) {
	if k.tree >= len(h.trees) {
		return nil, errStoreKey
	}
	f, v, err := h.trees[k.tree].open(append(make([]byte, 0, len(k.name)+1), k.name...))
	if err != nil {
		return nil, err
	}
	defer f.release()
	if v != k.version {
		return nil, errChanged
	}
	b := make([]byte, v.size)
	return b, readExactly(f, v, b, 0)
}

// get returns the bytes of a key. They belong to the group: nobody may write to
// them, and holding them keeps them in memory beyond the group's bound.
func (s *store) get(k *storeKey) ([]byte, error) {
	var view groupcache.ByteView
	if err := s.group.Get(context.Background(), k.String(), groupcache.ByteViewSink(&view)); err != nil {
		return nil, err
	}
	var t taker
	if _, err := view.WriteTo(&t); err != nil && !errors.Is(err, io.ErrShortWrite) {
		return nil, err
	}
	return t.b, nil
}

// taker is handed the bytes of a ByteView, which it otherwise only gives as a copy.
type taker struct{ b []byte }

func (t *taker) Write(p []byte) (int, error) { t.b = p; return len(p), nil }

func (t *taker) WriteString(s string) (int, error) {
	t.b = unsafe.Slice(unsafe.StringData(s), len(s))
	return len(s), nil
}

// blob remembers bytes of the store without keeping them there: when the store drops
// them, they are gone from here too. So the store's bound is the bound.
type blob struct {
	p weak.Pointer[byte]
	n int
}

func newBlob(b []byte) *blob { return &blob{weak.Make(unsafe.SliceData(b)), len(b)} }

// get returns the bytes, and nil when they were dropped.
func (b *blob) get() []byte {
	if p := b.p.Value(); p != nil {
		return unsafe.Slice(p, b.n)
	}
	return nil
}
