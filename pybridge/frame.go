package pybridge

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The wire format between the server process and a worker process; the other
// side is worker/frames.py, and the names there are the names here.
//
// A frame is a header of 16 bytes, little endian, and its payload:
//
//	length   uint32   bytes of the payload
//	request  uint32   which request it belongs to; chosen by the server process
//	kind     uint8
//	flags    uint8
//	names    uint16   in a request: how much of the payload is field names
//	head     uint32   in a request: how much after that is values of the environ;
//	                  in a response: how much of the payload is status and fields
//
// A frame with flagDescriptor comes with one file descriptor (SCM_RIGHTS)
// attached to its first byte.
const frameHeaderSize = 16

type frameKind uint8

const (
	// On the data socket, to the worker.
	frameRequest frameKind = 1 // names, values, body
	frameWindow  frameKind = 2 // uint32: bytes of response body that the client has taken
	frameCancel  frameKind = 3 // the client is gone

	// On the data socket, from the worker.
	frameResponse frameKind = 16 // head, first bytes of the body
	frameBody     frameKind = 17 // more bytes of the body
	frameError    frameKind = 18 // text for the log; the request has failed
	frameFile     frameKind = 19 // position and length (uint64) in the file that comes with it
	frameNote     frameKind = 20 // text for the log about a request that goes on
	frameGiveBack frameKind = 21 // the request has not been begun, and will not be

	// On the control socket, from the worker.
	frameReady   frameKind = 32 // fields of Interpreter, NUL between them
	frameFailed  frameKind = 33 // text for the log: the application could not be loaded
	frameLeaving frameKind = 34 // why the worker wants to be replaced

	frameAlive frameKind = 35 // the answer to framePing: Python runs
	frameFiles frameKind = 37 // part of the answer to frameAskFiles: names, NUL between them
	frameStack frameKind = 36 // the stack of the thread that is being interrupted, for the log

	// On the control socket, to the worker.
	frameStop      frameKind = 48 // leave now; nothing is in flight
	frameInterrupt frameKind = 49 // raise overlay.RequestTimeout in the thread of this request
	framePing      frameKind = 50 // answer with frameAlive
	frameAskFiles  frameKind = 51 // which files have been imported since the last time?
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
	names   int
	head    int
}

func appendFrameHeader(dst []byte, h frameHeader) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(h.length))
	dst = binary.LittleEndian.AppendUint32(dst, h.request)
	dst = append(dst, byte(h.kind), h.flags)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(h.names))
	return binary.LittleEndian.AppendUint32(dst, uint32(h.head))
}

// setFrameLengths completes the frame that begins at start and ends with frame:
// its lengths are known only when its payload has been appended.
func setFrameLengths(frame []byte, start, names, head int) {
	binary.LittleEndian.PutUint32(frame[start:], uint32(len(frame)-start-frameHeaderSize))
	binary.LittleEndian.PutUint16(frame[start+10:], uint16(names))
	binary.LittleEndian.PutUint32(frame[start+12:], uint32(head))
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
		names:   int(binary.LittleEndian.Uint16(data[10:])),
		head:    int(binary.LittleEndian.Uint32(data[12:])),
	}
	if h.names+h.head > h.length {
		return h, nil, 0, fmt.Errorf("%w: parts of %d and %d bytes in a payload of %d", errFrame, h.names, h.head, h.length)
	}
	size = frameHeaderSize + h.length
	if len(data) < size {
		return h, nil, 0, nil
	}
	return h, data[frameHeaderSize:size], size, nil
}
