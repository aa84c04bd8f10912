//go:build cgo

package pybridge

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"testing"

	"github.com/valyala/fasthttp"
)

// leakVariable is how many requests testLeaks sends: 200000 before a release.
const leakVariable = "OVERLAY_TEST_LEAK_REQUESTS"

// testLeaks sends requests of every kind, many times, and looks at the memory
// of the process and at the objects of Python.
func testLeaks(t *testing.T, s *inside) {
	requests := 3000
	if text := os.Getenv(leakVariable); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatalf("%s: %v", leakVariable, err)
		}
		requests = n
	}
	name := t.TempDir() + "/file"
	writeFile(t, name, string(make([]byte, 100_000)))
	targets := []string{"/hello", "/plain", "/echo", "/keep", "/use_kept", "/file?" + name, "/raises", "/cut"}
	load := func(n int) {
		var all sync.WaitGroup
		for worker := range 4 {
			all.Go(func() { s.hammer(t, targets, n/4, worker) })
		}
		all.Wait()
	}
	drain := func() {
		for len(s.errs) > 0 {
			<-s.errs
		}
		s.mu.Lock()
		s.log.Reset() // it grows by a traceback for each failure
		s.lines = nil
		s.mu.Unlock()
	}
	load(max(requests/4, 1500))
	drain()
	var before, after int
	s.json(t, "/collect", &before)
	memory := resident(t)
	for range 4 {
		load(requests / 4)
		drain()
	}
	s.json(t, "/collect", &after)
	grown := resident(t) - memory
	t.Logf("%d requests: resident memory %+d KiB, Python objects %d, then %d", requests, grown>>10, before, after)
	// A leak of one object of 50 bytes a request would be seen at 200,000.
	if limit := int64(8<<20 + requests*20); grown > limit && !underSanitizer {
		t.Errorf("resident memory grew by %d bytes in %d requests, want at most %d", grown, requests, limit)
	}
	// What a thread remembers of sets of field names is bounded, and less than this.
	if after > before+2500 {
		t.Errorf("%d objects of Python after %d requests, %d before", after, requests, before)
	}
}

// hammer sends n requests on one connection at a time, and reads the answers.
func (s *inside) hammer(t *testing.T, targets []string, n, worker int) {
	client := &fasthttp.HostClient{Addr: s.address, Dial: func(addr string) (net.Conn, error) { return net.Dial("tcp", addr) }}
	defer client.CloseIdleConnections()
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	for i := range n {
		target := targets[(i+worker)%len(targets)]
		req.Reset()
		req.SetRequestURI("http://" + s.address + target)
		req.Header.Set(fmt.Sprintf("X-Number-%d", i%100), "value")
		if target == "/echo" {
			req.Header.SetMethod("POST")
			req.SetBody(bytes.Repeat([]byte("x"), 1+i%2000))
		}
		err := client.Do(req, resp)
		switch {
		case target == "/cut":
			select {
			case <-s.errs: // it failed before the head was on its way
			default:
			}
		case err != nil:
			t.Errorf("GET %s: %v", target, err)
			return
		case target == "/raises":
			<-s.errs
		case resp.StatusCode() != 200:
			var served error // unless the answer is the application's own
			select {
			case served = <-s.errs:
			default:
			}
			t.Errorf("%s: %d, Serve = %v\n%s", target, resp.StatusCode(), served, s.logged())
			return
		}
	}
}

// resident returns the resident bytes of this process.
func resident(t *testing.T) int64 {
	t.Helper()
	_, memory, err := (&process{pid: os.Getpid()}).usage()
	if err != nil {
		t.Fatal(err)
	}
	return memory
}
