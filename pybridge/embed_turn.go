//go:build cgo

package pybridge

/*
#include <stdlib.h>
#include "pybridge.h"
*/
import "C"

import (
	"errors"
	"os"
	"sync"
	"time"
)

// turnTick is the time between two looks at requests that wait for their turn.
const turnTick = time.Millisecond

// slowRequest is what a request takes, in the mean, that is run on a thread of Python's own: a few
// times of what it costs to wake that.
const slowRequest = 30 * time.Microsecond

// turns lets requests take their turns in Python, where turns.c decides on which thread: one that
// belongs to it, as a rule. The requests of an application that answers within microseconds, less
// than it takes to wake a thread, are run by runners here, on the threads that Go has.
type turns struct {
	c        *C.struct_pyb_turns
	notes    *C.struct_pyb_notes
	event    *os.File    // what wakes the reader of notes
	finished func(*call) // is given each call that comes back from a runner

	mu    sync.Mutex  // guards what follows
	calls []*call     // by index
	idle  []*runner   // waiting for a turn
	timer *time.Timer // the next look; nil before the first

	reading sync.Mutex  // held by who empties notes, so that frames stay in order
	touched []*exchange // by the notes that are being read
}

// runner is a goroutine that runs requests, one after the other, on the thread that it has just then.
type runner struct{ wake chan *C.struct_pyb_runner }

// open makes turns of so many requests at once, whose end finished is told of.
func (t *turns) open(threads int, parallel bool, finished func(*call)) error {
	side := C.int(0)
	if parallel {
		side = 1
	}
	t.finished = finished
	t.notes = (*C.struct_pyb_notes)(C.malloc(C.sizeof_struct_pyb_notes))
	*t.notes = C.struct_pyb_notes{}
	if t.c = C.pyb_turns_new(C.unsigned(threads), side, t.notes); t.c == nil {
		return errors.New("make the threads of Python: no memory, or no descriptor")
	}
	t.setSlow(slowRequest)
	t.event = os.NewFile(uintptr(t.notes.event), "notes of Python")
	return nil
}

// newCall returns a call for x.
func (t *turns) newCall(x *exchange) *call {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := newCall(len(t.calls))
	c.x = x
	t.calls = append(t.calls, c)
	return c
}

// enter runs c, at once or in its turn. It does not wait for that.
func (t *turns) enter(c *call) {
	c.passed.Store(true)
	turn := C.pyb_submit(t.c, c.job)
	if turn.runner != nil {
		t.begin(turn.runner)
	}
	if turn.look != 0 {
		t.arm()
	}
}

// begin gives the request of r to an idle runner.
func (t *turns) begin(r *C.struct_pyb_runner) {
	t.mu.Lock()
	var idle *runner
	if n := len(t.idle); n > 0 {
		idle = t.idle[n-1]
		t.idle = t.idle[:n-1]
	}
	t.mu.Unlock()
	if idle == nil {
		idle = &runner{wake: make(chan *C.struct_pyb_runner, 1)}
		go t.serve(idle)
	}
	idle.wake <- r
}

// serve is the life of a runner: it never ends, as the interpreter does not.
func (t *turns) serve(r *runner) {
	more := (*C.int)(C.malloc(C.sizeof_int))
	for turn := range r.wake {
		for *more = 1; *more != 0; {
			job := C.pyb_take_turn(turn, more)
			t.finished(t.callOf(job))
		}
		t.mu.Lock()
		t.idle = append(t.idle, r)
		t.mu.Unlock()
	}
}

// callOf returns the call of a job that has come back.
func (t *turns) callOf(job *C.struct_pyb_job) *call {
	t.mu.Lock()
	c := t.calls[job.index]
	t.mu.Unlock()
	c.passed.Load()
	return c
}

// arm makes sure that there is a look.
func (t *turns) arm() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.timer == nil {
		t.timer = time.AfterFunc(turnTick, t.look)
		return
	}
	t.timer.Reset(turnTick)
}

func (t *turns) look() {
	if C.pyb_look(t.c) != 0 {
		t.arm()
	}
}

// setSlow says what is slow.
func (t *turns) setSlow(d time.Duration) { C.pyb_turns_slow(t.c, C.longlong(d.Nanoseconds())) }

// quick reports whether requests are run on threads of Go.
func (t *turns) quick() bool { return C.pyb_quick(t.c) != 0 }
