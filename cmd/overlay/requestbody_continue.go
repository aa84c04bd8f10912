package main

import (
	"io"
	"net"
)

var continueLine = []byte("HTTP/1.1 100 Continue\r\n\r\n")

// continueHold keeps back the "100 Continue" that fasthttp writes before it calls the
// handler, behind responses to earlier requests that may wait in the same buffer.
type continueHold struct {
	on   bool
	held []byte // the last bytes written, as many as continueLine has
}

// holdOf returns the one of a connection of ours, else nil.
func holdOf(c net.Conn) *continueHold {
	switch c := c.(type) {
	case *connection:
		return &c.hold
	case *tlsConnection:
		return &c.hold
	}
	return nil
}

func (h *continueHold) begin() { h.on, h.held = true, h.held[:0] }

// end ends it, and reports whether "100 Continue" was kept back, and nothing else. A nil
// h has kept nothing.
func (h *continueHold) end() bool {
	if h == nil || !h.on {
		return false
	}
	h.on = false
	return string(h.held) == string(continueLine)
}

// write writes to w what is certainly not "100 Continue".
func (h *continueHold) write(w io.Writer, p []byte) (int, error) {
	h.held = append(h.held, p...)
	ready := len(h.held) - len(continueLine)
	if ready <= 0 {
		return len(p), nil
	}
	h.on = false // w may be what called
	_, err := w.Write(h.held[:ready])
	h.on = true
	h.held = h.held[:copy(h.held, h.held[ready:])]
	return len(p), err
}
