//go:build !linux

package eventloop

import "net"

// Listener is not on this system.
type Listener struct{ net.Listener }

// Listen returns ErrUnavailable.
func Listen(net.Listener, Options) (*Listener, error) { return nil, ErrUnavailable }

// Closing reports true.
func (l *Listener) Closing() bool { return true }

// Connections returns 0.
func (l *Listener) Connections() int { return 0 }

// Detach reports false.
func (h *Handover) Detach(bool) bool { return false }
