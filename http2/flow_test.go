package http2

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// sendBody answers with n bytes, and tells how that went.
func sendBody(n int, silence time.Duration, result chan<- error) func(*Stream) {
	return func(st *Stream) {
		st.SetSilence(silence)
		_ = st.WriteHead(200, nil, false)
		_, err := st.Write([]byte(strings.Repeat("x", n)))
		if err == nil {
			err = st.End()
		}
		result <- err
	}
}

// received returns how many bytes of bodies have come, of one stream or of all (0).
func (p *peer) received(stream uint32) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range p.frames {
		if f.kind == frameData && (stream == 0 || f.stream == stream) {
			n += len(f.payload)
		}
	}
	return n
}

// awaitBytes waits until that many have come, and no more.
func (p *peer) awaitBytes(stream uint32, want int) {
	p.t.Helper()
	p.await("bytes", func([]frame) bool {
		p.mu.Unlock()
		n := p.received(stream)
		p.mu.Lock()
		return n >= want
	})
	p.ping()
	if n := p.received(stream); n != want {
		p.t.Fatalf("%d bytes came, want %d", n, want)
	}
}

// No byte goes beyond a window, and each update is used, of the stream and of the
// connection, whichever is the smaller (RFC 9113 section 6.9).
func TestWindows(t *testing.T) {
	result := make(chan error, 1)
	p := connect(t, Options{Handler: sendBody(100_000, patience, result)})
	p.begin(settingInitialWindow, 10)
	p.get(1, "/")
	p.awaitBytes(1, 10)
	p.send(raw(frameWindowUpdate, 0, 1, uint32s(1)))
	p.awaitBytes(1, 11)
	p.send(raw(frameSettings, 0, 0, setting(settingInitialWindow, 5))) // -5 now
	p.send(raw(frameWindowUpdate, 0, 1, uint32s(5)))
	p.ping()
	p.send(raw(frameWindowUpdate, 0, 1, uint32s(7)))
	p.awaitBytes(1, 18)
	p.send(raw(frameWindowUpdate, 0, 1, uint32s(200_000)))
	p.awaitBytes(1, initialWindow) // that of the connection
	p.send(raw(frameWindowUpdate, 0, 0, uint32s(100_000)))
	if _, body := p.ended(1); len(body) != 100_000 {
		t.Errorf("%d bytes", len(body))
	}
	if err := <-result; err != nil {
		t.Error(err)
	}
}

// Frames are as long as the client takes them, and no longer.
func TestFrameSizes(t *testing.T) {
	for size, most := range map[uint32]int{maxFrameReceived: maxFrameReceived, 40_000: 40_000, 1<<24 - 1: largeOutput} {
		result := make(chan error, 1)
		p := connect(t, Options{Handler: sendBody(300_000, patience, result)})
		p.begin(settingInitialWindow, maxWindow, settingMaxFrameSize, size)
		p.send(raw(frameWindowUpdate, 0, 0, uint32s(1<<30)))
		p.get(1, "/")
		p.ended(1)
		longest := 0
		for _, f := range p.frames {
			longest = max(longest, len(f.payload))
		}
		if longest > most || longest < most*3/4 {
			t.Errorf("SETTINGS_MAX_FRAME_SIZE %d: the longest frame has %d bytes", size, longest)
		}
	}
}

// Who opens no window, or opens it by a byte at a time, is given up after the silence;
// who takes a piece in time is not. Others on the connection go on.
func TestSilence(t *testing.T) {
	for _, row := range []struct {
		name   string
		drips  bool
		detach bool // it waits on a goroutine of its own
	}{
		{"no window", false, false}, {"a byte at a time", true, false},
		{"no window, and another goroutine reads", false, true}, {"a byte at a time, and another goroutine reads", true, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			result := make(chan error, 1)
			slow := sendBody(100_000, 300*time.Millisecond, result)
			p := connect(t, Options{Handler: func(st *Stream) {
				if st.Path == "/slow" {
					if row.detach {
						st.Detach()
					}
					slow(st)
					return
				}
				answerOK(st)
			}})
			p.begin(settingInitialWindow, 2)
			p.get(1, "/slow")
			p.get(3, "/")
			if _, body := p.ended(3); body != "ok" {
				t.Errorf("body %q", body)
			}
			for {
				if row.drips {
					p.send(raw(frameWindowUpdate, 0, 1, uint32s(1)))
				}
				select {
				case err := <-result:
					if !errors.Is(err, os.ErrDeadlineExceeded) {
						t.Errorf("error %v", err)
					}
				case <-time.After(20 * time.Millisecond): // between two drops
					continue
				}
				break
			}
			if code := p.resetCode(1); code != codeInternal {
				t.Errorf("RST_STREAM %d", code)
			}
			p.ping()
		})
	}
}

// awaitQueue waits until n streams wait for the window of the connection, and all that was
// said before has come.
func (p *peer) awaitQueue(n int) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Microsecond) {
		for _, c := range p.server.every() {
			c.mu.Lock()
			waiting, sent := len(c.waiting), len(c.out) == 0 && !c.writing
			c.mu.Unlock()
			if waiting == n && sent {
				return
			}
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("no %d streams wait", n)
		}
	}
}

// A window of the connection is shared: each of several responses gets its part.
func TestShares(t *testing.T) {
	const streams = 4
	result := make(chan error, streams)
	p := connect(t, Options{Handler: sendBody(1<<20, patience, result)})
	p.begin(settingInitialWindow, maxWindow)
	for i := range streams {
		p.get(uint32(2*i+1), "/")
	}
	p.awaitQueue(streams)
	p.ping()
	if n := p.received(0); n != initialWindow {
		t.Errorf("%d bytes came, the window is %d", n, initialWindow)
	}
	before := [streams]int{}
	for i := range before {
		before[i] = p.received(uint32(2*i + 1))
	}
	const rounds, more = 50, 32 << 10
	for range rounds {
		p.send(raw(frameWindowUpdate, 0, 0, uint32s(more)))
		p.ping()
		p.awaitQueue(streams) // all have used their part
	}
	p.ping()
	for i := range before {
		if got := p.received(uint32(2*i+1)) - before[i]; got != rounds*more/streams {
			t.Errorf("stream %d got %d bytes of %d", 2*i+1, got, rounds*more)
		}
	}
	p.send(raw(frameWindowUpdate, 0, 0, uint32s(1<<30)))
	for range streams {
		if err := <-result; err != nil {
			t.Error(err)
		}
	}
}

// A client that does not read is not buffered for without end, and one that then reads
// gets all of it, though several responses waited for each other.
func TestStoppedClient(t *testing.T) {
	const streams, size = 5, 4 << 20
	var written atomic.Int64
	result := make(chan error, streams)
	p := connect(t, Options{Handler: func(st *Stream) {
		_ = st.WriteHead(200, nil, false)
		block := make([]byte, 64<<10)
		for range size / len(block) {
			n, err := st.Write(block)
			written.Add(int64(n))
			if err != nil {
				result <- err
				return
			}
		}
		result <- st.End()
	}})
	p.stop(true)
	p.begin(settingInitialWindow, maxWindow)
	p.send(raw(frameWindowUpdate, 0, 0, uint32s(1<<30)))
	for i := range streams {
		p.get(uint32(2*i+1), "/")
	}
	deadline := time.Now().Add(patience)
	for last := int64(-1); written.Load() != last || last == 0; time.Sleep(100 * time.Millisecond) {
		last = written.Load()
		if time.Now().After(deadline) {
			t.Fatal("it never stops writing")
		}
	}
	if n := written.Load(); n == streams*size {
		t.Skip("the kernel has taken everything")
	}
	p.stop(false)
	for range streams {
		if err := <-result; err != nil {
			t.Error(err)
		}
	}
	for i := range streams {
		if _, body := p.ended(uint32(2*i + 1)); len(body) != size {
			t.Errorf("stream %d: %d bytes", 2*i+1, len(body))
		}
	}
}

// A body comes as it is read: not more than the window is taken without that, and what is
// read opens it again, that of the connection even if nobody reads.
func TestBodies(t *testing.T) {
	type read struct {
		n   int
		err error
	}
	begin, result := make(chan struct{}), make(chan read, 1)
	p := connect(t, Options{Handler: func(st *Stream) {
		if st.Path == "/drop" {
			answerOK(st)
			return
		}
		<-begin
		n, err := io.Copy(io.Discard, struct{ io.Reader }{st})
		result <- read{int(n), err}
		answerOK(st)
	}})
	p.begin()
	p.post(1, "/")
	block := make([]byte, maxFrameReceived)
	for range streamWindow / len(block) {
		p.sendFrame(frameData, 0, 1, block)
	}
	p.ping()
	p.mu.Lock()
	for _, f := range p.frames {
		if f.kind == frameWindowUpdate && f.stream == 1 {
			t.Error("the window opens although nobody reads")
		}
	}
	p.mu.Unlock()
	close(begin)
	p.find(frameWindowUpdate, 1)
	p.sendFrame(frameData, flagEndStream, 1, block)
	if got := <-result; got != (read{streamWindow + len(block), nil}) {
		t.Errorf("read %+v", got)
	}
	p.ended(1)
	// What nobody reads does not keep the connection's window: 8 times as much as it has.
	sent := streamWindow + len(block)
	for stream := uint32(3); sent < 8*connWindow; stream += 2 {
		p.post(stream, "/drop")
		for range 16 {
			p.await("window of the connection", func(frames []frame) bool {
				window := connWindow - sent
				for _, f := range frames[1:] {
					if f.kind == frameWindowUpdate && f.stream == 0 {
						window += int(f.payload[0])<<24 | int(f.payload[1])<<16 | int(f.payload[2])<<8 | int(f.payload[3])
					}
				}
				return window-(connWindow-initialWindow) >= len(block)
			})
			p.sendFrame(frameData, 0, stream, block)
			sent += len(block)
		}
		if code := p.resetCode(stream); code != codeNone {
			t.Errorf("RST_STREAM %d behind a response that came before the body", code)
		}
	}
	p.ping()
}

// Bodies that nobody reads may take most of the connection's window. What is read of another
// one opens it again, however little that is: else that one would wait for those.
func TestBodyBesideUnreadOnes(t *testing.T) {
	const unread = 448 << 10 // twice: 128 KiB are left for the third
	leave := make(chan struct{})
	defer close(leave)
	p := connect(t, Options{Handler: func(st *Stream) {
		if st.Path == "/unread" {
			<-leave
		}
		_, _ = io.Copy(io.Discard, struct{ io.Reader }{st})
		answerOK(st)
	}})
	p.begin()
	block := make([]byte, maxFrameReceived)
	send := func(stream uint32, n int) {
		for range n / len(block) {
			p.sendFrame(frameData, 0, stream, block)
		}
	}
	p.post(1, "/unread")
	p.post(3, "/unread")
	send(1, unread)
	send(3, unread)
	p.post(5, "/")
	send(5, connWindow-2*unread)
	p.await("window of the connection", func(frames []frame) bool {
		window := 0
		for _, f := range frames {
			if f.kind == frameWindowUpdate && f.stream == 0 {
				window += int(binary.BigEndian.Uint32(f.payload))
			}
		}
		return window-(connWindow-initialWindow) >= len(block)
	})
	p.sendFrame(frameData, flagEndStream, 5, block)
	p.ended(5)
}

// More than a window allows is an error: of the stream, or of the connection.
func TestWindowsOverrun(t *testing.T) {
	leave := make(chan struct{})
	defer close(leave)
	p := connect(t, Options{Handler: func(st *Stream) { <-leave; answerOK(st) }})
	p.begin()
	block := make([]byte, maxFrameReceived)
	for stream := uint32(1); stream <= 3; stream += 2 {
		p.post(stream, "/")
	}
	for range streamWindow / len(block) {
		p.sendFrame(frameData, 0, 1, block)
	}
	p.ping()
	p.sendFrame(frameData, 0, 1, []byte("x"))
	if code := p.resetCode(1); code != codeFlowControl {
		t.Errorf("RST_STREAM %d", code)
	}
	// What stream 1 had is free again; the next ones take the connection's window.
	for stream := uint32(5); stream < 11; stream += 2 {
		p.post(stream, "/")
		for range streamWindow / len(block) {
			p.sendFrame(frameData, 0, stream, block)
		}
	}
	if code := p.goAway(); code != int(codeFlowControl) {
		t.Errorf("GOAWAY %d", code)
	}
}

// A body that stops coming ends a Read at its deadline, one that is reset at once.
func TestReadEnds(t *testing.T) {
	result := make(chan error, 1)
	p := connect(t, Options{Handler: func(st *Stream) {
		if st.Path == "/deadline" {
			st.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		}
		b := make([]byte, 10)
		_, err := st.Read(b)
		for err == nil {
			_, err = st.Read(b)
		}
		if st.Path == "/later" { // the deadline is set while Read waits
			time.AfterFunc(10*time.Millisecond, func() { st.SetReadDeadline(time.Unix(1, 0)) })
			_, err = st.Read(b)
		}
		result <- err
		answerOK(st)
	}})
	p.begin()
	p.post(1, "/deadline")
	p.sendFrame(frameData, 0, 1, []byte("abc"))
	if err := <-result; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("deadline: %v", err)
	}
	p.post(3, "/reset")
	p.sendFrame(frameData, 0, 3, []byte("abc"))
	p.sendFrame(frameRSTStream, 0, 3, []byte(uint32s(8)))
	if err := <-result; !errors.Is(err, ErrReset) {
		t.Errorf("reset: %v", err)
	}
	p.post(5, "/gone")
	p.ping()
	_ = p.nc.Close()
	if err := <-result; !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

// "100 Continue" is said to who waits for it, when the body is wanted, and not otherwise.
func TestContinue(t *testing.T) {
	p := connect(t, Options{Handler: func(st *Stream) {
		if st.Path == "/read" {
			b, _ := io.ReadAll(struct{ io.Reader }{st})
			_ = st.WriteHead(200, nil, false)
			_, _ = st.Write(b)
			_ = st.End()
			return
		}
		answerOK(st)
	}})
	p.begin()
	p.post(1, "/read", "expect", "100-continue")
	if f := p.find(frameHeaders, 1); f.has(flagEndStream) {
		t.Error("100 Continue ends the stream")
	}
	p.sendFrame(frameData, flagEndStream, 1, []byte("body"))
	if head, body := p.ended(1); head != ":status: 100\n:status: 200\n" || body != "body" {
		t.Errorf("head %q, body %q", head, body)
	}
	p.post(3, "/", "expect", "100-continue")
	if head, _ := p.ended(3); strings.Contains(head, "100") {
		t.Errorf("head %q", head)
	}
}
