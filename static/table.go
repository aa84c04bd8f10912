package static

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
)

// table maps URL paths to what was last found there, so that a request for a path
// that was asked for within the last second costs no system call: hits, redirects
// and misses alike. It is bounded by the number of entries.
type table struct {
	seed   maphash.Seed
	drop   func(*entry) // called, under the shard's lock, for an entry that leaves
	shards [tableShards]shard
	// door remembers the last unknown paths. A miss gets an entry when it is asked
	// for a second time: an application's URLs, each asked for once, neither cost
	// memory nor push out what is hot.
	door [4096]atomic.Uint32
}

const tableShards = 64

type shard struct {
	hits, misses atomic.Uint64 // on the cache line of mu, which get writes to anyway

	mu   sync.RWMutex // guards the fields below
	m    map[string]*entry
	ring []*entry // the values of m, in the order of the clock hand
	hand int
	max  int
}

func newTable(entries int, drop func(*entry)) *table {
	t := &table{seed: maphash.MakeSeed(), drop: drop}
	for i := range t.shards {
		t.shards[i].m = make(map[string]*entry)
		t.shards[i].max = max(1, entries/tableShards)
	}
	return t
}

func (t *table) hash(path []byte) uint64 { return maphash.Bytes(t.seed, path) }

func (t *table) shard(hash uint64) *shard { return &t.shards[hash%tableShards] }

// get returns the entry of path, or nil.
func (t *table) get(hash uint64, path []byte) *entry {
	s := t.shard(hash)
	s.mu.RLock()
	e := s.m[string(path)]
	s.mu.RUnlock()
	if e != nil {
		s.hits.Add(1)
	} else {
		s.misses.Add(1)
	}
	return e
}

// known reports whether path was the last with its hash to knock, and notes it.
func (t *table) known(hash uint64) bool {
	slot, mark := &t.door[(hash>>6)%uint64(len(t.door))], uint32(hash>>32)|1
	if slot.Load() == mark {
		return true
	}
	slot.Store(mark)
	return false
}

// put enters e in place of what has its path. When the shard is full the clock hand
// goes round: an entry that was used since its last pass is spared once.
func (t *table) put(hash uint64, e *entry) {
	s := t.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.m[e.path]; old != nil {
		e.slot = old.slot
		s.ring[e.slot] = e
		s.m[e.path] = e
		t.drop(old)
		return
	}
	if len(s.ring) < s.max {
		e.slot = len(s.ring)
		s.ring = append(s.ring, e)
		s.m[e.path] = e
		return
	}
	for {
		victim := s.ring[s.hand]
		if !victim.used.Swap(false) {
			delete(s.m, victim.path)
			t.drop(victim)
			e.slot = s.hand
			s.ring[e.slot] = e
			s.m[e.path] = e
			s.hand = (s.hand + 1) % len(s.ring)
			return
		}
		s.hand = (s.hand + 1) % len(s.ring)
	}
}

// remove takes e out, if it is still there.
func (t *table) remove(hash uint64, e *entry) {
	s := t.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.m[e.path] != e {
		return
	}
	delete(s.m, e.path)
	last := len(s.ring) - 1
	moved := s.ring[last]
	s.ring[e.slot], moved.slot = moved, e.slot
	s.ring[last] = nil
	s.ring = s.ring[:last]
	if s.hand > last-1 {
		s.hand = 0
	}
	t.drop(e)
}

// each calls f for every entry.
func (t *table) each(f func(*entry)) {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.RLock()
		for _, e := range s.ring {
			f(e)
		}
		s.mu.RUnlock()
	}
}

// len returns the number of entries.
func (t *table) len() (n int) {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.RLock()
		n += len(s.ring)
		s.mu.RUnlock()
	}
	return n
}
