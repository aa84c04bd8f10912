package http2

import (
	"encoding/binary"
	"strings"
	"testing"
)

// Frames that ask for nothing have an end, and those of an honest client do not come
// near it. The clock fills the purse only when it is empty: within a test, hardly.
func TestFloods(t *testing.T) {
	pings := raw(framePing, 0, 0, "12345678")
	open := func(i int) []byte {
		return raw(frameHeaders, flagEndHeaders, uint32(2*i+1), "\x83\x87\x84\x41\x01h")
	}
	for _, row := range []struct {
		name   string
		first  []byte
		frame  func(i int) []byte
		within int // frames that are no flood
		beyond int
		pace   int // wait for the server after so many, 0: never
	}{
		{"PING", nil, func(int) []byte { return pings }, purseFull / 2, 2 * purseFull, 0},
		{"SETTINGS", nil, func(int) []byte { return raw(frameSettings, 0, 0, "") }, purseFull / 2, 2 * purseFull, 0},
		{"SETTINGS that are long", nil, func(int) []byte {
			return raw(frameSettings, 0, 0, strings.Repeat(setting(settingInitialWindow, 7), 2700))
		}, 5, 40, 0},
		{"acknowledgements", nil, func(int) []byte { return raw(frameSettings, flagAck, 0, "") }, purseFull / 2, 2 * purseFull, 0},
		{"PRIORITY", nil, func(int) []byte { return raw(framePriority, 0, 1, uint32s(0)+"x") }, purseFull / 2, 2 * purseFull, 0},
		{"unknown frames", nil, func(int) []byte { return raw(77, 0, 1, "") }, purseFull / 2, 2 * purseFull, 0},
		{"empty DATA", open(0), func(int) []byte { return raw(frameData, 0, 1, "") }, purseFull / 2, 2 * purseFull, 0},
		{"rapid reset", nil, func(i int) []byte {
			return append(open(i), raw(frameRSTStream, 0, uint32(2*i+1), uint32s(8))...)
		}, 200, purseFull, 0},
		{"rapid reset, as fast as handlers end", nil, func(i int) []byte {
			return append(open(i), raw(frameRSTStream, 0, uint32(2*i+1), uint32s(8))...)
		}, 200, purseFull, 40}, // below the bound of handlers
		{"resets that the client provokes", nil, func(i int) []byte {
			return append(open(i), raw(frameWindowUpdate, 0, uint32(2*i+1), uint32s(0))...)
		}, 200, purseFull, 0},
		{"heads that are malformed", nil, func(i int) []byte {
			return raw(frameHeaders, flagEndHeaders|flagEndStream, uint32(2*i+1), "\x82\x82")
		}, 200, purseFull, 0},
		{"empty CONTINUATION", raw(frameHeaders, flagEndStream, 1, getBlock), func(int) []byte { return raw(frameContinuation, 0, 1, "") }, 0, 2 * purseFull, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			flood := func(t *testing.T, n int) *peer {
				p := connect(t, Options{Handler: func(st *Stream) {
					_, _ = st.Read(make([]byte, 1))
					answerOK(st)
				}})
				p.begin()
				b := row.first
				for i := range n {
					if row.pace > 0 && i%row.pace == 0 {
						p.send(b)
						b = nil
						p.tryPing()
					}
					if b = append(b, row.frame(i)...); len(b) > 32<<10 {
						p.send(b)
						b = nil
					}
				}
				p.send(b)
				return p
			}
			if row.within > 0 {
				flood(t, row.within).ping()
			}
			if code := flood(t, row.beyond).gone(); code != int(codeEnhanceYourCalm) {
				t.Errorf("GOAWAY %d", code)
			}
		})
	}
}

// A flood whose answers nobody reads does not fill the memory.
func TestUnreadAnswers(t *testing.T) {
	p := connect(t, Options{})
	p.stop(true)
	p.begin()
	ping := raw(framePing, 0, 0, "12345678")
	for range 2 * purseFull {
		p.send(ping)
	}
	p.stop(false)
	if code := p.gone(); code != int(codeEnhanceYourCalm) {
		t.Errorf("GOAWAY %d", code)
	}
}

// As many requests as were promised are answered at once, the next one is refused. A stream
// that the client has reset counts as long as its handler runs, up to twice as many.
func TestMaxStreams(t *testing.T) {
	const limit = 3
	leave := make(chan struct{})
	p := connect(t, Options{MaxStreams: limit, Handler: func(st *Stream) {
		st.Detach()
		<-leave
		answerOK(st)
	}})
	p.begin()
	p.await("settings", func(frames []frame) bool { return len(frames) > 0 })
	if got := binary.BigEndian.Uint32(p.frames[0].payload[2:]); got != limit {
		t.Errorf("SETTINGS_MAX_CONCURRENT_STREAMS %d", got)
	}
	for i := range uint32(limit) {
		p.get(2*i+1, "/")
	}
	p.get(7, "/")
	if code := p.resetCode(7); code != codeRefused {
		t.Errorf("RST_STREAM %d", code)
	}
	for i := range uint32(limit) {
		p.sendFrame(frameRSTStream, 0, 2*i+1, []byte(uint32s(8)))
	}
	for i := range uint32(limit) {
		p.get(2*i+11, "/")
		p.sendFrame(frameRSTStream, 0, 2*i+11, []byte(uint32s(8)))
	}
	p.get(21, "/") // none is open, but six handlers run
	if code := p.resetCode(21); code != codeRefused {
		t.Errorf("RST_STREAM %d", code)
	}
	close(leave)
	for stream := uint32(31); ; stream += 2 { // until they have returned
		p.get(stream, "/")
		p.ping()
		var answered bool
		p.await("an answer", func(frames []frame) bool {
			for _, f := range frames {
				if f.stream == stream {
					answered = f.kind != frameRSTStream
					return true
				}
			}
			return false
		})
		if answered {
			break
		}
	}
}
