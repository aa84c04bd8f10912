package http2

import "encoding/binary"

// process does what a frame asks for.
func (c *Conn) process(f *frame, nested *Stream) error {
	if !c.settled {
		if f.kind != frameSettings || f.has(flagAck) {
			return connError{codeProtocol, "the first frame is not SETTINGS"}
		}
		c.mu.Lock()
		c.settled, c.headSince, c.idleSince = true, 0, c.server.now()
		c.mu.Unlock()
	}
	if c.block.stream != 0 && (f.kind != frameContinuation || f.stream != c.block.stream) {
		return connError{codeProtocol, "a head is interrupted by another frame"} // RFC 9113 section 4.3
	}
	switch f.kind {
	case frameData:
		return c.onData(f)
	case frameHeaders:
		return c.onHeaders(f, nested)
	case frameContinuation:
		return c.onContinuation(f, nested)
	case frameRSTStream:
		return c.onReset(f)
	case frameSettings:
		return c.onSettings(f)
	case framePing:
		return c.onPing(f)
	case frameWindowUpdate:
		return c.onWindowUpdate(f)
	case framePriority:
		return c.onPriority(f)
	case frameGoAway:
		if f.stream != 0 {
			return connError{codeProtocol, "GOAWAY on a stream"}
		}
		if len(f.payload) < 8 {
			return connError{codeFrameSize, "GOAWAY has less than 8 bytes"}
		}
		return c.spend(1) // the client closes when it has its answers
	case framePushPromise:
		return connError{codeProtocol, "PUSH_PROMISE from a client"}
	}
	return c.spend(1)
}

// onReset takes note that the client has given up on a stream (RFC 9113 section 6.4).
func (c *Conn) onReset(f *frame) error {
	if len(f.payload) != 4 {
		return connError{codeFrameSize, "RST_STREAM has not 4 bytes"}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.never(f.stream) {
		return connError{codeProtocol, "RST_STREAM on a stream that was never opened"}
	}
	if st := c.streams[f.stream]; st != nil {
		st.lose(ErrReset)
		st.end()
	}
	return c.spendLocked(priceReset)
}

// never reports whether the client has not opened the stream. c.mu must be held.
func (c *Conn) never(id uint32) bool { return id == 0 || id%2 == 0 || id > c.lastID && !c.away }

// onPing answers (RFC 9113 section 6.7).
func (c *Conn) onPing(f *frame) error {
	if f.stream != 0 {
		return connError{codeProtocol, "PING on a stream"}
	}
	if len(f.payload) != 8 {
		return connError{codeFrameSize, "PING has not 8 bytes"}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !f.has(flagAck) {
		c.outgoing(frameHeadLen + 8)
		c.out = append(appendFrameHead(c.out, 8, framePing, flagAck, 0), f.payload...)
	}
	return c.spendLocked(1)
}

// onPriority checks what is of no other account (RFC 9113 section 6.3).
func (c *Conn) onPriority(f *frame) error {
	if f.stream == 0 {
		return connError{codeProtocol, "PRIORITY without a stream"}
	}
	if len(f.payload) != 5 {
		return streamError{f.stream, codeFrameSize}
	}
	if dependsOnItself(f.stream, f.payload) {
		return streamError{f.stream, codeProtocol}
	}
	return c.spend(1)
}

// dependsOnItself looks at a priority (RFC 7540 section 5.3.1).
func dependsOnItself(stream uint32, priority []byte) bool {
	return binary.BigEndian.Uint32(priority)&maxStreamID == stream
}

// onData takes a part of the body of a request (RFC 9113 section 6.1).
func (c *Conn) onData(f *frame) error {
	if f.stream == 0 {
		return connError{codeProtocol, "DATA without a stream"}
	}
	size := len(f.payload) // padding counts, too
	if err := f.unpad(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.never(f.stream) {
		return connError{codeProtocol, "DATA on a stream that was never opened"}
	}
	if !f.has(flagEndStream) {
		if err := c.spendData(len(f.payload)); err != nil {
			return err
		}
	}
	st := c.streams[f.stream]
	fits, err := c.receive(st, size)
	if err != nil {
		return err
	}
	switch {
	case st == nil || st.lost != nil:
		c.giveBack(nil, size)
		if st == nil && f.stream <= c.lastID && !c.wasReset(f.stream) {
			return streamError{f.stream, codeStreamClosed}
		}
		return nil
	case !fits:
		c.giveBack(nil, size)
		return streamError{f.stream, codeFlowControl}
	case st.receivedAll:
		c.giveBack(nil, size)
		return streamError{f.stream, codeStreamClosed}
	}
	if !st.take(f.payload, f.has(flagEndStream)) {
		c.giveBack(nil, size)
		return streamError{f.stream, codeProtocol}
	}
	if padding := size - len(f.payload); padding > 0 {
		c.giveBack(st, padding)
	}
	return nil
}

// reset says RST_STREAM. What still comes on the stream is dropped. c.mu must be held.
func (c *Conn) reset(id uint32, code errorCode) {
	c.outgoing(frameHeadLen + 4)
	c.out = appendFrame32(c.out, frameRSTStream, id, uint32(code))
	if len(c.resets) < maxResets {
		c.resets = append(c.resets, id)
		return
	}
	copy(c.resets, c.resets[1:])
	c.resets[maxResets-1] = id
}

// maxResets is how many streams that were reset are remembered: twice as many as a client has
// under way, since it may begin others before it hears of the first.
const maxResets = 2 * DefaultMaxStreams

// wasReset reports whether the stream was reset from here. c.mu must be held.
func (c *Conn) wasReset(id uint32) bool {
	for _, reset := range c.resets {
		if reset == id {
			return true
		}
	}
	return false
}
