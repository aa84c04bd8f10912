package http2

import (
	"bytes"
	"encoding/binary"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Frames that ask for nothing have an end, and those of an honest client do not come
// near it. The clock fills the purse, too: in a bubble it stands still meanwhile.
func TestFloods(t *testing.T) {
	pings := raw(framePing, 0, 0, "12345678")
	// What costs change alone begins with a purse that is nearly empty.
	const left = 200
	nearly := bytes.Repeat(pings, purseFull-left)
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
		{"tiny DATA", append(open(0), nearly...), func(int) []byte { return raw(frameData, 0, 1, "123") }, left * change / 2, 2 * left * change, 0},
		{"tiny DATA with padding", append(open(0), nearly...), func(int) []byte { return raw(frameData, flagPadded, 1, "\x05123.....") }, left * change / 2, 2 * left * change, 0},
		{"WINDOW_UPDATE", nearly, func(int) []byte { return raw(frameWindowUpdate, 0, 0, uint32s(1)) }, left * change / priceWindow / 2, 2 * left * change / priceWindow, 0},
		{"WINDOW_UPDATE of a stream", append(open(0), nearly...), func(int) []byte { return raw(frameWindowUpdate, 0, 1, uint32s(1)) }, left * change / priceWindow / 2, 2 * left * change / priceWindow, 0},
		{"heads of a stream that is over", raw(frameHeaders, flagEndHeaders, 1, "\x82\x82"), func(int) []byte {
			return raw(frameHeaders, flagEndHeaders|flagEndStream, 1, getBlock)
		}, purseFull / 2, 2 * purseFull, 0},
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
		flood := func(t *testing.T, n int) *peer {
			p := connectTimed(t, Options{Handler: func(st *Stream) {
				_, _ = io.Copy(io.Discard, struct{ io.Reader }{st})
				answerOK(st)
			}})
			p.begin()
			b := slices.Clip(row.first)
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
		t.Run(row.name, func(t *testing.T) {
			if row.within > 0 {
				synctest.Test(t, func(t *testing.T) {
					defer time.Sleep(time.Second) // the watch ends
					p := flood(t, row.within)
					p.ping()
					_ = p.nc.Close()
				})
			}
			synctest.Test(t, func(t *testing.T) {
				defer time.Sleep(time.Second)
				if code := flood(t, row.beyond).gone(); code != int(codeEnhanceYourCalm) {
					t.Errorf("GOAWAY %d", code)
				}
			})
		})
	}
}

// A client that answers every frame of DATA with two updates is none that floods, however
// much it gets; one that has the server send byte by byte is.
func TestWindowsOfDownloads(t *testing.T) {
	const left, size = 200, 300
	const frames = left * change / gainData * 2 // twice as many as could be paid otherwise
	for _, row := range []struct {
		name string
		more uint32 // that each frame brings
		code int
	}{{"each frame is answered", size, -1}, {"one byte at a time", 1, int(codeEnhanceYourCalm)}} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				defer time.Sleep(time.Second) // the watch ends
				p := connectTimed(t, Options{Handler: func(st *Stream) {
					_ = st.WriteHead(200, nil, false)
					block := make([]byte, size)
					for range frames {
						if _, err := st.Write(block); err != nil {
							return
						}
						_ = st.Flush()
					}
					_ = st.End()
				}})
				p.begin(settingInitialWindow, row.more)
				p.send(bytes.Repeat(raw(framePing, 0, 0, "12345678"), purseFull-left))
				p.get(1, "/")
				for done := false; !done; {
					var n int
					p.await("DATA", func(all []frame) bool {
						n = 0
						kept := all[:0]
						for _, f := range all {
							if f.kind == frameData && f.stream == 1 {
								n++
								done = done || f.has(flagEndStream)
								continue
							}
							kept = append(kept, f)
						}
						p.frames = kept
						return n > 0 || p.closed
					})
					p.mu.Lock()
					done = done || p.closed
					p.mu.Unlock()
					var b []byte
					for range n {
						b = append(append(b, raw(frameWindowUpdate, 0, 1, uint32s(row.more))...), raw(frameWindowUpdate, 0, 0, uint32s(row.more))...)
					}
					p.send(b)
				}
				if row.code < 0 {
					p.ping()
					_ = p.nc.Close()
					return
				}
				if code := p.gone(); code != row.code {
					t.Errorf("GOAWAY %d, want %d", code, row.code)
				}
			})
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
