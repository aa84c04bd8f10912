//go:build !linux

package eventloop

import "net"

// Keeper is not on this system.
type Keeper struct{}

// NewKeeper returns ErrUnavailable.
func NewKeeper(Options) (*Keeper, error) { return nil, ErrUnavailable }

// Lend returns nil.
func (k *Keeper) Lend(*net.TCPConn, Layer) *Handover { return nil }

// Close does nothing.
func (k *Keeper) Close() {}

// Wait does nothing.
func (k *Keeper) Wait() {}

// Closing reports true.
func (k *Keeper) Closing() bool { return true }

// Connections returns 0.
func (k *Keeper) Connections() int { return 0 }

// Listener is not on this system.
type Listener struct {
	*Keeper
	net.Listener
}

// Listen returns ErrUnavailable.
func Listen(net.Listener, Options) (*Listener, error) { return nil, ErrUnavailable }

// Close does nothing.
func (l *Listener) Close() error { return nil }

// Detach reports false.
func (h *Handover) Detach(bool) bool { return false }

// Return does nothing.
func (h *Handover) Return() {}
