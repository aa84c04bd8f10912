package http2

import "encoding/binary"

// frameType says what a frame is (RFC 9113 section 6). Types beyond these are ignored.
type frameType uint8

const (
	frameData frameType = iota
	frameHeaders
	framePriority
	frameRSTStream
	frameSettings
	framePushPromise
	framePing
	frameGoAway
	frameWindowUpdate
	frameContinuation
)

// Flags of frames. The same bit means different things for different types.
const (
	flagEndStream  = 0x1 // DATA, HEADERS
	flagAck        = 0x1 // SETTINGS, PING
	flagEndHeaders = 0x4 // HEADERS, CONTINUATION
	flagPadded     = 0x8 // DATA, HEADERS
	flagPriority   = 0x20
)

// frameHeadLen is how many bytes stand before the payload (RFC 9113 section 4.1).
const frameHeadLen = 9

// maxFrameReceived is the longest payload taken: SETTINGS_MAX_FRAME_SIZE keeps its
// initial value, the smallest that may be set (RFC 9113 section 6.5.2).
const maxFrameReceived = 16 << 10

// frame is one frame as received. The payload is valid until the next is read.
type frame struct {
	kind    frameType
	flags   uint8
	stream  uint32 // 31 bits
	payload []byte
}

func (f *frame) has(flag uint8) bool { return f.flags&flag != 0 }

// parseFrame returns the frame at the start of b and its length with its head. The
// length is 0 while bytes are missing: then need is how many b has to have for the next
// attempt. A frame that is too long is an error of the connection, known from its
// head on (RFC 9113 section 4.2).
func parseFrame(b []byte) (f frame, length, need int, err error) {
	if len(b) < frameHeadLen {
		return f, 0, frameHeadLen, nil
	}
	n := int(b[0])<<16 | int(b[1])<<8 | int(b[2])
	if n > maxFrameReceived {
		return f, 0, 0, connError{codeFrameSize, "a frame is longer than SETTINGS_MAX_FRAME_SIZE"}
	}
	length = frameHeadLen + n
	if len(b) < length {
		return f, 0, length, nil
	}
	f = frame{kind: frameType(b[3]), flags: b[4], stream: binary.BigEndian.Uint32(b[5:]) & maxStreamID, payload: b[frameHeadLen:length]}
	return f, length, 0, nil
}

// unpad takes padding off the payload of DATA or HEADERS (RFC 9113 sections 6.1 and 6.2).
func (f *frame) unpad() error {
	if !f.has(flagPadded) {
		return nil
	}
	if len(f.payload) == 0 {
		return connError{codeFrameSize, "a padded frame has no room for the length of its padding"}
	}
	padding := int(f.payload[0])
	if padding >= len(f.payload) {
		return connError{codeProtocol, "padding is as long as its frame"}
	}
	f.payload = f.payload[1 : len(f.payload)-padding]
	return nil
}

// appendFrameHead adds the head of a frame whose payload has n bytes.
func appendFrameHead(b []byte, n int, kind frameType, flags uint8, stream uint32) []byte {
	b = append(b, byte(n>>16), byte(n>>8), byte(n), byte(kind), flags)
	return binary.BigEndian.AppendUint32(b, stream)
}

// appendFrame32 adds a frame whose payload is one number: RST_STREAM, WINDOW_UPDATE.
func appendFrame32(b []byte, kind frameType, stream, value uint32) []byte {
	return binary.BigEndian.AppendUint32(appendFrameHead(b, 4, kind, 0, stream), value)
}

// appendGoAway adds GOAWAY: streams up to last are or will be answered.
func appendGoAway(b []byte, last uint32, code errorCode) []byte {
	b = appendFrameHead(b, 8, frameGoAway, 0, 0)
	b = binary.BigEndian.AppendUint32(b, last)
	return binary.BigEndian.AppendUint32(b, uint32(code))
}
