package http2

import (
	"encoding/binary"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// connectTimed is connect within a synctest bubble.
func connectTimed(t *testing.T, o Options) *peer {
	client, accepted := net.Pipe()
	return attach(t, client, accepted, o)
}

// When a connection ends that does nothing, or not enough.
func TestTimeouts(t *testing.T) {
	const header, idle = 15 * time.Second, 75 * time.Second
	for _, row := range []struct {
		name string
		do   func(p *peer)
		want time.Duration // from the start
		code int
	}{
		{"nothing at all", func(*peer) {}, header, int(codeNone)},
		{"half a preface", func(p *peer) { p.send([]byte(clientPreface[:10])) }, header, int(codeNone)},
		{"no settings", func(p *peer) { p.send([]byte(clientPreface)) }, header, int(codeNone)},
		{"no request", func(p *peer) { p.begin() }, idle, int(codeNone)},
		{"pings alone", func(p *peer) {
			p.begin()
			time.Sleep(idle - time.Second)
			p.ping()
		}, idle, int(codeNone)},
		{"a request", func(p *peer) {
			p.begin()
			time.Sleep(10 * time.Second)
			p.get(1, "/")
			p.ended(1)
		}, 10*time.Second + idle, int(codeNone)},
		{"half a head", func(p *peer) {
			p.begin()
			time.Sleep(10 * time.Second)
			p.sendFrame(frameHeaders, flagEndStream, 1, []byte(getBlock[:3]))
		}, 10*time.Second + header, int(codeNone)},
		{"half a frame of a head", func(p *peer) {
			p.begin()
			time.Sleep(10 * time.Second)
			p.send(raw(frameHeaders, flagEndStream, 1, getBlock)[:12])
		}, 10*time.Second + header, int(codeNone)},
		{"a head drop by drop", func(p *peer) {
			p.begin()
			p.sendFrame(frameHeaders, flagEndStream, 1, []byte(getBlock[:3]))
			for range 14 {
				time.Sleep(time.Second)
				p.sendFrame(frameContinuation, 0, 1, nil)
			}
		}, header, int(codeNone)},
		{"a slow handler", func(p *peer) {
			p.begin()
			p.get(1, "/minute")
			time.Sleep(time.Minute)
			p.ended(1)
		}, 60*time.Second + idle, int(codeNone)},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begun := time.Now()
				p := connectTimed(t, Options{HeaderTimeout: header, IdleTimeout: idle, Handler: func(st *Stream) {
					if st.Path == "/minute" {
						time.Sleep(time.Minute)
					}
					answerOK(st)
				}})
				row.do(p)
				p.mu.Lock()
				for !p.closed {
					p.arrived.Wait()
				}
				p.mu.Unlock()
				// The client has not closed: then the server does, a moment later.
				if took := time.Since(begun); took < row.want || took > row.want+lingerTime+100*time.Millisecond {
					t.Errorf("it took %v, want %v", took, row.want)
				}
				if code := p.gone(); code != row.code {
					t.Errorf("GOAWAY %d", code)
				}
			})
		})
	}
}

// Shutdown lets what is under way finish, takes nothing more, and ends.
func TestShutdown(t *testing.T) {
	leave, entered := make(chan struct{}), make(chan struct{})
	p := connect(t, Options{Handler: func(st *Stream) {
		close(entered)
		<-leave
		answerOK(st)
	}})
	p.begin()
	p.get(1, "/")
	<-entered
	p.server.Shutdown()
	p.find(frameGoAway, 0)
	p.get(3, "/") // crossed on the way
	p.post(5, "/")
	p.sendFrame(frameData, flagEndStream, 5, []byte("abc"))
	p.ping()
	close(leave)
	if _, body := p.ended(1); body != "ok" {
		t.Errorf("body %q", body)
	}
	p.mu.Lock()
	for _, f := range p.frames {
		if f.stream > 1 {
			t.Errorf("got %s", describe(p.frames))
		}
	}
	p.mu.Unlock()
	if code := p.gone(); code != int(codeNone) {
		t.Errorf("GOAWAY %d", code)
	}
	if n := p.server.Connections(); n != 0 {
		t.Errorf("%d connections", n)
	}
	client, accepted := net.Pipe()
	defer client.Close()
	p.server.Serve(accepted, nil) // returns: it is over
}

// A request that crosses the first word of the end is answered, and one that crosses the last is not.
func TestLastCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const last = 100 * time.Millisecond
		p := connectTimed(t, Options{LastCall: last})
		p.begin()
		p.get(1, "/")
		p.ended(1)
		began := time.Now()
		p.server.Shutdown()
		if f := p.find(frameGoAway, 0); binary.BigEndian.Uint32(f.payload) != maxStreamID {
			t.Errorf("the first GOAWAY is %x", f.payload)
		}
		p.get(3, "/")
		if _, body := p.ended(3); body != "ok" {
			t.Errorf("body %q", body)
		}

		client, accepted := net.Pipe() // accepted before, and ready only now
		late := attachTo(t, client, accepted, p.server)
		late.begin()
		late.get(1, "/")
		if _, body := late.ended(1); body != "ok" {
			t.Errorf("on a new connection: body %q", body)
		}

		var said []frame
		p.await("the last GOAWAY", func(frames []frame) bool {
			said = said[:0]
			for _, f := range frames {
				if f.kind == frameGoAway {
					said = append(said, f)
				}
			}
			return len(said) == 2
		})
		if d := time.Since(began); d != last {
			t.Errorf("the last call took %v, want %v", d, last)
		}
		if n := binary.BigEndian.Uint32(said[1].payload); n != 3 {
			t.Errorf("the last GOAWAY is for streams up to %d", n)
		}
		<-p.served
		<-late.served
		if d := time.Since(began); d > last+2*lingerTime {
			t.Errorf("over after %v", d)
		}
		_, again := net.Pipe()
		p.server.Close()
		p.server.Serve(again, nil) // returns: it is over
	})
}

// Close cuts; handlers find out, and Serve waits for them.
func TestClose(t *testing.T) {
	entered, result := make(chan struct{}), make(chan error, 1)
	p := connect(t, Options{Handler: func(st *Stream) {
		close(entered)
		_, err := st.Read(make([]byte, 1))
		if !st.Gone() {
			t.Error("the client is there")
		}
		result <- err
	}})
	p.begin()
	p.post(1, "/")
	<-entered
	p.server.Close()
	<-p.served
	if err := <-result; !errors.Is(err, ErrClosed) {
		t.Errorf("error %v", err)
	}
}

// What a handler does not finish is reset, and never looks complete.
func TestUnfinished(t *testing.T) {
	var panics []any
	p := connect(t, Options{Panicked: func(cause any) { panics = append(panics, cause) }, Handler: func(st *Stream) {
		switch st.Path {
		case "/nothing":
		case "/half":
			_ = st.WriteHead(200, nil, false)
			_, _ = st.Write([]byte("half"))
		case "/panic":
			panic("a bug")
		case "/headless":
			if _, err := st.Write([]byte("x")); err != errNoHead {
				t.Errorf("Write: %v", err)
			}
			if err := st.End(); err != errNoHead {
				t.Errorf("End: %v", err)
			}
		case "/late":
			answerOK(st)
			if _, err := st.Write([]byte("x")); err != errEnded {
				t.Errorf("Write: %v", err)
			}
			if err := st.WriteHead(200, nil, true); err != errHeadSent {
				t.Errorf("WriteHead: %v", err)
			}
		}
	}})
	p.begin()
	for i, path := range []string{"/nothing", "/half", "/panic", "/headless"} {
		stream := uint32(2*i + 1)
		p.get(stream, path)
		if code := p.resetCode(stream); code != codeInternal {
			t.Errorf("%s: RST_STREAM %d", path, code)
		}
	}
	p.get(9, "/late")
	if _, body := p.ended(9); body != "ok" {
		t.Errorf("body %q", body)
	}
	if len(panics) != 1 || panics[0] != "a bug" {
		t.Errorf("panics %v", panics)
	}
}

// A head that is longer than a frame goes in several, and one without a body ends the stream.
func TestHeads(t *testing.T) {
	long := strings.Repeat("v", 50_000)
	p := connect(t, Options{Handler: func(st *Stream) {
		if st.Path == "/long" {
			_ = st.WriteHead(200, []HeadField{{"a", []byte(long)}, {"date", []byte("today")}, {"b", []byte("1")}}, true)
			return
		}
		_ = st.WriteHead(404, nil, true)
	}})
	p.begin()
	p.get(1, "/")
	if f := p.find(frameHeaders, 1); !f.has(flagEndStream) || !f.has(flagEndHeaders) {
		t.Errorf("flags %#x", f.flags)
	}
	p.get(3, "/long")
	p.await("the last frame of the head", func(frames []frame) bool {
		last := frames[len(frames)-1]
		return last.kind == frameContinuation && last.has(flagEndHeaders)
	})
	var block []byte
	pieces := 0
	for _, f := range p.frames {
		if f.kind == frameHeaders && f.stream == 1 {
			decoded(t, p.decoder, f.payload)
		}
		if f.stream == 3 {
			block = append(block, f.payload...)
			pieces++
		}
	}
	if got := decoded(t, p.decoder, block); got != ":status=200;a="+long+";date=today;b=1;" || pieces != 4 {
		t.Errorf("%d pieces, %d bytes: %.100s", pieces, len(got), got)
	}
}
