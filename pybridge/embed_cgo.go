//go:build cgo

package pybridge

/*
#cgo CFLAGS: -D_GNU_SOURCE
#cgo LDFLAGS: -ldl -lpthread
#include <stdlib.h>
#include "pybridge.h"
*/
import "C"

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"os/signal"
	"runtime"
	"runtime/cgo"
	"syscall"
	"unsafe"
)

// EmbeddedAvailable reports whether this build can host an interpreter.
const EmbeddedAvailable = true

// startInterpreter loads libpython and starts it as the program python, for e.
func startInterpreter(python, library string, settings map[string]any, e *Embedded) (*interpreter, error) {
	p := &interpreter{python: python, orders: make(chan func())}
	p.owner.Store(e)
	stdout, stderr, err := p.captureOutput()
	if err != nil {
		return nil, err
	}
	hello, err := embedHello(settings, stdout, stderr)
	if err != nil {
		return nil, err
	}
	if err := load(library); err != nil {
		return nil, err
	}
	// As python does: a write to a closed connection is an exception and not
	// the end of the process.
	signal.Ignore(syscall.SIGPIPE)
	// It is for a Python that lies elsewhere, and breaks virtual environments.
	if err := os.Unsetenv("PYTHONHOME"); err != nil {
		return nil, err
	}
	go p.run()
	p.do(func() { err = p.boot(hello) })
	return p, err
}

func load(library string) error {
	path := C.CString(library)
	defer C.free(unsafe.Pointer(path))
	return taken(C.pyb_open(path))
}

// run is the main thread of Python: the one that starts it, and so the one that
// threading.main_thread() is.
func (p *interpreter) run() {
	runtime.LockOSThread()
	for f := range p.orders {
		f()
	}
}

// do runs f on the main thread and waits for it.
func (p *interpreter) do(f func()) {
	done := make(chan struct{})
	p.orders <- func() {
		defer close(done)
		f()
	}
	<-done
}

func (p *interpreter) boot(hello []byte) error {
	program := C.CString(p.python)
	defer C.free(unsafe.Pointer(program))
	if err := taken(C.pyb_start(program)); err != nil {
		return err
	}
	source := C.CString(embedCommand)
	defer C.free(unsafe.Pointer(source))
	handle := C.uintptr_t(cgo.NewHandle(p))
	if err := taken(C.pyb_boot(handle, source, (*C.char)(unsafe.Pointer(&hello[0])), C.size_t(len(hello)))); err != nil {
		return err
	}
	var length C.size_t
	about := C.pyb_about(&length)
	defer C.free(unsafe.Pointer(about))
	var err error
	p.about, err = parseInterpreter(p.python, C.GoStringN(about, C.int(length)))
	return err
}

// loadApplication loads the application; the error is a *LoadError.
func (p *interpreter) loadApplication() (err error) {
	p.do(func() {
		if text := takenString(C.pyb_load()); text != "" {
			err = &LoadError{Text: text}
		}
	})
	return err
}

// stop runs the exit handlers.
func (p *interpreter) stop() (err error) {
	p.do(func() { err = taken(C.pyb_stop()) })
	return err
}

// interrupt raises overlay.RequestTimeout in the thread of a request, and
// returns where that was. It waits for the GIL, as beat does.
func interrupt(number uint32) string { return takenString(C.pyb_interrupt(C.uint32_t(number))) }

func beat() { C.pyb_beat() }

// taken turns a text of the C core into an error, nil for none.
func taken(text *C.char) error {
	if s := takenString(text); s != "" {
		return errors.New(s)
	}
	return nil
}

func takenString(text *C.char) string {
	defer C.free(unsafe.Pointer(text))
	return C.GoString(text)
}

// readHeader reads the header of a frame that was made in this process. That of
// a request may be larger than what readFrame takes.
func readHeader(frame []byte) frameHeader {
	return frameHeader{
		length:  int(binary.LittleEndian.Uint32(frame)),
		request: binary.LittleEndian.Uint32(frame[4:]),
		kind:    frameKind(frame[8]),
		flags:   frame[9],
		names:   int(binary.LittleEndian.Uint16(frame[10:])),
		head:    int(binary.LittleEndian.Uint32(frame[12:])),
	}
}

// The functions below are called from Python, by way of streams.c. A panic must not pass
// through its frames.

//export pyb_go_frame
func pyb_go_frame(handle C.uintptr_t, frame *C.char, length C.size_t, descriptor C.int) (verdict C.int) {
	e := cgo.Handle(handle).Value().(*interpreter).owner.Load()
	defer func() {
		if cause := recover(); cause != nil {
			e.panicked(cause)
			verdict = C.PYB_GONE
		}
	}()
	data := unsafe.Slice((*byte)(unsafe.Pointer(frame)), int(length))
	e.readNotes() // what came before it
	switch e.take(data, int(descriptor)) {
	case takenIn:
		return C.PYB_TAKEN
	case noRoom:
		return C.PYB_FULL
	}
	return C.PYB_GONE
}

//export pyb_go_wait
func pyb_go_wait(handle C.uintptr_t, frame *C.char) {
	e := cgo.Handle(handle).Value().(*interpreter).owner.Load()
	e.waitRoom(unsafe.Slice((*byte)(unsafe.Pointer(frame)), frameHeaderSize))
}

//export pyb_go_warn
func pyb_go_warn(handle C.uintptr_t, text *C.char, length C.size_t) {
	e := cgo.Handle(handle).Value().(*interpreter).owner.Load()
	line := C.GoBytes(unsafe.Pointer(text), C.int(length))
	e.core.opts.Logger.Warn(string(bytes.TrimSpace(line)), "worker", e.PID())
}
