//go:build cgo

package pybridge

/*
#include <stdlib.h>
#include "pybridge.h"
*/
import "C"

import (
	"sync/atomic"
	"unsafe"
)

// serveNotes reads the notes of Python as they come, as long as the process lives.
func (e *Embedded) serveNotes() {
	t := &e.turns
	asleep := (*int32)(unsafe.Pointer(&t.notes.asleep))
	count := make([]byte, 8)
	for {
		if e.readNotes() {
			continue
		}
		atomic.StoreInt32(asleep, 1)
		if atomic.LoadPointer(t.lastNote()) == nil {
			// It fails only when there is nothing to wait for, and then there is a note.
			_, _ = t.event.Read(count)
		}
		atomic.StoreInt32(asleep, 0)
	}
}

func (t *turns) lastNote() *unsafe.Pointer { return (*unsafe.Pointer)(unsafe.Pointer(&t.notes.last)) }

// readNotes acts on the notes that there are. It reports whether there were any.
func (e *Embedded) readNotes() bool {
	t := &e.turns
	t.reading.Lock()
	defer t.reading.Unlock()
	last := (*C.struct_pyb_note)(atomic.SwapPointer(t.lastNote(), nil))
	if last == nil {
		return false
	}
	var first *C.struct_pyb_note
	for last != nil { // it is the list backwards
		last, last.previous, first = last.previous, first, last
	}
	for first != nil {
		note := first
		first = note.previous
		if note.job != nil {
			e.finished(t.callOf(note.job))
			continue
		}
		e.readFrame(unsafe.Slice((*byte)(unsafe.Pointer(note.frame)), int(note.length)))
		C.free(unsafe.Pointer(note))
	}
	// Only now: an answer in two frames is one answer to its handler.
	for i, x := range t.touched {
		x.signal()
		x.release()
		t.touched[i] = nil
	}
	t.touched = t.touched[:0]
	return true
}

// readFrame acts on a frame that came as a note. The thread that sent it does not wait to be told
// that nobody wants more: it looks before it sends the next one.
func (e *Embedded) readFrame(frame []byte) {
	x, taken := e.takeIn(frame, -1)
	if taken != takenIn {
		e.leave(readHeader(frame).request)
	}
	if x != nil {
		x.refs.Add(1) // beside that of the request, which has not come to its end
		e.turns.touched = append(e.turns.touched, x)
	}
}
