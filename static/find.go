package static

import (
	"errors"
	"time"
)

// find returns the entry for path: from the table while it is fresh, else after a
// look at the file system. It is never nil without an error.
func (h *Handler) find(path []byte, now time.Time) (*entry, error) {
	hash := h.table.hash(path)
	clock := h.clock(now)
	e := h.table.get(hash, path)
	if e != nil && clock-e.checked.Load() < h.revalidate {
		e.touch()
		return e, nil
	}
	return h.look(path, hash, e, now, clock)
}

// clock is now as nanoseconds since the handler was made: a step of the machine's
// clock does not touch it.
func (h *Handler) clock(now time.Time) int64 { return int64(now.Sub(h.started)) }

// maxMissPath bounds the length of a path that is remembered as a miss.
const maxMissPath = 512

// look asks the file system about path. known is the entry that the table has, if
// any; it stays when nothing changed.
func (h *Handler) look(path []byte, hash uint64, known *entry, now time.Time, clock int64) (*entry, error) {
	for _, t := range h.trees {
		t.refresh(clock, refreshInterval)
	}
	s := h.scratch.Get().(*scratch)
	defer h.scratch.Put(s)
	f, err := h.lookup(s, path)
	if err != nil {
		return nil, err
	}
	var siblings [codingIdentity]version
	if f.outcome == outcomeFile {
		h.siblings(s, f, &siblings)
	}
	if known != nil && known.still(f, &siblings) {
		known.checked.Store(clock)
		known.touch()
		h.keep(known)
		return known, nil
	}
	if f.outcome == outcomeDeclined {
		if known != nil {
			h.table.remove(hash, known)
		}
		if len(path) > maxMissPath || !h.table.known(hash) {
			return h.nothing, nil
		}
	}
	e := h.newEntry(path, f, &siblings, now)
	if known != nil {
		e.inherit(known)
	}
	e.checked.Store(clock)
	h.table.put(hash, e)
	return e, nil
}

// forget drops an entry that proved to be out of date.
func (h *Handler) forget(e *entry) {
	if e != h.nothing {
		h.table.remove(h.table.hash([]byte(e.path)), e)
	}
}

// siblings looks for precompressed siblings of the file f: regular files that are
// not older than it, so that one that was forgotten when the file changed is not
// taken. s.name is f.name before and after.
func (h *Handler) siblings(s *scratch, f found, versions *[codingIdentity]version) {
	if h.opts.NoPrecompressed || !compressible(string(h.types.of(string(f.name)))) {
		return
	}
	n := len(f.name)
	for c := range versions {
		s.name = append(s.name[:n], siblingSuffixes[c]...)
		v, err := f.tree.stat(s.room())
		// An error here costs only the shorter form.
		if err == nil && v.kind == kindRegular && v.mtime >= f.version.mtime && !h.private(v) {
			versions[c] = v
		}
	}
	s.name = s.name[:n]
}

// keep tells the store that the bytes of an entry are in use: requests that the
// table answers do not pass by it, and what it has not seen for long it drops.
func (h *Handler) keep(e *entry) {
	touch := func(f *form) {
		if blob := f.bytes.Load(); blob != nil {
			if b := blob.get(); b != nil {
				h.store.touch(h.key(e, f), b)
			}
		}
	}
	e.forms(touch)
	for c := range e.coded {
		if f := e.coded[c].Load(); f != nil && !f.useless {
			touch(f)
		}
	}
}

// inherit takes over the coded forms of an entry whose file did not change, only a
// sibling did.
func (e *entry) inherit(old *entry) {
	if old.outcome != outcomeFile || e.outcome != outcomeFile || old.version != e.version || old.tree != e.tree ||
		old.young || e.young || string(old.name) != string(e.name) {
		return
	}
	for c := range e.coded {
		e.coded[c].Store(old.coded[c].Load())
	}
}

// open returns a large file, held for the caller. One descriptor per file stays
// open for the next reader, up to a bound.
func (h *Handler) open(e *entry, f *form) (*file, error) {
	if file := f.file.Load(); file != nil && file.acquire() {
		// One fstat more, and a file that was cut or written over since the last
		// look gets an answer where it would else get a broken connection.
		if err := unchanged(file, f.version); err != nil {
			file.release()
			return nil, err
		}
		return file, nil
	}
	file, v, err := e.tree.open(f.name)
	if err != nil {
		return nil, err
	}
	if v != f.version {
		file.release()
		return nil, errChanged
	}
	if h.openFiles.Add(1) > h.maxOpen {
		h.openFiles.Add(-1)
		return file, nil
	}
	file.acquire()
	if !f.file.CompareAndSwap(nil, file) {
		file.release()
		h.openFiles.Add(-1)
		return file, nil
	}
	if e.dropped.Load() {
		h.closeFile(f) // the entry left the table while we opened: nobody else would
	}
	return file, nil
}

// closeFile gives up the descriptor that a form keeps.
func (h *Handler) closeFile(f *form) {
	if file := f.file.Swap(nil); file != nil {
		file.release()
		h.openFiles.Add(-1)
	}
}

// drop closes the descriptors of an entry that left the table. Responses under way
// hold their own share of them.
func (h *Handler) drop(e *entry) {
	e.dropped.Store(true)
	e.forms(h.closeFile)
}

// sweepInterval is the time after which a descriptor that nobody used is closed: it
// would keep the disk space of a removed file.
const sweepInterval = 10 * time.Second

// sweep closes descriptors of entries that were not used since the last time, and
// gives back the memory of encoders alike.
func (h *Handler) sweep() {
	h.encoders.sweep()
	h.table.each(func(e *entry) {
		if e.outcome == outcomeFile && !e.used.Swap(false) {
			e.forms(h.closeFile)
		}
	})
}

// gone reports whether err means that the file is not what the entry says, so that
// another look is worth it.
func gone(err error) bool { return errors.Is(err, errChanged) || errors.Is(err, errAbsent) }
