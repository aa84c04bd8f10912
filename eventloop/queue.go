package eventloop

import "time"

// state says what a connection waits for.
type state uint8

const (
	stateNew    state = iota // its first request
	stateIdle                // its next request
	stateWaited              // its next request, and has done so for Options.ReturnAfter already
	states
)

// entry is a connection that waits, at the index of its descriptor.
type entry struct {
	layer      Layer         // nil for none
	begun      bool          // of its next request something has come, not enough for the Layer
	queue      *queue        // nil: not here
	since      time.Duration // when the wait began, on the listener's clock
	prev, next int32         // descriptors plus one, 0: none
}

// queue holds connections in the order in which their waits began. All have the same
// timeout, so that the first is the first to be closed.
type queue struct {
	head, tail int32 // descriptors plus one, 0: none
	timeout    time.Duration
}

// join puts the entry of descriptor fd at the end of q.
func (e *entry) join(q *queue, entries []entry, fd int, now time.Duration) {
	e.queue, e.since, e.begun, e.prev, e.next = q, now, false, q.tail, 0
	if q.tail != 0 {
		entries[q.tail-1].next = int32(fd) + 1
	} else {
		q.head = int32(fd) + 1
	}
	q.tail = int32(fd) + 1
}

// leave takes the entry of descriptor fd out of its queue.
func (e *entry) leave(entries []entry, fd int) {
	q := e.queue
	if e.prev != 0 {
		entries[e.prev-1].next = e.next
	} else {
		q.head = e.next
	}
	if e.next != 0 {
		entries[e.next-1].prev = e.prev
	} else {
		q.tail = e.prev
	}
	e.queue, e.since, e.prev, e.next = nil, 0, 0, 0
}

// deadline is when the first of q is to be closed, 0 for never.
func (q *queue) deadline(entries []entry) time.Duration {
	if q.head == 0 || q.timeout <= 0 {
		return 0
	}
	return entries[q.head-1].since + q.timeout
}
