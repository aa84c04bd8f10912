package eventloop

import (
	"hash/maphash"
	"sync"
	"time"
)

// MaxAnswer is the longest response in bytes that is kept, head included. A longer one
// is better sent by sendfile than kept twice.
const MaxAnswer = 66 << 10

// Answers keeps answers up to a bound in bytes. It is safe for any number of
// goroutines.
type Answers struct {
	seed   maphash.Seed
	epoch  time.Time // zero of the clock of answer.valid
	shards [answerShards]answerShard
}

const answerShards = 32

type answerShard struct {
	mu    sync.RWMutex // guards the fields below
	m     map[string]*answer
	ring  []*answer // the values of m, in the order of the clock hand
	hand  int
	bytes int64
	max   int64
}

// answerCost is what an answer takes beside its key and bytes: the struct, its
// places in map and ring, its Source.
const answerCost = 256

func (a *answer) cost() int64 { return int64(len(a.key)+len(a.wire)) + answerCost }

// NewAnswers returns a table for at most maxBytes of answers, nil for none.
func NewAnswers(maxBytes int64) *Answers {
	if maxBytes <= 0 {
		return nil
	}
	t := &Answers{seed: maphash.MakeSeed(), epoch: time.Now()}
	for i := range t.shards {
		t.shards[i].m = make(map[string]*answer)
		t.shards[i].max = maxBytes / answerShards
	}
	return t
}

func (t *Answers) shard(hash uint64) *answerShard { return &t.shards[hash%answerShards] }

// get returns the answer of key if it still holds, else nil.
func (t *Answers) get(key []byte, now time.Time) *answer {
	s := t.shard(maphash.Bytes(t.seed, key))
	s.mu.RLock()
	a := s.m[string(key)]
	s.mu.RUnlock()
	if a == nil {
		return nil
	}
	if clock := int64(now.Sub(t.epoch)); clock >= a.valid.Load() {
		valid, ok := a.source.Current(now)
		if !ok {
			s.mu.Lock()
			s.remove(a)
			s.mu.Unlock()
			return nil
		}
		a.valid.Store(clock + int64(valid))
	}
	if !a.used.Load() { // it is shared by every processor: written only when it must be
		a.used.Store(true)
	}
	return a
}

// put keeps wire, which is copied, as the answer of key, and reports whether it did.
func (t *Answers) put(key string, wire []byte, source Source) bool {
	a := newAnswer(key, wire, source)
	if a == nil {
		return false
	}
	s := t.shard(maphash.String(t.seed, key))
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.cost() > s.max {
		return false
	}
	if old := s.m[key]; old != nil {
		s.remove(old)
	}
	for s.bytes+a.cost() > s.max {
		s.evict()
	}
	a.slot = len(s.ring)
	s.ring = append(s.ring, a)
	s.m[key] = a
	s.bytes += a.cost()
	return true
}

// evict drops one answer: the hand goes round, and spares once what was used since
// its last pass. There must be one. s.mu must be held.
func (s *answerShard) evict() {
	for {
		if s.hand >= len(s.ring) {
			s.hand = 0
		}
		if a := s.ring[s.hand]; !a.used.Swap(false) {
			s.remove(a)
			return
		}
		s.hand++
	}
}

// remove drops a if it is still there. s.mu must be held.
func (s *answerShard) remove(a *answer) {
	if s.m[a.key] != a {
		return
	}
	delete(s.m, a.key)
	last := len(s.ring) - 1
	moved := s.ring[last]
	s.ring[a.slot], moved.slot = moved, a.slot
	s.ring[last] = nil
	s.ring = s.ring[:last]
	s.bytes -= a.cost()
}

// Stats returns how many answers are kept, and what they take in bytes.
func (t *Answers) Stats() (answers int, bytes int64) {
	if t == nil {
		return 0, 0
	}
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.RLock()
		answers, bytes = answers+len(s.ring), bytes+s.bytes
		s.mu.RUnlock()
	}
	return answers, bytes
}
