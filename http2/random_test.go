package http2

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"
)

// randomClient is an honest client that does whatever comes to its mind: it opens windows in
// drops and floods, changes its settings while responses are under way, uploads in pieces,
// gives up on requests, and does not read for a while. It holds the server to its windows.
type randomClient struct {
	t      *testing.T
	nc     net.Conn
	random *rand.Rand
	peer   *peer // for its encoder alone
	out    []byte

	mu       sync.Mutex // guards what follows
	changed  sync.Cond
	paused   bool
	streams  map[uint32]*randomStream
	window   int64 // of the connection, that the server has at most
	initial  int64
	unacked  int
	upload   int64 // window of the connection, that the client has
	answered int
	over     error
}

type randomStream struct {
	id        uint32
	want, got int
	window    int64 // that the server has at most
	shrinks   int64 // what it loses of that when it acknowledges settings
	upload    int64 // window of the client
	left      int   // of the body that is to be sent, -1 when all was
	given     bool
}

// sizes of bodies and windows.
var (
	randomSizes   = []int{0, 1, 100, 5000, 70_000, 300_000}
	randomWindows = []int64{0, 1, 1000, initialWindow, 1 << 20}
)

// TestRandomClient: every request of such a client is answered, to the byte, and no window
// is overrun.
func TestRandomClient(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			client, accepted := tcpPair(t)
			c := &randomClient{t: t, nc: client, random: rand.New(rand.NewPCG(seed, 1)), streams: map[uint32]*randomStream{},
				window: initialWindow, initial: initialWindow, upload: initialWindow}
			c.changed.L = &c.mu
			c.peer = &peer{}
			served := make(chan struct{})
			server := NewServer(Options{Handler: randomAnswer})
			go func() {
				defer close(served)
				server.Serve(accepted, nil)
			}()
			go c.read()
			c.run()
			_ = client.Close()
			select {
			case <-served:
			case <-time.After(patience):
				t.Fatalf("Serve has not returned:\n%s", stacks())
			}
		})
	}
}

// randomAnswer answers GET /n with n bytes, and POST with the body. Sizes of parts, and whether
// it says that it waits, follow from n.
func randomAnswer(st *Stream) {
	if st.HasBody {
		b, err := io.ReadAll(struct{ io.Reader }{st})
		if err != nil || st.WriteHead(200, nil, false) != nil {
			return
		}
		if _, err := st.Write(b); err == nil {
			_ = st.End()
		}
		return
	}
	n, _ := strconv.Atoi(st.Path[1:])
	if n%3 == 1 {
		st.Detach()
	}
	_ = st.WriteHead(200, nil, n == 0)
	for part := make([]byte, 1+n%40_000); n > 0; n -= len(part) {
		part = part[:min(n, len(part))]
		if _, err := st.Write(part); err != nil {
			return
		}
		if n%5 == 0 {
			_ = st.Flush()
		}
	}
	_ = st.End()
}

func (c *randomClient) frame(kind frameType, flags uint8, stream uint32, payload string) {
	c.out = append(c.out, raw(kind, flags, stream, payload)...)
}

// run does random things, and then what is needed for everything to end.
func (c *randomClient) run() {
	c.out = append(c.out, clientPreface...)
	c.frame(frameSettings, 0, 0, "")
	c.unacked++
	next := uint32(1)
	for range 3000 {
		c.mu.Lock()
		c.act(&next)
		c.mu.Unlock()
		if c.random.IntN(4) == 0 {
			c.send()
		}
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		c.mu.Lock()
		c.paused = false
		c.changed.Broadcast()
		done := c.over != nil
		if !done && len(c.streams) > 0 {
			for _, st := range c.streams {
				c.push(st, 1<<20)
				if !st.given {
					st.given = true
					st.window += 1 << 22
					c.frame(frameWindowUpdate, 0, st.id, uint32s(1<<22))
				}
			}
			if c.window < 1<<22 {
				c.window += 1 << 22
				c.frame(frameWindowUpdate, 0, 0, uint32s(1<<22))
			}
		}
		done = done || len(c.streams) == 0
		c.mu.Unlock()
		c.send()
		if done {
			break
		}
		if time.Now().After(deadline) {
			c.mu.Lock()
			c.t.Errorf("%d streams have no end, %d have; the connection's window is %d", len(c.streams), c.answered, c.window)
			for _, st := range c.streams {
				c.t.Errorf("%+v", *st)
			}
			c.mu.Unlock()
			c.t.Logf("%s", stacks())
			break
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over != nil {
		c.t.Errorf("after %d answers: %v", c.answered, c.over)
	}
}

func (c *randomClient) send() {
	_ = c.nc.SetWriteDeadline(time.Now().Add(patience))
	if _, err := c.nc.Write(c.out); err != nil {
		c.t.Errorf("the server takes nothing: %v", err)
	}
	c.out = c.out[:0]
}

// act does one thing. c.mu must be held.
func (c *randomClient) act(next *uint32) {
	var st *randomStream
	for _, st = range c.streams {
		break
	}
	switch n := c.random.IntN(100); {
	case n < 25 && len(c.streams) < 40:
		st := &randomStream{id: *next, window: c.initial, upload: streamWindow, want: randomSizes[c.random.IntN(len(randomSizes))], left: -1}
		*next += 2
		c.streams[st.id] = st
		if c.random.IntN(4) > 0 {
			c.frame(frameHeaders, flagEndHeaders|flagEndStream, st.id, "\x82\x87\x41\x01h\x04"+string(rune(len(fmt.Sprint(st.want))+1))+"/"+fmt.Sprint(st.want))
			break
		}
		st.left = st.want
		c.frame(frameHeaders, flagEndHeaders, st.id, "\x83\x87\x84\x41\x01h")
	case n < 45:
		more := int64(1 + c.random.IntN(50_000))
		if c.window < 1<<20 {
			c.window += more
			c.frame(frameWindowUpdate, 0, 0, uint32s(uint32(more)))
		}
	case n < 47 && c.unacked == 0:
		value := randomWindows[c.random.IntN(len(randomWindows))]
		for _, st := range c.streams {
			if value < c.initial {
				st.shrinks = c.initial - value
			} else {
				st.window += value - c.initial
			}
		}
		c.initial = value
		c.unacked++
		c.frame(frameSettings, 0, 0, setting(settingInitialWindow, uint32(value)))
	case n < 48:
		c.frame(framePing, 0, 0, "12345678")
	case n < 50:
		c.paused = !c.paused
		c.changed.Broadcast()
	case st == nil:
	case n < 75:
		more := int64(1 + c.random.IntN(30_000))
		st.window += more
		c.frame(frameWindowUpdate, 0, st.id, uint32s(uint32(more)))
	case n < 77:
		c.frame(frameRSTStream, 0, st.id, uint32s(8))
		delete(c.streams, st.id)
	default:
		c.push(st, c.random.IntN(20_000))
	}
}

// push sends up to n bytes of a body, as far as windows allow. c.mu must be held.
func (c *randomClient) push(st *randomStream, n int) {
	for st.left >= 0 {
		part := int(min(int64(min(n, st.left, maxFrameReceived)), st.upload, c.upload))
		if part == 0 && st.left > 0 {
			return
		}
		st.left -= part
		n -= part
		st.upload -= int64(part)
		c.upload -= int64(part)
		flags := uint8(0)
		if st.left == 0 {
			flags, st.left = flagEndStream, -1
		}
		c.frame(frameData, flags, st.id, string(make([]byte, part)))
	}
}

// read takes what the server sends, and holds it to its windows.
func (c *randomClient) read() {
	head := make([]byte, frameHeadLen)
	var err error
	for err == nil {
		c.mu.Lock()
		for c.paused {
			c.changed.Wait()
		}
		c.mu.Unlock()
		if _, err = io.ReadFull(c.nc, head); err != nil {
			break
		}
		payload := make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
		if _, err = io.ReadFull(c.nc, payload); err == nil {
			err = c.take(frameType(head[3]), head[4], binary.BigEndian.Uint32(head[5:]), payload)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = err
}

func (c *randomClient) take(kind frameType, flags uint8, stream uint32, payload []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	st := c.streams[stream]
	switch kind {
	case frameData:
		if c.window -= int64(len(payload)); c.window < 0 {
			return fmt.Errorf("the connection's window is overrun by %d", -c.window)
		}
		if st == nil {
			return nil // it was reset
		}
		st.got += len(payload)
		if st.window -= int64(len(payload)); st.window < 0 && len(payload) > 0 {
			return fmt.Errorf("the window of stream %d is overrun by %d", stream, -st.window)
		}
	case frameSettings:
		if flags&flagAck != 0 {
			c.unacked--
			for _, st := range c.streams {
				st.window -= st.shrinks
				st.shrinks = 0
			}
		}
	case frameWindowUpdate:
		more := int64(binary.BigEndian.Uint32(payload))
		if stream == 0 {
			c.upload += more
		} else if st != nil {
			st.upload += more
		}
	case frameRSTStream:
		if st != nil {
			return fmt.Errorf("stream %d is reset: %x", stream, payload)
		}
	case frameGoAway:
		return fmt.Errorf("GOAWAY %x", payload)
	}
	if st != nil && (kind == frameData || kind == frameHeaders) && flags&flagEndStream != 0 {
		if st.got != st.want || st.left >= 0 {
			return fmt.Errorf("the response of stream %d has %d bytes, want %d", stream, st.got, st.want)
		}
		delete(c.streams, stream)
		c.answered++
	}
	return nil
}
