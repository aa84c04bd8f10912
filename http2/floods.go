package http2

import "time"

// Frames that cost the server something and bring a request no further are paid from
// a purse: acknowledgements to be written, streams that are reset before their answer
// (CVE-2023-44487, and CVE-2025-8671, where the client makes the server reset them),
// DATA without a byte, headers in tiny pieces. What is answered or received fills it
// again, and so does time: no honest client comes near the end.
const (
	purseFull    = 4000
	purseSecond  = 400 // what a second adds
	priceReset   = 4
	gainAnswered = 4
)

// spend pays n. A purse that is empty ends the connection.
func (c *Conn) spend(n int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.spendLocked(n)
}

// spendLocked is spend. c.mu must be held.
func (c *Conn) spendLocked(n int) error {
	c.purse -= n
	if c.purse < 0 {
		now := c.server.now()
		earned := int(min((now-c.filled)*purseSecond/time.Second, purseFull))
		c.purse = min(c.purse+earned, purseFull)
		c.filled = now
	}
	if c.purse < 0 {
		return connError{codeEnhanceYourCalm, "too many frames that ask for nothing"}
	}
	return nil
}

// earn fills the purse. c.mu must be held.
func (c *Conn) earn(n int) { c.purse = min(c.purse+n, purseFull) }
