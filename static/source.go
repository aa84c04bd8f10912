package static

import "time"

// Source says what an answer was made from, so that who keeps the answer can tell
// whether it still holds. It is valid until Close.
type Source struct {
	h       *Handler
	e       *entry
	changes uint32 // of e, before the answer was made
}

// Current reports whether the same request gets the same answer now, and for how long that
// is as certain as it is for a request that comes here. It asks the file system as rarely as
// requests do: once per Options.CacheRevalidate.
func (s Source) Current(now time.Time) (valid time.Duration, ok bool) {
	if s.e.dropped.Load() || s.e.changes.Load() != s.changes {
		return 0, false
	}
	clock := s.h.clock(now)
	if valid := s.e.checked.Load() + s.h.revalidate - clock; valid > 0 {
		s.e.touch()
		return time.Duration(valid), true
	}
	path := []byte(s.e.path)
	e, err := s.h.look(path, s.h.table.hash(path), s.e, now, clock)
	return time.Duration(s.h.revalidate), err == nil && e == s.e
}

// refusesMisses reports whether a miss is answered here, and in one way for every request.
func (h *Handler) refusesMisses() bool {
	o := &h.opts
	return o.Next == nil && o.SPA == "" && len(o.Redirects) == 0 && o.ErrorDocuments == nil
}
