package http2

import "time"

// Frames that cost the server something and bring a request no further are paid from
// a purse: acknowledgements to be written, streams that are reset before their answer
// (CVE-2023-44487, and CVE-2025-8671, where the client makes the server reset them),
// DATA without a byte, heads in tiny pieces or for nothing. What is answered fills it
// again, and so does time: no honest client comes near the end.
const (
	purseFull    = 4000
	purseSecond  = 400 // what a second adds
	priceReset   = 4
	gainAnswered = 4
)

// Frames that honest clients send much of are paid in small change.
//
// WINDOW_UPDATE: clients answer DATA with one for the stream and one for the connection, and
// there are some that do so for each frame. So a frame of DATA earns both, unless it was
// the window that made it tiny: then a client makes the server send byte by byte
// (CVE-2019-9511, data dribble). Without any DATA, 64,000 may come at once.
//
// DATA of less than tinyData bytes: a program that writes its body so is slow, but no
// attacker. It may send 256,000 at once, and 25,600 a second.
const (
	change      = 64 // makes one of the purse
	priceWindow = 4
	priceTiny   = 1
	gainData    = 2 * priceWindow
	tinyData    = 4
	tinySent    = 256
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
		const full = purseFull * time.Second / purseSecond
		earned := int(min(now-c.filled, full) * purseSecond / time.Second)
		c.purse = min(c.purse+earned, purseFull)
		c.filled = now
	}
	if c.purse < 0 {
		return connError{codeEnhanceYourCalm, "too many frames that ask for nothing"}
	}
	return nil
}

// spendChange pays n of change. c.mu must be held.
func (c *Conn) spendChange(n int) error {
	if c.owes += n; c.owes < change {
		return nil
	}
	whole := c.owes / change
	c.owes -= whole * change
	return c.spendLocked(whole)
}

// spendData pays for DATA of n bytes that does not end a body. c.mu must be held.
func (c *Conn) spendData(n int) error {
	switch {
	case n == 0:
		return c.spendLocked(1)
	case n < tinyData:
		return c.spendChange(priceTiny)
	}
	return nil
}

// earnData is for DATA of n bytes that was sent. cut says that it was to be more, and a
// window did not allow that. c.mu must be held.
func (c *Conn) earnData(n int, cut bool) {
	if cut && n < tinySent {
		return
	}
	if c.owes -= gainData; c.owes <= -change {
		c.owes += change
		c.earn(1)
	}
}

// earn fills the purse. c.mu must be held.
func (c *Conn) earn(n int) { c.purse = min(c.purse+n, purseFull) }
