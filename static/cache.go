package static

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
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
	s.group = groupcache.NewGroup(name, payload(bytes, !h.opts.NoCompression), groupcache.GetterFunc(s.fill))
	return s
}

// payload returns how many bytes of files and forms may be kept in size bytes of
// memory: groupcache counts neither what Go rounds each of them up to, nor its own
// lists, an eighth together. Where forms are made here, the encoders live on it, too.
func payload(size int64, coded bool) int64 {
	bytes := size - size/8
	if coded {
		bytes -= min(encodersMemory, size/2)
	}
	return bytes
}

// encodersMemory is what the encoders of a busy server hold (see encoders.go): the
// best set 15 MB and more, each quick one 5 MB.
const encodersMemory = 24 << 20

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
	b := append(make([]byte, 0, 112+len(k.name)), formGeneration+","...)
	for _, n := range [...]int64{int64(k.coding), int64(k.level), int64(k.tree), int64(k.version.dev), int64(k.version.ino),
		k.version.size, k.version.mtime, k.version.ctime, int64(k.fresh)} {
		b = append(strconv.AppendInt(b, n, 36), ',')
	}
	for i := range len(k.name) {
		// groupcache's pool sends a space of a key as "+" and reads it as "+".
		switch c := k.name[i]; c {
		case ' ', '%':
			b = append(b, '%', "0123456789ABCDEF"[c>>4], "0123456789ABCDEF"[c&15])
		default:
			b = append(b, c)
		}
	}
	return string(b)
}

var errStoreKey = errors.New("static: malformed cache key")

// parseStoreKey reads what String wrote. The name may be anything.
func parseStoreKey(s string) (k storeKey, err error) {
	s, ok := strings.CutPrefix(s, formGeneration+",")
	if !ok {
		return k, errStoreKey // of a peer whose encoders make other bytes
	}
	var n [9]int64
	for i := range n {
		field, rest, ok := strings.Cut(s, ",")
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
	if s, err = url.PathUnescape(s); err != nil {
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
func (s *store) fill(ctx context.Context, key string, dest groupcache.Sink) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("static: fill cache: %v", p)
		}
	}()
	if b, ok := ctx.Value(heldBytes{}).([]byte); ok {
		return dest.SetString(stringOf(b))
	}
	k, err := parseStoreKey(key)
	if err != nil {
		return err
	}
	b, err := s.make(&k, key)
	if err != nil {
		return err
	}
	// As a string the group takes the bytes over, where SetBytes would copy them.
	return dest.SetString(stringOf(b))
}

// make reads the file, or makes the form. The best ones may be a peer's work.
func (s *store) make(k *storeKey, key string) ([]byte, error) {
	switch {
	case k.coding == codingIdentity:
		return s.h.read(k)
	case k.level == levelBest && k.fresh == 0 && s.h.shared != nil:
		return s.h.shared.get(key)
	}
	return s.h.encodeFile(k)
}

// encodeFile makes a coded form.
func (h *Handler) encodeFile(k *storeKey) ([]byte, error) {
	return h.encoders.use(k.level, func(s *encoderSet) ([]byte, error) {
		b := s.buffer(k.version.size)
		if err := h.readInto(k, b); err != nil {
			return nil, err
		}
		return s.encode(k.coding, b)
	})
}

// stringOf returns b as a string without copying. Nobody may write to b afterwards.
func stringOf(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// read returns the bytes of the version of a file that k names, and errChanged if
// the file is another by now.
func (h *Handler) read(k *storeKey) ([]byte, error) {
	b := make([]byte, k.version.size)
	return b, h.readInto(k, b)
}

// readInto is read into b, which has the size of that version.
func (h *Handler) readInto(k *storeKey, b []byte) error {
	if k.tree >= len(h.trees) {
		return errStoreKey
	}
	f, v, err := h.trees[k.tree].open(append(make([]byte, 0, len(k.name)+1), k.name...))
	if err != nil {
		return err
	}
	defer f.release()
	if v != k.version {
		return errChanged
	}
	return readExactly(f, v, b, 0)
}

// get returns the bytes of a key. They belong to the group: nobody may write to
// them, and holding them keeps them in memory beyond the group's bound.
func (s *store) get(k *storeKey) ([]byte, error) {
	var view groupcache.ByteView
	if err := s.group.Get(context.Background(), k.String(), groupcache.ByteViewSink(&view)); err != nil {
		return nil, err
	}
	return bytesOf(view)
}

// heldBytes is the context key of bytes that need not be made.
type heldBytes struct{}

// touch tells the store that a key, whose bytes are b, is in use, and gives them back
// to it if it dropped them just now.
func (s *store) touch(k *storeKey, b []byte) {
	var view groupcache.ByteView
	ctx := context.WithValue(context.Background(), heldBytes{}, b)
	s.group.Get(ctx, k.String(), groupcache.ByteViewSink(&view)) // cannot fail: nothing is read
}

// bytesOf returns the bytes of a view themselves, where ByteSlice would copy them.
func bytesOf(view groupcache.ByteView) ([]byte, error) {
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
