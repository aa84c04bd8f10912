//go:build cgo

package pybridge

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// What becomes of a frame from Python.
type verdict int

const (
	takenIn verdict = iota
	noRoom          // once waitRoom has returned it may be
	nobody          // reads that response any more
)

// take takes in a frame about a response that is not made the quick way. file
// is a descriptor that goes with it, or -1; it stays the caller's.
func (e *Embedded) take(frame []byte, file int) verdict {
	x, v := e.takeIn(frame, file)
	if x != nil {
		x.signal()
	}
	return v
}

// takeIn is take that returns the exchange whose handler is to be told, or nil.
func (e *Embedded) takeIn(frame []byte, file int) (*exchange, verdict) {
	w := e.core
	h, payload, _, err := readFrame(frame)
	if err != nil {
		w.opts.Logger.Error("embedded Python does not keep to the protocol", "worker", e.PID(), "error", err)
		return nil, nobody
	}
	x := w.lookup(h.request)
	if x == nil {
		return nil, nobody
	}
	if h.kind != frameNote && h.flags&flagEnd == 0 {
		x.mu.Lock()
		gone := x.gone || x.failure != nil
		full := x.body.size()+int64(len(payload)-h.head) > int64(w.window)
		x.mu.Unlock()
		switch {
		case gone:
			return nil, nobody
		case full:
			return nil, noRoom
		}
	}
	var in incoming
	if file >= 0 {
		again, err := unix.FcntlInt(uintptr(file), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			x.fail(fmt.Errorf("take over the file of a response: %w", err))
			return nil, nobody
		}
		in.descriptors = append(in.descriptors, os.NewFile(uintptr(again), "response file"))
	}
	if err := w.dispatch(&in, h, payload); err != nil {
		w.opts.Logger.Error("embedded Python does not keep to the protocol", "worker", e.PID(), "error", err)
		x.fail(ErrApplication)
		return nil, nobody
	}
	x.since.Store(int64(time.Since(epoch)))
	if h.kind == frameNote || h.flags&flagEnd != 0 {
		return nil, takenIn // at the end finished has more to say, and says it at once
	}
	return x, takenIn
}

// waitRoom waits until the client of the frame's request has taken some of its
// body, or has gone.
func (e *Embedded) waitRoom(header []byte) {
	if h := readHeader(header); e.core.lookup(h.request) != nil {
		<-e.room(h.request)
	}
}

// room returns the channel on which the request id waits for its client.
func (e *Embedded) room(id uint32) chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	index := int(id & exchangeIndex)
	for len(e.rooms) <= index {
		e.rooms = append(e.rooms, make(chan struct{}, 1))
	}
	return e.rooms[index]
}

// steer does what a worker process does with a frame about a request in flight.
func (e *Embedded) steer(h frameHeader) {
	switch h.kind {
	case frameInterrupt:
		e.leave(h.request)
		// It has to wait for the GIL, which the request may hold.
		go func() {
			if stack := interrupt(h.request); stack != "" {
				e.core.opts.Logger.Error("the application at the request timeout", "worker", e.PID(), "traceback", stack)
			}
		}()
	case frameCancel:
		e.leave(h.request)
	case frameWindow:
	default:
		return
	}
	select {
	case e.room(h.request) <- struct{}{}:
	default:
	}
}

// leave tells the thread of a request that nobody reads its response any more.
func (e *Embedded) leave(id uint32) {
	e.core.mu.Lock()
	defer e.core.mu.Unlock()
	if index := int(id & exchangeIndex); index < len(e.inFlight) && e.inFlight[index] != nil && e.inFlight[index].x.id == id {
		e.inFlight[index].leave()
	}
}
