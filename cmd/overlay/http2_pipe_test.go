package main

import (
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// writes is a connection that keeps what is written, write by write.
type writes struct {
	net.Conn
	mu   sync.Mutex // guards what follows
	got  []string
	fail error
}

func (w *writes) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fail != nil {
		return 0, w.fail
	}
	w.got = append(w.got, string(p))
	return len(p), nil
}

func (w *writes) seen() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.got)
}

// frame makes one with a payload of n bytes.
func frame(kind, flags byte, n int) string {
	return string([]byte{byte(n >> 16), byte(n >> 8), byte(n), kind, flags, 0, 0, 0, 1}) + strings.Repeat("x", n)
}

// Which writes of net/http leave together. A pipe whose timer has fired is not what
// is tested here: a row that waits for it takes a millisecond.
func TestHTTP2PipeWrites(t *testing.T) {
	const endHeaders = 0x4
	head, last := frame(http2FrameHeaders, endHeaders, 50), frame(http2FrameData, http2FrameEndStream, 1000)
	only := frame(http2FrameHeaders, endHeaders|http2FrameEndStream, 50)
	data := frame(http2FrameData, 0, 16<<10)
	settings := frame(4, 1, 0) // an acknowledgement: its flag is not the end of a stream
	for _, row := range []struct {
		name         string
		heads, bulks int32
		written      []string
		want         []string
	}{
		{"a head and its body", 1, 0, []string{head, last}, []string{head + last}},
		{"two at once", 2, 0, []string{head, head, last, last}, []string{head + head + last, last}},
		{"a head without a body", 1, 0, []string{only}, []string{only}},
		{"a head whose body nobody has announced", 0, 0, []string{head, last}, []string{head, last}},
		{"another frame ends the wait", 1, 0, []string{head, settings, last}, []string{head + settings, last}},
		{"a frame in pieces", 0, 0, []string{data[:4096], data[4096:]}, []string{data}},
		{"a head in pieces", 0, 0, []string{last[:3], last[3:9], last[9:]}, []string{last}},
		{"a long body", 0, 1, []string{data, data, last}, []string{data + data + last}},
		{"a longer one", 0, 1, []string{data, data, data, data, last}, []string{data + data + data, data + last}},
		{"pieces of a body that is not at hand", 0, 0, []string{data, data}, []string{data, data}},
		{"a frame beyond every bound", 0, 1, []string{frame(http2FrameData, 0, 1<<20), last}, []string{frame(http2FrameData, 0, 1<<20), last}},
		{"a head that nothing follows", 1, 0, []string{head}, []string{head}},
		{"a body that nothing follows", 0, 1, []string{data}, []string{data}},
	} {
		t.Run(row.name, func(t *testing.T) {
			below := &writes{}
			pipe := &http2Pipe{Conn: below}
			pipe.heads.Store(row.heads)
			pipe.bulks.Store(row.bulks)
			start := time.Now()
			for _, p := range row.written {
				if n, err := pipe.Write([]byte(p)); n != len(p) || err != nil {
					t.Fatalf("Write = %d, %v", n, err)
				}
			}
			late := time.Since(start) >= http2HoldTime // the timer may have come between
			want := strings.Join(row.want, "")
			pollUntil(t, "everything to be sent", func() bool { return len(strings.Join(below.seen(), "")) == len(want) })
			got := below.seen()
			if strings.Join(got, "") != want {
				t.Error("the bytes are other ones")
			}
			if !late && len(got) != len(row.want) {
				t.Errorf("%d writes, want %d", len(got), len(row.want))
			}
		})
	}
}

// An error of a write that was held is that of the next one.
func TestHTTP2PipeError(t *testing.T) {
	broken := errors.New("broken")
	below := &writes{fail: broken}
	pipe := &http2Pipe{Conn: below}
	pipe.expectHead()
	if _, err := pipe.Write([]byte(frame(http2FrameHeaders, 4, 10))); err != nil {
		t.Fatalf("a write that is held: %v", err)
	}
	for range 2 {
		if _, err := pipe.Write([]byte(frame(http2FrameData, http2FrameEndStream, 10))); !errors.Is(err, broken) {
			t.Errorf("got %v, want the error of the connection", err)
		}
	}
}

// Frames are found wherever a write ends.
func FuzzHTTP2Frames(f *testing.F) {
	f.Add([]byte{5, 0, 200}, uint8(3))
	f.Fuzz(func(t *testing.T, sizes []byte, step uint8) {
		var stream []byte
		ends := map[int]bool{0: true}
		for i, n := range sizes {
			stream = append(stream, frame(byte(i), byte(n), int(n)*3)...)
			ends[len(stream)] = true
		}
		var frames http2Frames
		for at := 0; at < len(stream); {
			n := min(int(step)+1, len(stream)-at)
			frames.read(stream[at : at+n])
			if at += n; frames.complete() != ends[at] {
				t.Fatalf("complete() = %v after %d bytes of frames that end at %v", frames.complete(), at, ends)
			}
		}
		if n := len(sizes); n > 0 && (frames.kind != byte(n-1) || frames.flags != sizes[n-1]) {
			t.Errorf("the last frame is of kind %d, flags %d", frames.kind, frames.flags)
		}
	})
}

// A client of HTTP/2 that opens every window and reads nothing is cut off, and not
// just its stream.
func TestHTTP2DeadClient(t *testing.T) {
	asked := make(chan struct{})
	s := startHTTP2(t, config{SocketTimeout: 4 * short}, func(ctx *fasthttp.RequestCtx) {
		close(asked)
		ctx.SetBodyStream(&endless{}, -1)
	})
	address := strings.TrimPrefix(s.url, "https://")
	c, err := tls.Dial("tcp", address, &tls.Config{RootCAs: s.ca.Pool(), ServerName: "localhost", NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	// SETTINGS with the largest window, a window update for the connection, and a GET.
	send(t, c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"+"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x04\x7f\xff\xff\xff"+
		"\x00\x00\x04\x08\x00\x00\x00\x00\x00\x7f\x00\x00\x00"+"\x00\x00\x06\x01\x05\x00\x00\x00\x01\x82\x87\x84\x41\x01h")
	<-asked
	pollUntil(t, "the connection to be cut", func() bool { return s.h2.connections() == 0 && s.server.GetOpenConnectionsCount() == 0 })
}
