//go:build cgo

package pybridge

import (
	"sync"
	"time"
)

const (
	// turnTick is the time between two looks at requests that wait for their turn.
	turnTick = time.Millisecond
	// turnPatience is how long an application may compute before others run beside it:
	// they only compete for the GIL.
	turnPatience = 10 * time.Millisecond
	// turnForget is for how many requests an application that waits is remembered at
	// first, turnRemember when it waits each time it is tried.
	turnForget   = 64
	turnRemember = 512
)

// turns decides which goroutine runs which request. With a GIL, requests that only
// compute cannot run side by side, and a thread that waits for the GIL costs more
// than a quick request. So one runner leads: it runs what has come one after the
// other, and who comes meanwhile waits as a goroutine.
//
// That is right only while the application computes. When the leader's request
// waits, for a database say, another runner leads, and for some requests to come
// each gets a runner of its own. While requests wait, a look each turnTick finds out.
type turns struct {
	threads  int
	parallel bool                      // no GIL: every request gets a runner of its own
	run      func(*runner, *call)      // runs a request
	refuse   func(*call)               // gives back one for which there is no thread
	spent    func(*runner) threadTimes // what the thread of its request has spent

	mu          sync.Mutex // guards what follows
	first, last *call      // those that wait
	idle        []*runner
	running     int
	leader      *runner // takes the next request when it has finished its own; nil when nobody does
	begun       uint64  // requests that have been begun
	eager       int     // requests that get a runner of their own
	memory      int     // eager will be, the next time the application waits

	timer  *time.Timer
	armed  bool
	seen   uint64      // begun at the last look
	stuck  bool        // it was the same at the look before
	since  time.Time   // when that was found
	before threadTimes // what the leader's thread had spent then
}

// call is a request on its way into Python.
type call struct {
	input
	x    *exchange
	next *call // that waits
}

// runner is a goroutine that runs requests, one after the other.
type runner struct {
	scratch
	wake chan struct{}
	call *call // to be run when it is woken
}

// threadTimes is how long a thread has computed, and queued for a processor.
type threadTimes struct{ computed, queued time.Duration }

// enter runs c, at once or in its turn. It does not wait for that.
func (t *turns) enter(c *call) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.leader == nil && t.running < t.threads {
		t.begin(c)
		return
	}
	if t.last == nil {
		t.first = c
	} else {
		t.last.next = c
	}
	t.last = c
	if !t.armed {
		t.armed = true
		t.seen = t.begun - 1 // the first look is at a request that may just have begun
		t.arm(turnTick)
	}
}

func (t *turns) arm(d time.Duration) {
	if t.timer == nil {
		t.timer = time.AfterFunc(d, t.look)
		return
	}
	t.timer.Reset(d)
}

// begin gives c to an idle runner. t.mu must be held, there must be a thread.
func (t *turns) begin(c *call) {
	var r *runner
	if n := len(t.idle); n > 0 {
		r = t.idle[n-1]
		t.idle = t.idle[:n-1]
	} else {
		r = &runner{wake: make(chan struct{}, 1)}
		r.out = make([]byte, outSize)
		go t.serve(r)
	}
	t.running++
	t.lead(r)
	r.call = c
	r.wake <- struct{}{}
}

// lead notes that r begins a request. t.mu must be held.
func (t *turns) lead(r *runner) {
	t.begun++
	t.leader = r
	if t.parallel {
		t.leader = nil
	} else if t.eager > 0 {
		t.eager--
		t.leader = nil
	}
}

// fill begins waiting requests as long as nobody leads. t.mu must be held.
func (t *turns) fill() {
	for t.leader == nil && t.first != nil && t.running < t.threads {
		t.begin(t.pop())
	}
}

// pop returns the request that has waited longest, or nil. t.mu must be held.
func (t *turns) pop() *call {
	c := t.first
	if c != nil {
		if t.first = c.next; t.first == nil {
			t.last = nil
		}
		c.next = nil
	}
	return c
}

// serve is the life of a runner: it never ends, as the interpreter does not.
func (t *turns) serve(r *runner) {
	for range r.wake {
		for c := r.call; c != nil; c = t.next(r) {
			t.run(r, c)
		}
	}
}

// next returns the next request for r, which has finished one, or nil.
func (t *turns) next(r *runner) *call {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.leader == r {
		t.leader = nil
		t.memory = turnForget // it has not waited
	}
	if t.leader == nil {
		if c := t.pop(); c != nil {
			t.lead(r)
			t.fill()
			return c
		}
	}
	t.running--
	t.idle = append(t.idle, r)
	return nil
}

// look finds out why requests wait, if none has been begun since the last look.
func (t *turns) look() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.first == nil {
		t.armed = false
		return
	}
	now, leader := time.Now(), t.leader
	switch {
	case t.begun != t.seen:
		t.seen, t.since, t.stuck = t.begun, now, false
	case leader == nil: // every thread is in the application
		for c := t.pop(); c != nil; c = t.pop() {
			t.refuse(c)
		}
	case !t.stuck:
		t.stuck, t.since, t.before = true, now, t.spent(leader)
	default:
		t.judge(now.Sub(t.since))
	}
	if t.armed = t.first != nil; t.armed {
		t.arm(turnTick)
	}
}

// judge lets others run beside the leader, whose request has run for so long, if
// they should. t.mu must be held.
func (t *turns) judge(passed time.Duration) {
	spent := t.spent(t.leader)
	waited := passed - (spent.computed - t.before.computed) - (spent.queued - t.before.queued)
	switch {
	case waited*2 > passed:
		t.eager = t.memory
		t.memory = min(2*t.memory, turnRemember)
	case passed < turnPatience:
		return
	}
	t.leader = nil
	t.fill()
}
