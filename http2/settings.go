package http2

import "encoding/binary"

// Settings (RFC 9113 section 6.5.2, RFC 9218 section 2.1).
const (
	settingHeaderTableSize   = 0x1
	settingEnablePush        = 0x2
	settingMaxStreams        = 0x3
	settingInitialWindow     = 0x4
	settingMaxFrameSize      = 0x5
	settingMaxHeaderListSize = 0x6
	settingNoPriorities      = 0x9
)

// What the client may send before it is told more.
const (
	streamWindow = 512 << 10 // unread bytes of one request body
	connWindow   = 1 << 20   // those of all bodies of a connection
)

// appendPreface adds what a server says first: its settings, and how much more the
// window of the connection is than the initial one, which no setting changes.
func appendPreface(b []byte, o *Options) []byte {
	settings := [...]struct {
		id    uint16
		value uint32
	}{
		{settingMaxStreams, o.MaxStreams},
		{settingInitialWindow, streamWindow},
		{settingMaxHeaderListSize, uint32(o.MaxHeaderBytes)},
		{settingNoPriorities, 1}, // the scheme of RFC 7540, which nobody follows here
	}
	b = appendFrameHead(b, 6*len(settings), frameSettings, 0, 0)
	for _, s := range settings {
		b = binary.BigEndian.AppendUint16(b, s.id)
		b = binary.BigEndian.AppendUint32(b, s.value)
	}
	return appendFrame32(b, frameWindowUpdate, 0, connWindow-initialWindow)
}

// onSettings takes the settings of the client and acknowledges them.
func (c *Conn) onSettings(f *frame) error {
	if f.stream != 0 {
		return connError{codeProtocol, "SETTINGS on a stream"}
	}
	if f.has(flagAck) {
		if len(f.payload) != 0 {
			return connError{codeFrameSize, "an acknowledgement of settings with a payload"}
		}
		return c.spend(1)
	}
	if len(f.payload)%6 != 0 {
		return connError{codeFrameSize, "SETTINGS that end within a setting"}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for p := f.payload; len(p) > 0; p = p[6:] {
		if err := c.set(binary.BigEndian.Uint16(p), binary.BigEndian.Uint32(p[2:])); err != nil {
			return err
		}
	}
	c.outgoing(frameHeadLen)
	c.out = appendFrameHead(c.out, 0, frameSettings, flagAck, 0)
	return c.spendLocked(1 + len(f.payload)/48)
}

// set takes one setting. c.mu must be held.
func (c *Conn) set(id uint16, value uint32) error {
	switch id {
	case settingHeaderTableSize:
		c.encoder.limit(value)
	case settingEnablePush:
		if value > 1 {
			return connError{codeProtocol, "SETTINGS_ENABLE_PUSH is neither 0 nor 1"}
		}
	case settingInitialWindow:
		if value > maxWindow {
			return connError{codeFlowControl, "SETTINGS_INITIAL_WINDOW_SIZE is beyond the largest window"}
		}
		return c.setInitialWindow(int64(value))
	case settingMaxFrameSize:
		if value < maxFrameReceived || value > 1<<24-1 {
			return connError{codeProtocol, "SETTINGS_MAX_FRAME_SIZE is out of its bounds"}
		}
		c.maxFrame = int(value)
	}
	return nil // those of no account here, and unknown ones
}
