package static

import (
	"sync/atomic"
	"time"
)

// entry is what was found for one URL path. But for the atomic fields it does not
// change: when the file does, another entry takes its place.
type entry struct {
	path    string
	outcome outcome
	checked atomic.Int64 // when the file system was last asked: nanoseconds on the handler's clock
	used    atomic.Bool  // since the clock hand or the sweep passed
	dropped atomic.Bool  // no longer in the table
	slot    int          // place in the ring of its shard, guarded by the shard's mu

	// For outcomeFile and outcomeDirectory:
	tree    *tree
	name    []byte // with room for a NUL byte behind it
	version version

	// For outcomeFile:
	young       bool // changed so shortly before that version may not tell it from the next
	contentType []byte
	cacheValue  []byte // of Cache-Control, or nil
	modified    time.Time
	modField    []byte
	vary        bool // another Accept-Encoding may get another form
	encodable   bool // forms may be made that are not there as siblings
	plain       *form
	siblings    [codingIdentity]*form
	coded       [codingIdentity]atomic.Pointer[form]
	queued      [codingIdentity]atomic.Bool // the best form is being made, or was
	changes     atomic.Uint32               // counts what may lead to another choice among the forms, see Source
}

// form is one representation of a file: its own bytes, those of a precompressed
// sibling, or those that an encoder made.
type form struct {
	coding  coding
	level   level
	encoded bool   // made by an encoder from the entry's own file
	useless bool   // encoded, and no smaller than the file
	name    []byte // file to read, with room for a NUL byte
	version version
	fresh   uint64 // see storeKey
	size    int64  // of the body
	etag    []byte
	also    []byte // tag of the other level, under which the client may know the content

	bytes atomic.Pointer[blob] // nil until they were asked for
	file  atomic.Pointer[file] // open descriptor of a large file, or nil
}

// defaultYoungAge is the age below which a file may be changed again without its version
// telling: the coarsest clock among file systems in use ticks every two seconds.
const defaultYoungAge = int64(2 * time.Second)

// newEntry describes the file f. Nothing is read yet.
func (h *Handler) newEntry(path []byte, f found, siblings *[codingIdentity]version, now time.Time) *entry {
	e := &entry{path: string(path), outcome: f.outcome, tree: f.tree, version: f.version}
	e.name = withRoom(f.name, "")
	if f.outcome != outcomeFile {
		return e
	}
	newest := max(f.version.mtime, f.version.ctime)
	for _, v := range siblings {
		newest = max(newest, v.mtime, v.ctime)
	}
	e.young = now.UnixNano()-newest < h.youngAge
	var fresh uint64
	if e.young {
		fresh = h.freshNumber.Add(1)
	}
	name := string(f.name)
	e.contentType = h.types.of(name)
	e.cacheValue = h.rules.of(e.path, name)
	e.modified = f.version.lastModified(now)
	e.modField = e.modified.AppendFormat(make([]byte, 0, len(httpDate)), httpDate)
	e.plain = &form{coding: codingIdentity, name: e.name, version: f.version, fresh: fresh, size: f.version.size,
		etag: appendETag(nil, f.version, "")}
	if !compressible(string(e.contentType)) {
		return e
	}
	e.encodable = !h.opts.NoCompression && f.version.size >= encodeFloor && f.version.size <= h.encodeMax
	e.vary = e.encodable
	for c, v := range siblings {
		if v.kind != kindRegular {
			continue
		}
		e.vary = true
		e.siblings[c] = &form{coding: coding(c), name: withRoom(f.name, siblingSuffixes[c]), version: v, fresh: fresh, size: v.size,
			etag: appendETag(nil, v, "-"+coding(c).String())}
	}
	return e
}

// withRoom copies name and leaves room for the NUL byte that openat2 wants.
func withRoom(name []byte, suffix string) []byte {
	b := make([]byte, 0, len(name)+len(suffix)+1)
	return append(append(b, name...), suffix...)
}

// still reports whether a look-up found what the entry already describes.
func (e *entry) still(f found, siblings *[codingIdentity]version) bool {
	if e.outcome != f.outcome || e.tree != f.tree || e.young || e.version != f.version || string(e.name) != string(f.name) {
		return false
	}
	if f.outcome != outcomeFile {
		return true
	}
	for c, v := range siblings {
		if s := e.siblings[c]; (s != nil) != (v.kind == kindRegular) || (s != nil && s.version != v) {
			return false
		}
	}
	return true
}

// forms calls fn for the forms that are files of their own.
func (e *entry) forms(fn func(*form)) {
	if e.plain != nil {
		fn(e.plain)
	}
	for _, s := range e.siblings {
		if s != nil {
			fn(s)
		}
	}
}

// touch notes that the entry is in use. It writes only when it must: the entry is
// shared by every processor.
func (e *entry) touch() {
	if !e.used.Load() {
		e.used.Store(true)
	}
}
