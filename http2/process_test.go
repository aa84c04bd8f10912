package http2

import (
	"encoding/binary"
	"strings"
	"testing"
)

func raw(kind frameType, flags uint8, stream uint32, payload string) []byte {
	return append(appendFrameHead(nil, len(payload), kind, flags, stream), payload...)
}

func uint32s(values ...uint32) string {
	var b []byte
	for _, v := range values {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return string(b)
}

func setting(id uint16, value uint32) string {
	return string([]byte{byte(id >> 8), byte(id)}) + uint32s(value)
}

// get is the block of a GET from the static table: method, scheme, path, authority "h".
const getBlock = "\x82\x87\x84\x41\x01h"

// Frames that end the connection, or their stream, or nothing (RFC 9113 sections 4 to 6).
func TestRulesOfFrames(t *testing.T) {
	type outcome struct {
		conn, stream int // error codes; -1 for none
	}
	fine := outcome{-1, -1}
	conn := func(code errorCode) outcome { return outcome{int(code), -1} }
	stream := func(code errorCode) outcome { return outcome{-1, int(code)} }
	const open = flagEndHeaders
	post := raw(frameHeaders, open, 1, "\x83\x87\x84\x41\x01h")
	for _, row := range []struct {
		name string
		sent [][]byte
		want outcome
	}{
		{"a request", [][]byte{raw(frameHeaders, open|flagEndStream, 1, getBlock)}, fine},
		{"an unknown type", [][]byte{raw(99, 0xff, 77, "what")}, fine},
		{"PRIORITY", [][]byte{raw(framePriority, 0, 1, uint32s(0)+"x")}, fine},
		{"PRIORITY without a stream", [][]byte{raw(framePriority, 0, 0, uint32s(0)+"x")}, conn(codeProtocol)},
		{"PRIORITY of another length", [][]byte{raw(framePriority, 0, 1, "1234")}, stream(codeFrameSize)},
		{"PRIORITY that depends on itself", [][]byte{raw(framePriority, 0, 1, uint32s(1)+"x")}, stream(codeProtocol)},
		{"HEADERS that depend on themselves", [][]byte{raw(frameHeaders, open|flagEndStream|flagPriority, 1, uint32s(1)+"x"+getBlock)}, stream(codeProtocol)},
		{"HEADERS with a priority", [][]byte{raw(frameHeaders, open|flagEndStream|flagPriority, 1, uint32s(0)+"x"+getBlock)}, fine},
		{"HEADERS without room for a priority", [][]byte{raw(frameHeaders, open|flagEndStream|flagPriority, 1, "abc")}, conn(codeFrameSize)},
		{"HEADERS on no stream", [][]byte{raw(frameHeaders, open|flagEndStream, 0, getBlock)}, conn(codeProtocol)},
		{"HEADERS on a stream of the server", [][]byte{raw(frameHeaders, open|flagEndStream, 2, getBlock)}, conn(codeProtocol)},
		{"HEADERS on a lower stream", [][]byte{raw(frameHeaders, open|flagEndStream, 3, getBlock), raw(frameHeaders, open|flagEndStream, 1, getBlock)}, conn(codeStreamClosed)},
		{"HEADERS that cannot be decoded", [][]byte{raw(frameHeaders, open|flagEndStream, 1, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")}, conn(codeCompression)},
		{"HEADERS that end within a field", [][]byte{raw(frameHeaders, open|flagEndStream, 1, getBlock+"\x41\x09h")}, conn(codeCompression)},
		{"HEADERS in pieces", [][]byte{raw(frameHeaders, flagEndStream, 1, getBlock[:4]), raw(frameContinuation, 0, 1, ""), raw(frameContinuation, flagEndHeaders, 1, getBlock[4:])}, fine},
		{"another frame between the pieces", [][]byte{raw(frameHeaders, flagEndStream, 1, getBlock[:4]), raw(framePing, 0, 0, "12345678")}, conn(codeProtocol)},
		{"pieces of another stream", [][]byte{raw(frameHeaders, flagEndStream, 1, getBlock[:4]), raw(frameContinuation, flagEndHeaders, 3, getBlock[4:])}, conn(codeProtocol)},
		{"CONTINUATION of nothing", [][]byte{raw(frameContinuation, flagEndHeaders, 1, getBlock)}, conn(codeProtocol)},
		{"CONTINUATION of a whole head", [][]byte{raw(frameHeaders, open|flagEndStream, 1, getBlock), raw(frameContinuation, flagEndHeaders, 1, getBlock)}, conn(codeProtocol)},
		{"DATA", [][]byte{post, raw(frameData, flagEndStream, 1, "abc")}, fine},
		{"DATA on no stream", [][]byte{raw(frameData, 0, 0, "abc")}, conn(codeProtocol)},
		{"DATA on a stream that is not open", [][]byte{raw(frameData, 0, 1, "abc")}, conn(codeProtocol)},
		{"DATA behind the end", [][]byte{post, raw(frameData, flagEndStream, 1, "abc"), raw(frameData, 0, 1, "abc")}, stream(codeStreamClosed)},
		{"DATA with more padding than bytes", [][]byte{post, raw(frameData, flagPadded, 1, "\x05abc")}, conn(codeProtocol)},
		{"HEADERS behind the end", [][]byte{raw(frameHeaders, open, 1, "\x83\x87\x44\x05/wait\x41\x01h"), raw(frameData, flagEndStream, 1, ""), raw(frameHeaders, open|flagEndStream, 1, getBlock)}, stream(codeStreamClosed)},
		{"trailers", [][]byte{post, raw(frameHeaders, open|flagEndStream, 1, "\x00\x01a\x01b")}, fine},
		{"trailers that do not end the stream", [][]byte{post, raw(frameHeaders, open, 1, "\x00\x01a\x01b")}, stream(codeProtocol)},
		{"trailers with a pseudo-field", [][]byte{post, raw(frameHeaders, open|flagEndStream, 1, "\x82")}, stream(codeProtocol)},
		{"RST_STREAM", [][]byte{post, raw(frameRSTStream, 0, 1, uint32s(8))}, fine},
		{"RST_STREAM on no stream", [][]byte{raw(frameRSTStream, 0, 0, uint32s(8))}, conn(codeProtocol)},
		{"RST_STREAM on a stream that is not open", [][]byte{raw(frameRSTStream, 0, 1, uint32s(8))}, conn(codeProtocol)},
		{"RST_STREAM of another length", [][]byte{post, raw(frameRSTStream, 0, 1, "abc")}, conn(codeFrameSize)},
		{"SETTINGS", [][]byte{raw(frameSettings, 0, 0, setting(settingInitialWindow, 1)+setting(0xf0f0, 7))}, fine},
		{"SETTINGS on a stream", [][]byte{raw(frameSettings, 0, 1, "")}, conn(codeProtocol)},
		{"SETTINGS of another length", [][]byte{raw(frameSettings, 0, 0, "abc")}, conn(codeFrameSize)},
		{"an acknowledgement with a payload", [][]byte{raw(frameSettings, flagAck, 0, "abcdef")}, conn(codeFrameSize)},
		{"SETTINGS_ENABLE_PUSH", [][]byte{raw(frameSettings, 0, 0, setting(settingEnablePush, 2))}, conn(codeProtocol)},
		{"SETTINGS_INITIAL_WINDOW_SIZE", [][]byte{raw(frameSettings, 0, 0, setting(settingInitialWindow, 1<<31))}, conn(codeFlowControl)},
		{"SETTINGS_INITIAL_WINDOW_SIZE that makes one overflow", [][]byte{raw(frameHeaders, open, 1, "\x83\x87\x44\x05/wait\x41\x01h"), raw(frameWindowUpdate, 0, 1, uint32s(maxWindow-initialWindow)), raw(frameSettings, 0, 0, setting(settingInitialWindow, initialWindow+1))}, conn(codeFlowControl)},
		{"SETTINGS_MAX_FRAME_SIZE too small", [][]byte{raw(frameSettings, 0, 0, setting(settingMaxFrameSize, 16383))}, conn(codeProtocol)},
		{"SETTINGS_MAX_FRAME_SIZE too large", [][]byte{raw(frameSettings, 0, 0, setting(settingMaxFrameSize, 1<<24))}, conn(codeProtocol)},
		{"SETTINGS_MAX_FRAME_SIZE", [][]byte{raw(frameSettings, 0, 0, setting(settingMaxFrameSize, 1<<24-1))}, fine},
		{"PUSH_PROMISE", [][]byte{raw(framePushPromise, 0, 1, uint32s(2))}, conn(codeProtocol)},
		{"PING on a stream", [][]byte{raw(framePing, 0, 1, "12345678")}, conn(codeProtocol)},
		{"PING of another length", [][]byte{raw(framePing, 0, 0, "1234567")}, conn(codeFrameSize)},
		{"GOAWAY", [][]byte{raw(frameGoAway, 0, 0, uint32s(0, 0))}, fine},
		{"GOAWAY on a stream", [][]byte{raw(frameGoAway, 0, 1, uint32s(0, 0))}, conn(codeProtocol)},
		{"GOAWAY that is too short", [][]byte{raw(frameGoAway, 0, 0, uint32s(0))}, conn(codeFrameSize)},
		{"WINDOW_UPDATE by nothing", [][]byte{raw(frameWindowUpdate, 0, 0, uint32s(0))}, conn(codeProtocol)},
		{"WINDOW_UPDATE by nothing, of a stream", [][]byte{raw(frameHeaders, open, 1, "\x83\x87\x44\x05/wait\x41\x01h"), raw(frameWindowUpdate, 0, 1, uint32s(0))}, stream(codeProtocol)},
		{"WINDOW_UPDATE that is too much", [][]byte{raw(frameWindowUpdate, 0, 0, uint32s(maxWindow))}, conn(codeFlowControl)},
		{"WINDOW_UPDATE that is the most", [][]byte{raw(frameWindowUpdate, 0, 0, uint32s(maxWindow-initialWindow))}, fine},
		{"WINDOW_UPDATE that is too much for a stream", [][]byte{raw(frameHeaders, open, 1, "\x83\x87\x44\x05/wait\x41\x01h"), raw(frameWindowUpdate, 0, 1, uint32s(maxWindow))}, stream(codeFlowControl)},
		{"WINDOW_UPDATE of a stream that is not open", [][]byte{raw(frameWindowUpdate, 0, 1, uint32s(1))}, conn(codeProtocol)},
		{"WINDOW_UPDATE of another length", [][]byte{raw(frameWindowUpdate, 0, 0, "abc")}, conn(codeFrameSize)},
		{"a frame that is too long", [][]byte{appendFrameHead(nil, maxFrameReceived+1, frameData, 0, 1)}, conn(codeFrameSize)},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			leave := make(chan struct{})
			p := connect(t, Options{Handler: func(st *Stream) {
				if st.Path == "/wait" {
					<-leave
				}
				answerOK(st)
			}})
			defer close(leave)
			p.begin()
			for _, b := range row.sent {
				p.send(b)
			}
			switch {
			case row.want.conn >= 0:
				if code := p.goAway(); code != row.want.conn { // a handler may wait still
					t.Errorf("GOAWAY %d, want %d", code, row.want.conn)
				}
			case row.want.stream >= 0:
				if code := p.resetCode(1); int(code) != row.want.stream {
					t.Errorf("RST_STREAM %d, want %d", code, row.want.stream)
				}
				p.ping()
			default:
				p.ping()
				for _, f := range p.frames {
					if f.kind == frameGoAway || f.kind == frameRSTStream && strings.Trim(string(f.payload), "\x00") != "" {
						t.Errorf("got %s", describe(p.frames))
					}
				}
			}
		})
	}
}

// What does not begin as HTTP/2 is not answered as such.
func TestPreface(t *testing.T) {
	for name, sent := range map[string]string{
		"HTTP/1.1":                 "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
		"another last byte":        clientPreface[:23] + "x",
		"no SETTINGS":              clientPreface + string(raw(framePing, 0, 0, "12345678")),
		"an acknowledgement first": clientPreface + string(raw(frameSettings, flagAck, 0, "")),
	} {
		t.Run(name, func(t *testing.T) {
			p := connect(t, Options{})
			p.send([]byte(sent))
			if code := p.gone(); code != int(codeProtocol) {
				t.Errorf("GOAWAY %d", code)
			}
		})
	}
	t.Run("byte by byte", func(t *testing.T) {
		p := connect(t, Options{})
		for _, c := range []byte(clientPreface + string(raw(frameSettings, 0, 0, "")) + string(raw(frameHeaders, flagEndHeaders|flagEndStream, 1, getBlock))) {
			p.send([]byte{c})
		}
		if _, body := p.ended(1); body != "ok" {
			t.Errorf("body %q", body)
		}
	})
}
