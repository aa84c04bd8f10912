//go:build cgo

package pybridge

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// anySpeed is what no request of a test takes that does not wait, on any machine.
const anySpeed = time.Second

// besides returns another Embedded in the interpreter of s, with turns of its own for so many
// requests at once. What it runs must not leave the quick way: frames go to s.
func (s *inside) besides(t *testing.T, threads int, parallel bool) *Embedded {
	e := newEmbedded(s.e.core.opts)
	e.interpreter = s.e.interpreter
	if err := e.turns.open(threads, parallel, e.finished); err != nil {
		t.Fatal(err)
	}
	go e.serveNotes()
	return e
}

// begin serves GET target, and returns what Serve will return.
func (e *Embedded) begin(t *testing.T, target string) <-chan error {
	path, _, _ := strings.Cut(target, "?")
	ctx := contextOf(t, plainConn, "GET "+target+" HTTP/1.1\r\nHost: h\r\n\r\n")
	ended := make(chan error, 1)
	go func() {
		err := e.Serve(ctx, &Request{Path: []byte(path)}, func() {})
		if body := string(ctx.Response.Body()); err == nil && body != "Hello world\n" {
			err = fmt.Errorf("body %q", body)
		}
		ended <- err
	}()
	return ended
}

// insist serves GET target, again when it is given back: on a busy machine a thread may take
// longer than a look to be free.
func (e *Embedded) insist(t *testing.T, target string) {
	t.Helper()
	err := ErrGivenBack
	for errors.Is(err, ErrGivenBack) {
		err = receive(t, "GET "+target, e.begin(t, target))
	}
	if err != nil {
		t.Fatalf("GET %s: %v", target, err)
	}
}

// fifo makes a FIFO for the view waits. The view is in the application once open has returned.
func fifo(t *testing.T) (name string, open func() *os.File) {
	t.Helper()
	name = filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	return name, func() *os.File {
		file, err := os.OpenFile(name, os.O_WRONLY, 0) // waits for its reader
		if err != nil {
			t.Fatal(err)
		}
		return file
	}
}

func testTurns(t *testing.T, s *inside) {
	for _, tt := range []struct {
		name string
		run  func(*testing.T, *inside)
	}{
		{"requests that wait run side by side", func(t *testing.T, s *inside) { testMeet(t, s.besides(t, 3, false), "side=3") }},
		{"without a GIL all run side by side", func(t *testing.T, s *inside) {
			e := s.besides(t, 3, true)
			e.turns.setSlow(anySpeed)
			testMeet(t, e, "parallel=3")
			for range 300 {
				e.insist(t, "/hello")
			}
			if e.turns.quick() {
				t.Error("a thread of Go would run them one by one")
			}
		}},
		{"short waits are found out, too", testPauses},
		{"what there is no thread for is given back", testRefused},
		{"a request that computes holds nobody up for ever", testComputes},
		{"an answer does not wait for the next request", testHeld},
		{"quick requests run on threads of Go, others do not", testQuickAndSlow},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.run(t, s) })
	}
}

// testMeet: three requests wait for each other, and so do three more at once.
func testMeet(t *testing.T, e *Embedded, name string) {
	for range 2 {
		var ended []<-chan error
		for range 3 {
			ended = append(ended, e.begin(t, "/meet?"+name))
		}
		for _, c := range ended {
			if err := receive(t, "an answer", c); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// testPauses: each request waits, but not for so long that a look finds it.
func testPauses(t *testing.T, s *inside) {
	e := s.besides(t, 3, false)
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			for range 200 {
				if err := <-e.begin(t, "/pauses"); err != nil && !errors.Is(err, ErrGivenBack) {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	e.insist(t, "/paused_together")
}

func testRefused(t *testing.T, s *inside) {
	e := s.besides(t, 2, false)
	var ended []<-chan error
	var held []*os.File
	for range 2 {
		name, open := fifo(t)
		ended = append(ended, e.begin(t, "/waits?"+name))
		held = append(held, open())
	}
	for range 3 {
		if err := receive(t, "a third request", e.begin(t, "/hello")); !errors.Is(err, ErrGivenBack) {
			t.Errorf("a third request = %v, want ErrGivenBack", err)
		}
	}
	for i, c := range ended {
		closeAll(held[i])
		if err := receive(t, "an answer", c); err != nil {
			t.Error(err)
		}
	}
	e.insist(t, "/hello")
}

func testComputes(t *testing.T, s *inside) {
	e := s.besides(t, 2, false)
	name := filepath.Join(t.TempDir(), "begun")
	ended := e.begin(t, "/computes?"+name)
	waitFor(t, "it computes", func() bool {
		_, err := os.Stat(name)
		return err == nil
	})
	e.insist(t, "/tell?"+name)
	if err := receive(t, "the answer", ended); err != nil {
		t.Error(err)
	}
}

// testHeld: a thread of Python keeps quick answers for a moment, so as to tell of several at once.
// It must not while it is in an application that waits.
func testHeld(t *testing.T, s *inside) {
	e := s.besides(t, 2, false)
	for range 5 {
		name, open := fifo(t)
		waits, busy := make(chan error, 1), e.begin(t, "/busy")
		go func() { // mostly, it waits behind the other one; until it is begun
			err := ErrGivenBack
			for errors.Is(err, ErrGivenBack) {
				err = <-e.begin(t, "/waits?"+name)
			}
			waits <- err
		}()
		if err := receive(t, "the answer before it", busy); err != nil {
			t.Error(err)
		}
		file := open()
		e.insist(t, "/busy")
		closeAll(file)
		if err := receive(t, "the answer that waits", waits); err != nil {
			t.Error(err)
		}
	}
}

func testQuickAndSlow(t *testing.T, s *inside) {
	e := s.besides(t, 3, false)
	until := func(target string, quick bool) {
		t.Helper()
		waitFor(t, fmt.Sprintf("after many %s quick is %v", target, quick), func() bool {
			for range 50 {
				e.insist(t, target)
			}
			return e.turns.quick() == quick
		})
	}
	until("/busy", false)
	e.turns.setSlow(anySpeed)
	until("/hello", true)
	e.turns.setSlow(slowRequest)
	until("/busy", false)
	e.turns.setSlow(anySpeed)
	until("/busy", true)
	testMeet(t, e, "quick=3") // on such a thread a request that waits is not in the way either
}

// testOnGo: what the other tests have seen on threads of Python's own is so on those of Go.
func testOnGo(t *testing.T, s *inside) {
	s.e.turns.setSlow(anySpeed)
	defer s.e.turns.setSlow(slowRequest)
	for _, run := range []func(*testing.T, *inside){testBody, testBlocks, testFailures, testFiles} {
		waitFor(t, "quick requests", func() bool {
			for range 50 {
				s.get(t, "/hello")
			}
			return s.e.turns.quick()
		})
		run(t, s)
	}
}

// TestTurnOutcomes: what becomes of a call reaches its handler, frees its thread once, and leaves no
// descriptor behind.
func TestTurnOutcomes(t *testing.T) {
	for _, tt := range []struct {
		name  string
		set   func(*call)
		want  error
		freed int
		log   string
	}{
		{"complete", func(c *call) { c.job.outcome = 0 }, nil, 1, ""},
		{"sent, without an end", func(c *call) { c.job.outcome = 1 }, ErrApplication, 1, "ended before its response did"},
		{"refused", func(c *call) { c.job.outcome = 2 }, ErrGivenBack, 0, ""},
		{"dropped", func(c *call) { c.job.outcome, c.x.failure = 3, ErrClientGone }, ErrClientGone, 1, ""},
		{"refused and gone", func(c *call) { c.job.outcome, c.x.failure = 2, ErrClientGone }, ErrClientGone, 1, ""},
		{"failed", func(c *call) { c.job.outcome = -1 }, ErrApplication, 1, "no memory"},
		// A panic ends the request, not the process.
		{"longer than there is room", func(c *call) { c.job.reply.head = outSize + 1 }, ErrApplication, 1, "slice bounds out of range"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rec := &record{}
			e := newEmbedded(Options{Logger: rec.logger(), Threads: 1, ResponseBuffer: minResponseBuffer})
			freed := 0
			e.core.mu.Lock()
			x := e.core.acquire(func() { freed++ })
			c := e.call(x)
			e.core.mu.Unlock()
			tt.set(c)
			e.finished(c)
			x.mu.Lock()
			defer x.mu.Unlock()
			if freed != tt.freed || !errors.Is(x.failure, tt.want) {
				t.Errorf("freed %d times, failure %v; want %d, %v", freed, x.failure, tt.freed, tt.want)
			}
			if log := rec.logged(); !strings.Contains(log, tt.log) || tt.log == "" && log != "" {
				t.Errorf("the log says %q, want %q", log, tt.log)
			}
		})
	}
}

// TestTurnLeave: a request is dropped when its client goes or its time is over, and another one that
// has its place is not.
func TestTurnLeave(t *testing.T) {
	rec := &record{}
	e := newEmbedded(Options{Logger: rec.logger(), Threads: 1, ResponseBuffer: minResponseBuffer})
	e.core.mu.Lock()
	x := e.core.acquire(func() {})
	c := e.call(x)
	e.core.mu.Unlock()
	for _, tt := range []struct {
		name string
		id   uint32
		kind frameKind
		want bool
	}{
		{"another request", x.id + exchangeGeneration, frameCancel, false},
		{"no such index", x.id + 1, frameCancel, false},
		{"room", x.id, frameWindow, false},
		{"cancel", x.id, frameCancel, true},
	} {
		e.steer(frameHeader{request: tt.id, kind: tt.kind})
		if got := c.job.gone != 0; got != tt.want {
			t.Errorf("%s: gone is %v, want %v", tt.name, got, tt.want)
		}
	}
}
