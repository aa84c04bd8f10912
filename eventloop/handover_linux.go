package eventloop

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// Lend returns the Handover of a connection that somebody else has accepted and serves: it may
// go to a loop like one that came from there. layer is what lies above conn, nil for nothing.
func (k *Keeper) Lend(conn *net.TCPConn, layer Layer) *Handover {
	return &Handover{Conn: conn, Layer: layer, keeper: k, detached: -1}
}

// Detach has the connection go back to a loop with Return. It is for the
// moment between two requests, when everything was read and sent; waited tells that the
// client has been silent for Options.ReturnAfter since. The server closes Conn as
// ever, but for what lies above it, which then leaves the connection itself open. Detach reports
// false when the server must keep the connection.
func (h *Handover) Detach(waited bool) bool {
	if h.ended || h.keeper.closing.Load() {
		return false
	}
	raw, err := h.Conn.SyscallConn()
	if err != nil {
		return false
	}
	_ = raw.Control(func(fd uintptr) {
		if copied, err := unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 3); err == nil {
			h.detached, h.waited = copied, waited
		}
	})
	return h.detached >= 0
}

// Return lets the connection wait in a loop if it was detached, and does nothing otherwise.
// Whoever has called Lend calls it once, when Conn is closed. After Options.Serve the Keeper does.
func (h *Handover) Return() {
	if h.detached < 0 {
		return
	}
	s := stateIdle
	if h.waited {
		s = stateWaited
	}
	h.keeper.place(h.detached, h.Layer, s)
	h.detached = -1
}

// await waits for Input, and reports whether it has come.
func (h *Handover) await() bool {
	var input [inputBytes]byte
	if h.Conn.SetReadDeadline(time.Now().Add(h.call)) != nil {
		return false
	}
	n, _ := h.Conn.Read(input[:])
	if n == 0 || h.Conn.SetReadDeadline(time.Time{}) != nil {
		return false
	}
	h.Input = append([]byte(nil), input[:n]...)
	return true
}
