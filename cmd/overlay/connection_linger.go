package main

import "errors"

// SetLinger says what Close does with bytes that the client has not taken; 0
// drops them and resets the connection, which is how a body that ends with its
// connection is visibly cut.
func (c *connection) SetLinger(seconds int) error {
	if tcp, ok := c.Conn.(interface{ SetLinger(seconds int) error }); ok {
		return tcp.SetLinger(seconds)
	}
	return errors.ErrUnsupported
}
