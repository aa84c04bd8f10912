package http2

import (
	"sync"
	"sync/atomic"
	"time"
)

// watchInterval is how long a goroutine may keep the reader's role while it answers a
// request; it keeps it up to twice as long.
const watchInterval = 2 * time.Millisecond

// watchRest is how many intervals without a request make a connection leave the list.
const watchRest = 50

// watch finds goroutines that answer a request for so long that another one should read
// on. It runs while there are connections with requests.
type watch struct {
	mu      sync.Mutex // guards what follows
	conns   []*Conn
	running bool
}

// turn says what the goroutine that has the reader's role does. It is even while that one
// reads, and odd while anybody else may take the role by making it even. It only grows,
// so that one turn is never taken for another.
type turn struct {
	n       atomic.Uint64
	watched atomic.Bool // in the list

	// The watch's own.
	seen uint64
	rest int
}

// lend lets others take the role. The result is what reclaim wants.
func (c *Conn) lend() uint64 {
	n := c.turn.n.Add(1)
	if !c.turn.watched.Load() {
		c.server.watch.add(c)
	}
	return n
}

// reclaim takes the role. It reports whether the caller has it now: nobody else has been
// given it since the lend that n is from.
func (c *Conn) reclaim(n uint64) bool { return c.turn.n.CompareAndSwap(n, n+1) }

func (w *watch) add(c *Conn) {
	if !c.turn.watched.CompareAndSwap(false, true) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conns = append(w.conns, c)
	if !w.running {
		w.running = true
		go w.run()
	}
}

func (w *watch) run() {
	for w.look() {
		time.Sleep(watchInterval)
	}
}

// look looks at all connections once. It reports whether any are left.
func (w *watch) look() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	kept := w.conns[:0]
	for _, c := range w.conns {
		if c.inspect() {
			kept = append(kept, c)
		}
	}
	clear(w.conns[len(kept):])
	w.conns = kept
	w.running = len(kept) > 0
	return w.running
}

// inspect has another goroutine read c if the one that could has not for an interval.
// It reports whether c stays in the list.
func (c *Conn) inspect() bool {
	t := &c.turn
	n := t.n.Load()
	if n != t.seen {
		t.seen, t.rest = n, 0
		return true
	}
	if n%2 == 1 {
		if c.reclaim(n) {
			go c.read()
		}
		return true
	}
	if t.rest++; t.rest < watchRest {
		return true
	}
	t.rest = 0
	t.watched.Store(false)
	// A lend between the look and the store has seen it watched.
	return t.n.Load() != n && t.watched.CompareAndSwap(false, true)
}
