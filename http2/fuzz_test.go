package http2

import (
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// Whatever a client sends, in whatever pieces, and then says nothing any more or closes: the
// connection ends in time, with every handler and every goroutine; what was sent
// are frames.
func FuzzConn(f *testing.F) {
	get := string(raw(frameHeaders, flagEndHeaders|flagEndStream, 1, getBlock))
	post := string(raw(frameHeaders, flagEndHeaders, 3, "\x83\x87\x84\x41\x01h"))
	big := string(raw(frameHeaders, flagEndHeaders|flagEndStream, 5, "\x82\x87\x44\x04/big\x41\x01h"))
	f.Add([]byte(get+post+string(raw(frameData, flagEndStream, 3, "abc"))), uint16(1000), true)
	f.Add([]byte(post+get+string(raw(frameRSTStream, 0, 3, uint32s(8)))), uint16(7), false)
	f.Add([]byte(big+string(raw(frameWindowUpdate, 0, 5, uint32s(100_000)))+string(raw(frameWindowUpdate, 0, 0, uint32s(100_000)))), uint16(1), true)
	f.Add([]byte(big+get+string(raw(frameSettings, 0, 0, setting(settingInitialWindow, 0)+setting(settingHeaderTableSize, 1)))), uint16(50), false)
	f.Add([]byte(string(raw(frameHeaders, flagEndStream, 1, getBlock[:3]))+string(raw(frameContinuation, flagEndHeaders, 1, getBlock[3:]))), uint16(3), true)
	f.Fuzz(func(t *testing.T, sent []byte, piece uint16, closes bool) {
		if len(sent) > 1<<16 {
			return
		}
		synctest.Test(t, func(t *testing.T) {
			client, accepted := net.Pipe()
			server := NewServer(Options{Handler: fuzzHandler, HeaderTimeout: 15 * time.Second, IdleTimeout: time.Minute, MaxStreams: 10})
			served := make(chan struct{})
			go func() {
				defer close(served)
				server.Serve(accepted, nil)
			}()
			go func() {
				defer client.Close()
				checkFrames(t, client)
			}()
			go func() {
				b := append([]byte(clientPreface), raw(frameSettings, 0, 0, "")...)
				b = append(b, sent...)
				for len(b) > 0 {
					n, err := client.Write(b[:min(len(b), int(piece)+1)])
					if err != nil {
						return
					}
					b = b[n:]
				}
				if closes {
					_ = client.Close()
				}
			}()
			select {
			case <-served:
			case <-time.After(time.Hour):
				t.Error("the connection does not end")
				server.Close()
			}
			time.Sleep(time.Second) // then the watch has ended, too; whatever else runs is an error
			if server.Connections() != 0 {
				t.Error("the connection is counted still")
			}
		})
	})
}

// fuzzHandler does what handlers do, as the request says.
func fuzzHandler(st *Stream) {
	st.SetSilence(10 * time.Second)
	if st.HasBody {
		st.SetReadDeadline(time.Now().Add(10 * time.Second))
		_, _ = io.Copy(io.Discard, struct{ io.Reader }{st})
	}
	if len(st.Fields) > 0 {
		st.Detach()
	}
	_ = st.WriteHead(200, []HeadField{{"server", []byte("fuzz")}, {"x-path", []byte(st.Path)}}, st.Method == "HEAD")
	size := 10
	if st.Path == "/big" {
		size = 200_000
	}
	if _, err := st.Write(make([]byte, size)); err == nil && st.Path != "/half" {
		_ = st.End()
	}
}

// checkFrames reads what a server says to its end.
func checkFrames(t *testing.T, r io.Reader) {
	var all []byte
	buffer := make([]byte, 32<<10)
	for {
		n, err := r.Read(buffer)
		all = append(all, buffer[:n]...)
		for {
			f, length, _, frameErr := parseFrame(all)
			if frameErr != nil {
				t.Errorf("the server's frame: %v", frameErr)
				return
			}
			if length == 0 {
				break
			}
			if f.kind > frameContinuation || f.kind == framePushPromise || f.kind == frameData && f.stream == 0 {
				t.Errorf("the server sent a frame of type %d on stream %d", f.kind, f.stream)
			}
			all = all[length:]
		}
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrClosedPipe) {
				t.Errorf("read: %v", err)
			}
			return
		}
	}
}
