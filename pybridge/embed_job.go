//go:build cgo

package pybridge

/*
#include <stdlib.h>
#include "pybridge.h"
*/
import "C"

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// outSize is room for a head, and for a body that fits into one piece.
	outSize = wholeBody + 8<<10
	// frameSize is room for most requests.
	frameSize = 8 << 10
)

// call is a request on its way through Python. It is used again when it has come back.
type call struct {
	x        *exchange
	job      *C.struct_pyb_job // with all its memory it is C's: a thread of Python may use none of Go's
	capacity int               // bytes of job.buffer
	passed   atomic.Bool       // through C, which orders memory, but unseen by the race detector: this is for it
}

// newCall returns a call whose job has this index.
func newCall(index int) *call {
	c := &call{job: (*C.struct_pyb_job)(C.malloc(C.sizeof_struct_pyb_job))}
	*c.job = C.struct_pyb_job{
		index:    C.uint32_t(index),
		out:      (*C.char)(C.malloc(outSize)), // the pages of it that are never written cost nothing
		capacity: outSize,
	}
	c.job.request.file = -1
	c.allocate(frameSize)
	return c
}

// allocate gives c a buffer of this size.
func (c *call) allocate(size int) {
	C.free(unsafe.Pointer(c.job.buffer))
	c.job.buffer, c.capacity = (*C.char)(C.malloc(C.size_t(size))), size
}

// buffer returns where the frame of the request is to be appended.
func (c *call) buffer() []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(c.job.buffer)), c.capacity)[:0]
}

// describe fills in the request from its frame, which has been appended to c.buffer.
func (c *call) describe(frame []byte, file *os.File) error {
	if unsafe.Pointer(&frame[0]) != unsafe.Pointer(c.job.buffer) { // there was no room
		c.allocate(len(frame))
		frame = append(c.buffer(), frame...)
	}
	h := readHeader(frame)
	times := frame[frameHeaderSize:]
	c.job.frame = (*C.char)(unsafe.Add(unsafe.Pointer(c.job.buffer), frameHeaderSize+requestTimes))
	c.job.request = C.struct_pyb_request{
		received: C.double(math.Float64frombits(binary.LittleEndian.Uint64(times))),
		queued:   C.double(math.Float64frombits(binary.LittleEndian.Uint64(times[8:]))),
		number:   C.uint32_t(h.request),
		names:    C.size_t(h.names),
		values:   C.size_t(h.head),
		body:     C.size_t(h.length - requestTimes - h.names - h.head),
		file:     -1,
	}
	if h.flags&flagHead != 0 {
		c.job.request.is_head = 1
	}
	if file != nil {
		fd, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("pybridge: pass the body's descriptor: %w", err)
		}
		c.job.request.file = C.int(fd) // closed by Python's file object, or by drop
	}
	return nil
}

// join is leave taken back, for another request.
func (c *call) join() { atomic.StoreUint32((*uint32)(unsafe.Pointer(&c.job.gone)), 0) }

// leave says that nobody reads the response any more: it is not begun, or ends early.
func (c *call) leave() { atomic.StoreUint32((*uint32)(unsafe.Pointer(&c.job.gone)), 1) }

// drop lets go of a request that will not be run.
func (c *call) drop() {
	if c.job.request.file >= 0 {
		_ = unix.Close(int(c.job.request.file)) // it was only read
		c.job.request.file = -1
	}
	c.shrink()
}

// shrink lets go of a frame that was larger than most.
func (c *call) shrink() {
	if c.capacity > keepBuffer {
		c.allocate(frameSize)
	}
}

// outcome is what has become of a call.
type outcome int

const (
	callComplete outcome = C.PYB_COMPLETE // the whole response is there
	callSent     outcome = C.PYB_SENT     // it has gone to Embedded.take already
	callRefused  outcome = C.PYB_REFUSED  // it has not been begun: every thread is in the application
	callDropped  outcome = C.PYB_DROPPED  // it has not been begun: nobody reads the response
	callFailed   outcome = C.PYB_FAILED
)

func (c *call) outcome() outcome { return outcome(c.job.outcome) }

// response returns the response of a call that is complete. It is valid as long as the call is.
func (c *call) response() (head, body []byte) {
	out := unsafe.Slice((*byte)(unsafe.Pointer(c.job.out)), outSize)
	end := c.job.reply.head + c.job.reply.body
	return out[:c.job.reply.head], out[c.job.reply.head:end]
}

// problem returns why a call has failed.
func (c *call) problem() error {
	err := taken(c.job.reply.error)
	c.job.reply.error = nil
	if err == nil {
		err = errors.New("run the request: no memory")
	}
	return err
}
