package http2

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2/hpack"
)

// patience is how long a test waits for what must happen.
const patience = time.Minute

// peer is a client of raw frames. It reads all the time, unless it is stopped.
type peer struct {
	t       testing.TB
	nc      net.Conn
	server  *Server
	served  chan struct{} // closed when Serve has returned
	encoder *hpack.Encoder
	pings   int
	block   bytes.Buffer

	mu      sync.Mutex // guards what follows
	arrived sync.Cond
	frames  []frame
	closed  bool
	stopped bool
	decoder *hpack.Decoder
}

// connect serves one connection, plain TCP over loopback, and says nothing.
func connect(t testing.TB, o Options) *peer {
	t.Helper()
	client, accepted := tcpPair(t)
	return attach(t, client, accepted, o)
}

// tcpPair returns both ends of a connection over loopback.
func tcpPair(t testing.TB) (client, accepted net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if client, err = net.Dial("tcp", listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if accepted, err = listener.Accept(); err != nil {
		t.Fatal(err)
	}
	return client, accepted
}

func attach(t testing.TB, client, accepted net.Conn, o Options) *peer {
	if o.Handler == nil {
		o.Handler = answerOK
	}
	return attachTo(t, client, accepted, NewServer(o))
}

func attachTo(t testing.TB, client, accepted net.Conn, server *Server) *peer {
	p := &peer{t: t, nc: client, server: server, served: make(chan struct{})}
	p.arrived.L = &p.mu
	p.encoder = hpack.NewEncoder(&p.block)
	p.decoder = hpack.NewDecoder(encoderTable, nil)
	go func() {
		defer close(p.served)
		p.server.Serve(accepted, "state")
	}()
	go p.read()
	t.Cleanup(func() {
		_ = client.Close()
		select {
		case <-p.served:
		case <-time.After(patience):
			t.Errorf("Serve has not returned:\n%s", stacks())
		}
	})
	return p
}

func stacks() []byte {
	b := make([]byte, 1<<20)
	return b[:runtime.Stack(b, true)]
}

func answerOK(st *Stream) {
	_ = st.WriteHead(200, []HeadField{{"content-type", []byte("text/plain")}}, false)
	_, _ = st.Write([]byte("ok"))
	_ = st.End()
}

func (p *peer) read() {
	head := make([]byte, frameHeadLen)
	for {
		p.mu.Lock()
		for p.stopped {
			p.arrived.Wait()
		}
		p.mu.Unlock()
		_, err := io.ReadFull(p.nc, head)
		f := frame{kind: frameType(head[3]), flags: head[4], stream: binary.BigEndian.Uint32(head[5:])}
		if err == nil {
			f.payload = make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
			_, err = io.ReadFull(p.nc, f.payload)
		}
		p.mu.Lock()
		if err != nil {
			p.closed = true
		} else {
			p.frames = append(p.frames, f)
		}
		p.arrived.Broadcast()
		p.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// stop makes the peer read no more, or go on.
func (p *peer) stop(stop bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = stop
	p.arrived.Broadcast()
}

// send sends raw bytes. That the server has closed meanwhile is no fault.
func (p *peer) send(b []byte) {
	_ = p.nc.SetWriteDeadline(time.Now().Add(patience))
	_, _ = p.nc.Write(b)
}

func (p *peer) sendFrame(kind frameType, flags uint8, stream uint32, payload []byte) {
	p.send(append(appendFrameHead(nil, len(payload), kind, flags, stream), payload...))
}

// begin sends the preface and settings, which are pairs of a number and a value.
func (p *peer) begin(settings ...uint32) {
	var b []byte
	for i := 0; i < len(settings); i += 2 {
		b = binary.BigEndian.AppendUint16(b, uint16(settings[i]))
		b = binary.BigEndian.AppendUint32(b, settings[i+1])
	}
	p.send([]byte(clientPreface))
	p.sendFrame(frameSettings, 0, 0, b)
}

// fields encodes names and values.
func (p *peer) fields(pairs ...string) []byte {
	p.block.Reset()
	for i := 0; i < len(pairs); i += 2 {
		_ = p.encoder.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]})
	}
	return bytes.Clone(p.block.Bytes())
}

func getFields(path string) []string {
	return []string{":method", "GET", ":scheme", "https", ":path", path, ":authority", "h"}
}

// get sends a request without a body.
func (p *peer) get(stream uint32, path string) {
	p.sendFrame(frameHeaders, flagEndHeaders|flagEndStream, stream, p.fields(getFields(path)...))
}

// post begins a request with a body.
func (p *peer) post(stream uint32, path string, more ...string) {
	fields := getFields(path)
	fields[1] = "POST"
	p.sendFrame(frameHeaders, flagEndHeaders, stream, p.fields(append(fields, more...)...))
}

// await waits until want finds something in all frames so far.
func (p *peer) await(what string, want func([]frame) bool) {
	p.t.Helper()
	timer := time.AfterFunc(patience, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.closed = true
		p.arrived.Broadcast()
	})
	defer timer.Stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	for !want(p.frames) {
		if p.closed {
			p.t.Fatalf("no %s; got %s", what, describe(p.frames))
		}
		p.arrived.Wait()
	}
}

// find waits for a frame.
func (p *peer) find(kind frameType, stream uint32) (found frame) {
	p.t.Helper()
	p.await(fmt.Sprintf("frame of type %d on stream %d", kind, stream), func(frames []frame) bool {
		for _, f := range frames {
			if f.kind == kind && f.stream == stream {
				found = f
				return true
			}
		}
		return false
	})
	return found
}

// ended waits for the end of a response, and returns its fields and its body.
func (p *peer) ended(stream uint32) (fields, body string) {
	p.t.Helper()
	p.await(fmt.Sprintf("end of stream %d", stream), func(frames []frame) bool {
		for _, f := range frames {
			if f.stream == stream && (f.kind == frameData || f.kind == frameHeaders) && f.has(flagEndStream) {
				return true
			}
		}
		return false
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range p.frames {
		if f.stream == stream && f.kind == frameData {
			body += string(f.payload)
		}
	}
	return p.head(stream), body
}

// head decodes all heads up to that of stream, in order; it does so once. p.mu must be held.
func (p *peer) head(stream uint32) string {
	var text strings.Builder
	kept := p.frames[:0:0]
	for _, f := range p.frames {
		if f.kind != frameHeaders && f.kind != frameContinuation {
			kept = append(kept, f)
			continue
		}
		fields, err := p.decoder.DecodeFull(f.payload)
		if err != nil {
			p.t.Errorf("the head of stream %d: %v", f.stream, err)
		}
		if f.stream != stream {
			f.payload = nil // the table has it now
		}
		for _, field := range fields {
			if f.stream == stream && field.Name != "date" {
				fmt.Fprintf(&text, "%s: %s\n", field.Name, field.Value)
			}
		}
	}
	p.frames = kept
	return text.String()
}

// gone waits for GOAWAY, or the end of the connection without one, and returns its
// code or -1. Then it closes, as clients do, and sees that Serve returns.
func (p *peer) gone() int {
	p.t.Helper()
	code := p.goAway()
	_ = p.nc.Close()
	select {
	case <-p.served:
	case <-time.After(patience):
		p.t.Errorf("Serve has not returned")
	}
	return code
}

// goAway is the first half of gone.
func (p *peer) goAway() int {
	p.t.Helper()
	code := -1
	p.await("end of the connection", func(frames []frame) bool {
		for _, f := range frames {
			if f.kind == frameGoAway {
				code = int(binary.BigEndian.Uint32(f.payload[4:]))
			}
		}
		return p.closed || code >= 0
	})
	return code
}

// resetCode waits for RST_STREAM.
func (p *peer) resetCode(stream uint32) errorCode {
	p.t.Helper()
	return errorCode(binary.BigEndian.Uint32(p.find(frameRSTStream, stream).payload))
}

// ping waits until the server has seen everything that was sent before.
func (p *peer) ping() {
	p.t.Helper()
	p.tryPing()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		p.t.Fatalf("the server has closed; got %s", describe(p.frames))
	}
}

// tryPing is ping, or waits for the end of the connection.
func (p *peer) tryPing() {
	p.t.Helper()
	p.pings++
	text := fmt.Appendf(nil, "%08d", p.pings)
	p.sendFrame(framePing, 0, 0, text)
	p.await("answer to PING", func(frames []frame) bool {
		for _, f := range frames {
			if f.kind == framePing && f.has(flagAck) && bytes.Equal(f.payload, text) {
				return true
			}
		}
		return p.closed
	})
}

func describe(frames []frame) string {
	var b strings.Builder
	for _, f := range frames {
		fmt.Fprintf(&b, "[type %d flags %#x stream %d, %d bytes] ", f.kind, f.flags, f.stream, len(f.payload))
	}
	return b.String()
}
