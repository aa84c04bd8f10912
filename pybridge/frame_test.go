package pybridge

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"testing"
)

func TestFrameRoundTrip(t *testing.T) {
	tests := []struct {
		name    string
		header  frameHeader
		payload []byte
	}{
		{"empty", frameHeader{kind: frameStop}, nil},
		{"a request", frameHeader{request: 0x12345678, kind: frameRequest, flags: flagHead, names: 5, head: 7}, []byte("namesvalues0body")},
		{"a response", frameHeader{request: 1, kind: frameResponse, flags: flagEnd | flagLast, head: 6}, []byte("200 OK")},
		{"everything set", frameHeader{request: math.MaxUint32, kind: 255, flags: 255, names: 65535, head: 65537}, make([]byte, 65535+65537)},
		{"as large as allowed", frameHeader{kind: frameBody}, make([]byte, maxFrame)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.header.length = len(tt.payload)
			wire := append(appendFrameHeader(nil, tt.header), tt.payload...)
			if len(wire) != frameHeaderSize+len(tt.payload) {
				t.Fatalf("the header has %d bytes, want %d", len(wire)-len(tt.payload), frameHeaderSize)
			}
			h, payload, size, err := readFrame(append(wire, "the next frame"...))
			if err != nil || h != tt.header || !bytes.Equal(payload, tt.payload) || size != len(wire) {
				t.Errorf("readFrame = %+v, %d bytes, size %d, %v; want %+v, %d bytes, size %d",
					h, len(payload), size, err, tt.header, len(tt.payload), len(wire))
			}
			for _, n := range []int{0, 1, frameHeaderSize - 1, frameHeaderSize, len(wire) - 1} {
				if n >= len(wire) {
					continue
				}
				if _, payload, size, err := readFrame(wire[:n]); size != 0 || payload != nil || err != nil {
					t.Errorf("readFrame of the first %d bytes = size %d, %v; want to be asked again", n, size, err)
				}
			}
		})
	}
}

func TestReadFrameRefuses(t *testing.T) {
	tests := []struct {
		name   string
		header frameHeader
	}{
		{"larger than allowed", frameHeader{length: maxFrame + 1}},
		{"as large as can be said", frameHeader{length: math.MaxUint32}},
		{"head larger than the payload", frameHeader{length: 10, head: 11}},
		{"names larger than the payload", frameHeader{length: 10, names: 11}},
		{"both together", frameHeader{length: 10, names: 5, head: 6}},
		{"a sum that wraps around", frameHeader{length: 10, names: 65535, head: math.MaxUint32}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, size, err := readFrame(appendFrameHeader(nil, tt.header))
			if !errors.Is(err, errFrame) || size != 0 {
				t.Errorf("readFrame(%+v) = size %d, %v, want errFrame", tt.header, size, err)
			}
		})
	}
}

// TestFrameLayout fixes the bytes that worker/frames.py reads and writes.
func TestFrameLayout(t *testing.T) {
	got := appendFrameHeader(nil, frameHeader{length: 0x01020304, request: 0x05060708, kind: 9, flags: 10, names: 0x0b0c, head: 0x0d0e0f10})
	want := []byte{4, 3, 2, 1, 8, 7, 6, 5, 9, 10, 0x0c, 0x0b, 0x10, 0x0f, 0x0e, 0x0d}
	if !bytes.Equal(got, want) {
		t.Errorf("header % x, want % x", got, want)
	}
	frame := append(append([]byte("before"), got...), "payload"...)
	setFrameLengths(frame, len("before"), 2, 3)
	h, payload, _, err := readFrame(frame[len("before"):])
	if err != nil || h.length != 7 || h.names != 2 || h.head != 3 || h.request != 0x05060708 || string(payload) != "payload" {
		t.Errorf("after setFrameLengths: %+v, %q, %v", h, payload, err)
	}
}

// FuzzReadFrame: whatever comes, readFrame takes whole frames and nothing
// beyond them, and what it takes is what appendFrameHeader would write.
func FuzzReadFrame(f *testing.F) {
	f.Add([]byte{})
	f.Add(appendFrameHeader(nil, frameHeader{length: 3, kind: frameResponse, head: 3}))
	f.Add(append(appendFrameHeader(nil, frameHeader{length: 5, request: 7, kind: frameBody, flags: flagLast}), "hello and more"...))
	f.Add(append(appendFrameHeader(nil, frameHeader{length: 5, names: 2, head: 2, kind: frameRequest}), "hello"...))
	f.Fuzz(func(t *testing.T, data []byte) {
		h, payload, size, err := readFrame(data)
		switch {
		case err != nil:
			if !errors.Is(err, errFrame) || size != 0 || payload != nil {
				t.Fatalf("readFrame = %d bytes, size %d, %v", len(payload), size, err)
			}
			return
		case size == 0:
			if len(data) >= frameHeaderSize && len(data) >= frameHeaderSize+int(binary.LittleEndian.Uint32(data)) {
				t.Fatal("a whole frame was not taken")
			}
			return
		}
		if size > len(data) || size != frameHeaderSize+len(payload) || h.length != len(payload) || h.length > maxFrame {
			t.Fatalf("size %d of %d bytes, payload %d, length %d", size, len(data), len(payload), h.length)
		}
		if h.names+h.head > len(payload) {
			t.Fatalf("parts of %d and %d in %d bytes", h.names, h.head, len(payload))
		}
		if again := append(appendFrameHeader(nil, h), payload...); !bytes.Equal(again, data[:size]) {
			t.Fatalf("read %x, which is written as %x", data[:size], again)
		}
		// Trailing bytes make no difference: nothing is read past the frame.
		h2, payload2, size2, err2 := readFrame(data[:size:size])
		if h2 != h || size2 != size || err2 != nil || !bytes.Equal(payload2, payload) {
			t.Fatal("the bytes after a frame change how it is read")
		}
	})
}
