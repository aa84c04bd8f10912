package pybridge

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The wire format between the server process and a worker process; the other
// side is worker/frames.py, and the names there are the names here.
//
// A frame is a header of 12 bytes, little endian, and its payload:
//
//	length   uint32   bytes of the payload
//	request  uint32   which request it belongs to; chosen by the server process
//	kind     uint8
//	flags    uint8
//	-        uint16   zero
//
// A frame with flagDescriptor comes with one file descriptor (SCM_RIGHTS)
// attached to its first byte.
const frameHeaderSize = 12

type frameKind uint8

const (
	// On the data socket, to the worker.
	frameRequest frameKind = 1 // names length, values length, names, values, body
	frameWindow  frameKind = 2 // uint32: bytes of response body that the client has taken
	frameCancel  frameKind = 3 // the client is gone

	// On the data socket, from the worker.
	frameResponse frameKind = 16 // head length, head, first bytes of the body
	frameBody     frameKind = 17 // more bytes of the body
	frameError    frameKind = 18 // text for the log; the request has failed
	frameFile     frameKind = 19 // position and length (uint64) in the file that comes with it
	frameNote     frameKind = 20 // text for the log about a request that goes on

	// On the control socket, from the worker.
	frameReady   frameKind = 32 // fields of Interpreter, NUL between them
	frameFailed  frameKind = 33 // text for the log: the application could not be loaded
	frameLeaving frameKind = 34 // why the worker wants to be replaced

	// On the control socket, to the worker.
	frameStop frameKind = 48 // leave now; nothing is in flight
)

const (
	flagEnd        = 1 // the thread that ran the request is free
	flagLast       = 2 // no byte of the body follows
	flagDescriptor = 4
	flagHead       = 8 // in a request: its method is HEAD
)

// maxFrame bounds a frame from a worker process, header excluded. A body comes
// in frames of 128 KiB at most (frames.py, MAX_BODY); the rest is for the head.
const maxFrame = 512 << 10

// errFrame marks bytes from a worker process that are no frame. There is no
// way to find the next frame after it, so the worker process has to go.
var errFrame = errors.New("malformed frame")

type frameHeader struct {
	length  int
	request uint32
	kind    frameKind
	flags   uint8
}

func appendFrameHeader(dst []byte, h frameHeader) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(h.length))
	dst = binary.LittleEndian.AppendUint32(dst, h.request)
	return append(dst, byte(h.kind), h.flags, 0, 0)
}

// setFrameLength completes the frame that begins at start and ends with frame:
// its length is known only when its payload has been appended.
func setFrameLength(frame []byte, start int) {
	binary.LittleEndian.PutUint32(frame[start:], uint32(len(frame)-start-frameHeaderSize))
}

// readFrame returns the first frame of data and how many bytes it takes up, or
// 0 when it has not come whole. The payload is part of data.
func readFrame(data []byte) (h frameHeader, payload []byte, size int, err error) {
	if len(data) < frameHeaderSize {
		return h, nil, 0, nil
	}
	length := binary.LittleEndian.Uint32(data)
	if length > maxFrame {
		return h, nil, 0, fmt.Errorf("%w: length %d, want at most %d", errFrame, length, maxFrame)
	}
	h = frameHeader{
		length:  int(length),
		request: binary.LittleEndian.Uint32(data[4:]),
		kind:    frameKind(data[8]),
		flags:   data[9],
	}
	size = frameHeaderSize + h.length
	if len(data) < size {
		return h, nil, 0, nil
	}
	return h, data[frameHeaderSize:size], size, nil
}

// cutPart splits payload into the part whose length stands in its first four
// bytes and the rest.
func cutPart(payload []byte) (part, rest []byte, err error) {
	if len(payload) < 4 {
		return nil, nil, fmt.Errorf("%w: payload of %d bytes has no length", errFrame, len(payload))
	}
	n := binary.LittleEndian.Uint32(payload)
	rest = payload[4:]
	if uint64(n) > uint64(len(rest)) {
		return nil, nil, fmt.Errorf("%w: part of %d bytes in %d", errFrame, n, len(rest))
	}
	return rest[:n], rest[n:], nil
}
