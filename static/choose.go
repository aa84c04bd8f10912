package static

import "time"

// choose picks the form of e for a request that accepts w, and nil when the client
// refuses all of them. Among codings equally welcome a precompressed sibling goes before
// what an encoder has to make, and then the order of the codings decides. Any coding
// that is as welcome as the plain file goes before it.
func (h *Handler) choose(w weights, e *entry) *form {
	for e.vary {
		best, score := codingIdentity, int(w[codingIdentity])*2-1
		for c := range codingIdentity {
			if w[c] == 0 || (e.siblings[c] == nil && !e.encodable) {
				continue
			}
			s := int(w[c]) * 2
			if e.siblings[c] != nil {
				s++
			}
			if s > score {
				best, score = c, s
			}
		}
		if best == codingIdentity {
			break
		}
		if f := e.siblings[best]; f != nil {
			return f
		}
		if f := h.encoded(e, best); f != nil {
			return f
		}
		w[best] = 0
	}
	if w[codingIdentity] == 0 {
		return nil
	}
	return e.plain
}

// encoded returns the form of e in a coding that an encoder makes: the best one if it
// is ready, else the quick one, made now. It returns nil when the plain file is to be
// sent: because coding does not shorten it, or because it would take too long now.
func (h *Handler) encoded(e *entry, c coding) *form {
	f := e.coded[c].Load()
	if f != nil && f.level == levelBest && !f.useless && f.bytes.Load().get() == nil {
		// The store dropped it, and nobody is to wait until it is made again.
		e.coded[c].CompareAndSwap(f, nil)
		e.queued[c].Store(false)
		e.changes.Add(1)
		f = nil
	}
	if f == nil {
		if e.version.size > encodeInline {
			h.improve(e, c, nil)
			return nil
		}
		var err error
		if f, err = h.encode(e, c, levelQuick); err != nil {
			if !gone(err) {
				h.opts.Logger.Warn("static: encode", "coding", c.String(), "error", err)
			}
			return nil // the plain file tells whether it is still there
		}
		if !e.coded[c].CompareAndSwap(nil, f) {
			f = e.coded[c].Load()
		}
	}
	if f.level == levelQuick {
		// Even a useless one: quick encoders give up on text without repetition, such
		// as base64, where the best ones save a quarter.
		h.improve(e, c, f)
	}
	if f.useless {
		return nil
	}
	return f
}

// encode makes a form of e, or gets it from the store.
func (h *Handler) encode(e *entry, c coding, l level) (*form, error) {
	f := &form{coding: c, level: l, encoded: true, name: e.name, version: e.version, fresh: e.plain.fresh}
	b, err := h.store.get(h.key(e, f))
	if err != nil {
		return nil, err
	}
	f.size = int64(len(b))
	f.bytes.Store(newBlob(b))
	f.useless = f.size >= e.version.size
	suffix := "-" + formGeneration + "-" + c.String()
	tags := [levels][]byte{appendETag(nil, e.version, suffix+"1"), appendETag(nil, e.version, suffix+"2")}
	f.etag, f.also = tags[l], tags[1-l]
	return f, nil
}

// key names the bytes of a form of e in the store.
func (h *Handler) key(e *entry, f *form) *storeKey {
	k := &storeKey{coding: codingIdentity, tree: e.tree.index, version: f.version, fresh: f.fresh, name: string(f.name)}
	if f.encoded {
		k.coding, k.level = f.coding, f.level
	}
	return k
}

// job asks for the best form of an entry in a coding.
type job struct {
	e    *entry
	c    coding
	from *form // the quick form, or nil
}

// jobs bounds the best forms that wait to be made. What finds no place is asked for
// again by the next request.
const jobs = 256

// improve has the best form made in the background, once.
func (h *Handler) improve(e *entry, c coding, from *form) {
	flag := &e.queued[c]
	if flag.Load() || e.young || !flag.CompareAndSwap(false, true) {
		return
	}
	select {
	case h.jobs <- job{e, c, from}:
	default:
		flag.Store(false)
		e.changes.Add(1) // the next request must get this far, too
	}
}

// improver makes best forms, one at a time, and rests for as long as it worked: it
// must not take the processors from the requests, not even where the cache is so small
// that what it makes is soon dropped and asked for again.
func (h *Handler) improver() {
	defer h.running.Done()
	for {
		select {
		case <-h.stop:
			return
		case j := <-h.jobs:
			began := time.Now()
			h.do(j)
			select {
			case <-h.stop:
				return
			case <-time.After(time.Since(began)):
			}
		}
	}
}

func (h *Handler) do(j job) {
	if j.e.dropped.Load() {
		return // nobody would find it
	}
	f, err := h.encode(j.e, j.c, levelBest)
	if err != nil {
		if !gone(err) {
			h.opts.Logger.Warn("static: encode", "coding", j.c.String(), "error", err)
		}
		return
	}
	if j.from == nil || f.size < j.from.size {
		j.e.coded[j.c].Store(f)
		j.e.changes.Add(1)
	}
}
