package http2

import (
	"encoding/binary"
	"slices"
)

// Bounds of flow control (RFC 9113 sections 5.1.1, 6.9.1 and 6.9.2).
const (
	maxStreamID   = 1<<31 - 1
	maxWindow     = 1<<31 - 1
	initialWindow = 1<<16 - 1
)

// onWindowUpdate lets a response, or all of them, go on.
func (c *Conn) onWindowUpdate(f *frame) error {
	if len(f.payload) != 4 {
		return connError{codeFrameSize, "WINDOW_UPDATE has not 4 bytes"}
	}
	more := int64(binary.BigEndian.Uint32(f.payload) & maxWindow)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.spendChange(priceWindow); err != nil {
		return err
	}
	if f.stream == 0 {
		switch {
		case more == 0:
			return connError{codeProtocol, "WINDOW_UPDATE by nothing"}
		case c.sendWindow+more > maxWindow:
			return connError{codeFlowControl, "the window of the connection overflows"}
		}
		c.sendWindow += more
		c.distribute()
		return nil
	}
	st := c.streams[f.stream]
	if st == nil {
		if c.never(f.stream) {
			return connError{codeProtocol, "WINDOW_UPDATE on a stream that was never opened"}
		}
		return nil // it has ended meanwhile
	}
	switch {
	case more == 0:
		return streamError{f.stream, codeProtocol}
	case st.sendWindow+more > maxWindow:
		return streamError{f.stream, codeFlowControl}
	}
	if st.sendWindow += more; st.sendWindow > 0 {
		st.cond.Broadcast()
	}
	return nil
}

// setInitialWindow changes the windows of all streams by the difference; one may become
// negative (RFC 9113 section 6.9.2). c.mu must be held.
func (c *Conn) setInitialWindow(n int64) error {
	more := n - c.initialWindow
	c.initialWindow = n
	for _, st := range c.streams {
		if st.sendWindow += more; st.sendWindow > maxWindow {
			return connError{codeFlowControl, "SETTINGS_INITIAL_WINDOW_SIZE makes a window overflow"}
		}
		st.cond.Broadcast()
	}
	return nil
}

// distribute gives what the window of the connection has to the streams that wait for it,
// in equal parts, and in turn. Were they left to take it, the one whose goroutine reads,
// and so sees every update first, would have it all. c.mu must be held.
func (c *Conn) distribute() {
	for c.sendWindow > 0 && len(c.waiting) > 0 {
		st := c.waiting[0]
		part := max(c.sendWindow/int64(len(c.waiting)), min(c.sendWindow, smallPart))
		st.leaveQueue()
		part = min(part, max(st.sendWindow, 0))
		c.sendWindow -= part
		st.granted += part
		st.cond.Broadcast()
	}
}

// smallPart is not divided further.
const smallPart = 1 << 10

// mayHave returns how many bytes st may send now. c.mu must be held.
func (c *Conn) mayHave(st *Stream) int64 {
	if st.granted > 0 {
		return min(st.sendWindow, st.granted)
	}
	return min(st.sendWindow, c.sendWindow)
}

// use takes n bytes off the windows. c.mu must be held.
func (st *Stream) use(n int) {
	st.sendWindow -= int64(n)
	if st.granted > 0 {
		st.granted -= int64(n)
	} else {
		st.c.sendWindow -= int64(n)
	}
}

// queue puts st among those that wait for the window of the connection. c.mu must be held.
func (st *Stream) queue() {
	if !st.waits {
		st.waits = true
		st.c.waiting = append(st.c.waiting, st)
	}
}

func (st *Stream) leaveQueue() {
	if st.waits {
		st.waits = false
		i := slices.Index(st.c.waiting, st)
		st.c.waiting = slices.Delete(st.c.waiting, i, i+1)
	}
}

// release leaves what st does not need now to the others. c.mu must be held.
func (st *Stream) release() {
	st.leaveQueue()
	if st.granted > 0 {
		st.c.sendWindow += st.granted
		st.granted = 0
		st.c.distribute()
	}
}

// receive takes n bytes off the windows that the client has been told of. It reports
// whether st, nil for a stream that is no more, had room for them. c.mu must be held.
func (c *Conn) receive(st *Stream, n int) (bool, error) {
	if c.receiveWindow -= int64(n); c.receiveWindow < 0 {
		return false, connError{codeFlowControl, "more was sent than the window of the connection allows"}
	}
	if st == nil {
		return true, nil
	}
	st.receiveWindow -= int64(n)
	return st.receiveWindow >= 0, nil
}

// giveBack opens the windows by n bytes that were read or dropped, the one of st too
// unless that is nil, and tells the client when it is worth a frame. c.mu must be held.
func (c *Conn) giveBack(st *Stream, n int) {
	// What lies unread on other streams may have taken the rest of the window: then this is
	// all that a stream can go on with.
	if c.owed += int64(n); c.owed >= min(connWindow/4, c.receiveWindow+1) {
		c.receiveWindow += c.owed
		c.outgoing(frameHeadLen + 4)
		c.out = appendFrame32(c.out, frameWindowUpdate, 0, uint32(c.owed))
		c.owed = 0
	}
	if st == nil || st.receivedAll {
		return
	}
	if st.owed += int64(n); st.owed >= streamWindow/4 {
		st.receiveWindow += st.owed
		c.outgoing(frameHeadLen + 4)
		c.out = appendFrame32(c.out, frameWindowUpdate, st.id, uint32(st.owed))
		st.owed = 0
	}
}
