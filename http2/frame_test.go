package http2

import (
	"bytes"
	"errors"
	"testing"
)

func TestParseFrame(t *testing.T) {
	whole := append(appendFrameHead(nil, 3, frameData, flagEndStream, 5), "abcX"...)
	long := appendFrameHead(nil, maxFrameReceived+1, frameData, 0, 1)
	most := append(appendFrameHead(nil, maxFrameReceived, frameData, 0, 1), make([]byte, maxFrameReceived)...)
	reserved := appendFrameHead(nil, 0, framePing, 0, 0xffffffff)
	for _, row := range []struct {
		name         string
		b            []byte
		length, need int
		stream       uint32
		fails        bool
	}{
		{"nothing", nil, 0, 9, 0, false},
		{"within the head", whole[:8], 0, 9, 0, false},
		{"the head alone", whole[:9], 0, 12, 0, false},
		{"within the payload", whole[:11], 0, 12, 0, false},
		{"with the start of the next", whole, 12, 0, 5, false},
		{"the longest", most, 9 + maxFrameReceived, 0, 1, false},
		{"too long", long, 0, 0, 0, true},
		{"the reserved bit is ignored", reserved, 9, 0, maxStreamID, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			f, length, need, err := parseFrame(row.b)
			if length != row.length || need != row.need || f.stream != row.stream || (err != nil) != row.fails {
				t.Errorf("parseFrame = stream %d, %d, %d, %v", f.stream, length, need, err)
			}
		})
	}
}

func TestUnpad(t *testing.T) {
	for _, row := range []struct {
		name    string
		flags   uint8
		payload string
		want    string
		code    errorCode
	}{
		{"none", 0, "\x02abc", "\x02abc", 0},
		{"two bytes", flagPadded, "\x02abcxx", "abc", 0},
		{"padding alone", flagPadded, "\x03xxx", "", 0},
		{"as long as the rest and more", flagPadded, "\x03xx", "", codeProtocol},
		{"no length", flagPadded, "", "", codeFrameSize},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := frame{flags: row.flags, payload: []byte(row.payload)}
			err := f.unpad()
			var failed connError
			errors.As(err, &failed)
			if failed.code != row.code || err == nil && string(f.payload) != row.want {
				t.Errorf("unpad: %q, %v", f.payload, err)
			}
		})
	}
}

// What was appended is parsed again, wherever bytes are missing, and nothing else is.
func FuzzParseFrame(f *testing.F) {
	f.Add([]byte("abc"), uint8(1), uint8(4), uint32(7), uint16(3))
	f.Add([]byte{}, uint8(200), uint8(255), uint32(1<<31), uint16(0))
	f.Fuzz(func(t *testing.T, payload []byte, kind, flags uint8, stream uint32, cut uint16) {
		if len(payload) > maxFrameReceived {
			payload = payload[:maxFrameReceived]
		}
		b := append(appendFrameHead(nil, len(payload), frameType(kind), flags, stream), payload...)
		got, length, _, err := parseFrame(append(b, "next"...))
		if err != nil || length != len(b) || got.kind != frameType(kind) || got.flags != flags || got.stream != stream&maxStreamID || !bytes.Equal(got.payload, payload) {
			t.Fatalf("parseFrame = %+v, %d, %v", got, length, err)
		}
		short := b[:min(int(cut), len(b)-1)]
		if _, length, need, err := parseFrame(short); length != 0 || need <= len(short) || need > len(b) || err != nil {
			t.Fatalf("%d bytes of %d: length %d, need %d, %v", len(short), len(b), length, need, err)
		}
		_ = got.unpad()
	})
}
