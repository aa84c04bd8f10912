package fallthru

import (
	"net"
	"time"
)

// waiter is a request that waits for a free thread.
type waiter struct {
	turn       chan struct{} // receives once slot or err is set
	slot       *slot
	err        error
	deadline   time.Time
	conn       net.Conn // the client's
	next, prev *waiter
}

// queue is a bounded first-in, first-out list of waiters. All wait equally
// long at most, so the first is the first to expire and one timer is enough.
// Its methods need the group's lock.
type queue struct {
	first, last *waiter
	length      int
}

func (q *queue) push(w *waiter) {
	w.prev, w.next = q.last, nil
	if q.last != nil {
		q.last.next = w
	} else {
		q.first = w
	}
	q.last = w
	q.length++
}

// putBack adds a waiter that has waited before: ahead of those whose deadline is
// later, and of all when nobody has one.
func (q *queue) putBack(w *waiter) {
	next := q.first
	for next != nil && next.deadline.Before(w.deadline) {
		next = next.next
	}
	if next == nil {
		q.push(w)
		return
	}
	w.prev, w.next = next.prev, next
	if next.prev != nil {
		next.prev.next = w
	} else {
		q.first = w
	}
	next.prev = w
	q.length++
}

// pop removes and returns the waiter that has waited longest, or nil.
func (q *queue) pop() *waiter {
	w := q.first
	if w != nil {
		q.remove(w)
	}
	return w
}

func (q *queue) remove(w *waiter) {
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		q.first = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		q.last = w.prev
	}
	w.next, w.prev = nil, nil
	q.length--
}

// expire removes the waiters whose deadline has come and gives them err. It
// returns how long the first of the others may still wait, or 0 when there is
// none.
func (q *queue) expire(now time.Time, err error) time.Duration {
	for q.first != nil && !q.first.deadline.After(now) {
		q.pop().fail(err)
	}
	if q.first == nil {
		return 0
	}
	return q.first.deadline.Sub(now)
}

// withdraw removes the waiters whose client is gone.
func (q *queue) withdraw(gone func(net.Conn) bool) {
	for w := q.first; w != nil; {
		next := w.next
		if w.conn != nil && gone(w.conn) {
			q.remove(w)
			w.fail(ErrClientGone)
		}
		w = next
	}
}

// failAll empties the queue.
func (q *queue) failAll(err error) {
	for w := q.pop(); w != nil; w = q.pop() {
		w.fail(err)
	}
}

func (w *waiter) fail(err error) {
	w.err = err
	w.turn <- struct{}{}
}
