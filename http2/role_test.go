package http2

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A handler that waits, for whatever, holds up nobody else on the connection.
func TestSlowHandler(t *testing.T) {
	for _, row := range []struct {
		name string
		wait func(st *Stream, c chan struct{})
	}{
		{"says that it waits", func(st *Stream, c chan struct{}) { st.Detach(); <-c }},
		{"is noticed", func(_ *Stream, c chan struct{}) { <-c }},
		{"does both", func(st *Stream, c chan struct{}) { <-c; st.Detach() }},
		{"between two parts", func(st *Stream, c chan struct{}) {
			_ = st.WriteHead(200, nil, false)
			_, _ = st.Write([]byte("first,"))
			_ = st.Flush()
			<-c
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			wait := make(chan struct{})
			p := connect(t, Options{Handler: func(st *Stream) {
				if st.Path == "/wait" {
					row.wait(st, wait)
				}
				if st.WriteHead(200, nil, false) != errHeadSent && st.Path == "/wait" {
					_, _ = st.Write([]byte("first,"))
				}
				_, _ = st.Write([]byte("last"))
				_ = st.End()
			}})
			p.begin()
			for i := range uint32(3) {
				p.get(4*i+1, "/wait")
				p.get(4*i+3, "/")
				if _, body := p.ended(4*i + 3); body != "last" {
					t.Errorf("body %q", body)
				}
			}
			close(wait)
			for i := range uint32(3) {
				if _, body := p.ended(4*i + 1); body != "first,last" {
					t.Errorf("body %q of what had waited", body)
				}
			}
			p.get(21, "/")
			p.ended(21)
		})
	}
}

// Detach has another goroutine read at once, and the watch has it within two intervals and
// a little.
func TestHowSoonOthersRead(t *testing.T) {
	for _, row := range []struct {
		name        string
		detach      bool
		least, most time.Duration
	}{{"Detach", true, 0, 0}, {"watch", false, 1, 2*watchInterval + watchInterval/2}} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := connectTimed(t, Options{Handler: func(st *Stream) {
					if st.Path == "/wait" {
						if row.detach {
							st.Detach()
						}
						time.Sleep(time.Second)
					}
					answerOK(st)
				}})
				p.begin()
				p.get(1, "/wait")
				begun := time.Now()
				p.get(3, "/")
				p.ended(3)
				if took := time.Since(begun); took < row.least || took > row.most {
					t.Errorf("it took %v, want %v to %v", took, row.least, row.most)
				}
				p.ended(1)
				time.Sleep(time.Second) // the watch ends
			})
		})
	}
}

// While a download waits for its window, what else comes is answered.
func TestDownloadAndMore(t *testing.T) {
	result := make(chan error, 1)
	download := sendBody(300_000, patience, result)
	p := connect(t, Options{Handler: func(st *Stream) {
		if st.Path == "/download" {
			download(st)
			return
		}
		answerOK(st)
	}})
	p.begin(settingInitialWindow, 1000)
	p.get(1, "/download")
	for i := range uint32(20) {
		p.get(2*i+3, "/")
		p.ended(2*i + 3)
	}
	p.send(raw(frameWindowUpdate, 0, 1, uint32s(300_000)))
	p.send(raw(frameWindowUpdate, 0, 0, uint32s(300_000)))
	if _, body := p.ended(1); len(body) != 300_000 {
		t.Errorf("%d bytes", len(body))
	}
}

// A stream that has been with one goroutine alone serves again, one that others may know does not.
func TestStreamsAreUsedAgain(t *testing.T) {
	var mu sync.Mutex
	seen := map[string]*Stream{}
	p := connect(t, Options{Handler: func(st *Stream) {
		mu.Lock()
		seen[st.Path] = st
		mu.Unlock()
		if st.Path == "/detach" {
			st.Detach()
		}
		answerOK(st)
	}})
	p.begin()
	for i, path := range []string{"/a", "/b", "/detach", "/c"} {
		p.get(uint32(2*i+1), path)
		p.ended(uint32(2*i + 1))
	}
	if seen["/detach"] == seen["/c"] {
		t.Error("a stream that was detached is used again")
	}
	if seen["/a"] != seen["/b"] { // the watch may have come between, on a busy machine
		t.Log("a stream was not used again")
	}
}

// net/http's client, many requests at once of all kinds, over one connection.
func TestGoClient(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	server := NewServer(Options{Handler: func(st *Stream) {
		body, err := io.ReadAll(struct{ io.Reader }{st})
		if st.Path == "/detach" {
			st.Detach()
		}
		_ = st.WriteHead(200, []HeadField{{"x-path", []byte(st.Path)}, {"x-error", fmt.Append(nil, err)}}, st.Method == "HEAD")
		if st.Method != "HEAD" {
			_, _ = st.Write(body)
			_, _ = st.Write([]byte(strings.Repeat("y", 100_000)))
			_ = st.End()
		}
	}})
	var serving sync.WaitGroup
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { server.Serve(c, nil) })
		}
	}()
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	client := &http.Client{Transport: transport, Timeout: patience}
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			for j := range 10 {
				method, path := []string{"GET", "HEAD", "POST"}[(i+j)%3], []string{"/", "/detach"}[j%2]
				sent := ""
				if method == "POST" {
					sent = strings.Repeat("x", 10_000*i)
				}
				r, err := http.NewRequestWithContext(t.Context(), method, "http://"+listener.Addr().String()+path, strings.NewReader(sent))
				if err != nil {
					t.Error(err)
					return
				}
				response, err := client.Do(r)
				if err != nil {
					t.Error(err)
					return
				}
				body, err := io.ReadAll(response.Body)
				_ = response.Body.Close()
				want := sent + strings.Repeat("y", 100_000)
				if method == "HEAD" {
					want = ""
				}
				if err != nil || string(body) != want || response.Header.Get("X-Path") != path || response.Header.Get("X-Error") != "<nil>" || response.Header.Get("Date") == "" {
					t.Errorf("%s: %v, %d bytes, want %d, fields %v", method, err, len(body), len(want), response.Header)
				}
			}
		})
	}
	all.Wait()
	if n := server.Connections(); n != 1 {
		t.Errorf("%d connections", n)
	}
	server.Shutdown()
	serving.Wait() // the client closes what was said goodbye to
}
