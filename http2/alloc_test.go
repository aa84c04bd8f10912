//go:build !race

package http2

import (
	"net"
	"testing"
	"time"
)

// loopConn is a connection whose client sends the same request again and again, as long
// as somebody wants it.
type loopConn struct {
	net.Conn
	input   []byte // what comes first
	request []byte
	stream  uint32
	left    int
	rounds  chan int      // how many requests to send
	done    chan struct{} // they are answered
}

func (c *loopConn) Read(p []byte) (int, error) {
	if len(c.input) > 0 {
		n := copy(p, c.input)
		c.input = c.input[n:]
		return n, nil
	}
	if c.left == 0 {
		if c.stream > 3 {
			c.done <- struct{}{}
		}
		var ok bool
		if c.left, ok = <-c.rounds; !ok {
			return 0, net.ErrClosed
		}
	}
	c.left--
	n := copy(p, c.request)
	p[5], p[6], p[7], p[8] = byte(c.stream>>24), byte(c.stream>>16), byte(c.stream>>8), byte(c.stream)
	c.stream += 2
	return n, nil
}

func (c *loopConn) Write(p []byte) (int, error)     { return len(p), nil }
func (c *loopConn) Close() error                    { return nil }
func (c *loopConn) SetReadDeadline(time.Time) error { return nil }

// startLoop returns a function that has n requests for a small file answered.
func startLoop(t testing.TB) (answer func(n int)) {
	fields := []HeadField{
		{"server", []byte("overlay")}, {"content-type", []byte("text/plain")}, {"accept-ranges", []byte("bytes")}, {"etag", []byte(`"1-2"`)},
		{"last-modified", []byte("Mon, 02 Jan 2006 15:04:05 GMT")}, {"x-content-type-options", []byte("nosniff")}, {"content-length", []byte("1024")},
	}
	body := make([]byte, 1024)
	server := NewServer(Options{IdleTimeout: time.Minute, HeaderTimeout: time.Minute, Handler: func(st *Stream) {
		_ = st.WriteHead(200, fields, false)
		_, _ = st.Write(body)
		_ = st.End()
	}})
	c := &loopConn{rounds: make(chan int), done: make(chan struct{}), stream: 3}
	c.input = append([]byte(clientPreface), raw(frameSettings, 0, 0, setting(settingInitialWindow, 1<<20))...)
	c.input = append(c.input, raw(frameWindowUpdate, 0, 0, uint32s(1<<20))...)
	// The table of fields learns user-agent from the first request; the rest refers to it.
	c.input = append(c.input, raw(frameHeaders, flagEndHeaders|flagEndStream, 1, getBlock+"\x7a\x03abc")...)
	served := make(chan struct{})
	go func() {
		defer close(served)
		server.Serve(c, nil)
	}()
	t.Cleanup(func() {
		close(c.rounds)
		<-served
	})
	c.request = append(raw(frameHeaders, flagEndHeaders|flagEndStream, 0, "\x82\x87\x84\xbf\xbe"), raw(frameWindowUpdate, 0, 0, uint32s(1024))...)
	return func(n int) {
		c.rounds <- n
		<-c.done
	}
}

// A request that is like the last one costs no allocation.
func TestAllocations(t *testing.T) {
	answer := startLoop(t)
	answer(100)
	if n := testing.AllocsPerRun(20, func() { answer(100) }); n > 10 { // that of 100 requests; the watch and Date may need some
		t.Errorf("%v allocations for 100 requests", n)
	}
}

func BenchmarkRequest(b *testing.B) {
	answer := startLoop(b)
	answer(100)
	b.ReportAllocs()
	b.ResetTimer()
	answer(b.N)
}
