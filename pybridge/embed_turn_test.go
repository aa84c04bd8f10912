//go:build cgo

package pybridge

import (
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// turnsTest is turns whose requests are functions of the test instead of Python.
type turnsTest struct {
	turns
	mu      sync.Mutex // guards what follows
	work    map[*call]func()
	refused chan *call
}

func newTurnsTest(threads int) *turnsTest {
	s := &turnsTest{work: map[*call]func(){}, refused: make(chan *call, 100)}
	s.turns = turns{
		threads: threads, memory: turnForget,
		run: func(_ *runner, c *call) {
			s.mu.Lock()
			f := s.work[c]
			s.mu.Unlock()
			f()
		},
		refuse: func(c *call) { s.refused <- c },
		spent:  func(*runner) threadTimes { return threadTimes{} }, // every thread waits
	}
	return s
}

// ask enters a request that is f, and returns it.
func (s *turnsTest) ask(f func()) *call {
	c := new(call)
	s.mu.Lock()
	s.work[c] = f
	s.mu.Unlock()
	s.enter(c)
	return c
}

// TestTurnsOneByOne: requests that do not wait never run side by side.
func TestTurnsOneByOne(t *testing.T) {
	s := newTurnsTest(4)
	s.armed = true // so that nobody looks: a busy machine can make anything wait
	var inside, beside atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 200 {
				done := make(chan struct{})
				s.ask(func() {
					if inside.Add(1) > 1 {
						beside.Add(1)
					}
					inside.Add(-1)
					close(done)
				})
				receive(t, "its turn", done)
			}
		})
	}
	all.Wait()
	if n := beside.Load(); n > 0 {
		t.Errorf("%d requests ran beside another", n)
	}
}

// TestTurnsWaiting: who waits does not hold up the others, and those to come get a
// runner at once; of more than there are threads the rest is given back.
func TestTurnsWaiting(t *testing.T) {
	s := newTurnsTest(3)
	begun, release := make(chan int, 10), make(chan struct{})
	wait := func(number int) func() {
		return func() {
			begun <- number
			<-release
		}
	}
	for i := range 3 {
		s.ask(wait(i))
	}
	for range 3 {
		receive(t, "a request begins", begun)
	}
	for range 3 {
		c := s.ask(wait(9))
		if got := receive(t, "a request comes back", s.refused); got != c {
			t.Error("another request came back")
		}
	}
	close(release)
	done := make(chan struct{})
	s.ask(func() { close(done) })
	select {
	case <-done:
	case <-s.refused: // the threads had not ended yet
		waitFor(t, "the threads are free", func() bool {
			s.turns.mu.Lock()
			defer s.turns.mu.Unlock()
			return s.running == 0
		})
		s.ask(func() { close(done) })
		receive(t, "a request afterwards", done)
	case <-time.After(time.Minute):
		t.Fatal("no request runs afterwards")
	}
	if len(begun) != 0 {
		t.Error("a request that was given back has run")
	}
}

// TestTurnsComputing: a request that computes holds up the others for turnPatience
// and no longer, and they are not told to run side by side after that.
func TestTurnsComputing(t *testing.T) {
	s := newTurnsTest(2)
	s.turns.spent = func(*runner) threadTimes { return threadTimes{computed: time.Since(epoch)} }
	begun, release := make(chan struct{}), make(chan struct{})
	s.ask(func() {
		close(begun)
		<-release
	})
	receive(t, "the first request begins", begun)
	from, beside := time.Now(), make(chan time.Duration, 1)
	s.ask(func() { beside <- time.Since(from) })
	if passed := receive(t, "another runs beside it", beside); passed < turnPatience {
		t.Errorf("that took %v, want at least %v", passed, turnPatience)
	}
	s.turns.mu.Lock()
	eager := s.eager
	s.turns.mu.Unlock()
	if eager != 0 {
		t.Errorf("%d requests get runners of their own, want none", eager)
	}
	close(release)
}

// TestTurnsMemory: an application that waits each time is remembered longer, and
// one that does not is forgotten.
func TestTurnsMemory(t *testing.T) {
	s := newTurnsTest(2)
	want := turnForget
	for range 6 {
		s.turns.mu.Lock()
		s.eager = 0
		s.turns.mu.Unlock()
		release, beside := make(chan struct{}), make(chan struct{})
		ended := make(chan struct{})
		s.ask(func() {
			<-release
			close(ended)
		})
		s.ask(func() { close(beside) })
		receive(t, "the second request runs", beside)
		s.turns.mu.Lock()
		got := s.eager
		s.turns.mu.Unlock()
		if got != want-1 { // beside took one
			t.Errorf("remembered for %d requests, want %d", got, want-1)
		}
		want = min(2*want, turnRemember)
		close(release)
		receive(t, "the first request ends", ended)
		waitFor(t, "the threads are free", func() bool {
			s.turns.mu.Lock()
			defer s.turns.mu.Unlock()
			return s.running == 0
		})
	}
	s.turns.mu.Lock()
	s.eager = 0
	s.turns.mu.Unlock()
	done := make(chan struct{})
	s.ask(func() { close(done) })
	receive(t, "a quick request", done)
	waitFor(t, "it is forgotten", func() bool {
		s.turns.mu.Lock()
		defer s.turns.mu.Unlock()
		return s.memory == turnForget
	})
}

// TestTurnsParallel: without a GIL nobody waits for anybody.
func TestTurnsParallel(t *testing.T) {
	s := newTurnsTest(3)
	s.parallel = true
	var meet sync.WaitGroup
	meet.Add(3)
	met := make(chan struct{}, 3)
	for range 3 {
		s.ask(func() {
			meet.Done()
			meet.Wait()
			met <- struct{}{}
		})
	}
	for range 3 {
		receive(t, "three requests meet", met)
	}
}

// TestTurnsNothingLost: each request runs once, or is given back once.
func TestTurnsNothingLost(t *testing.T) {
	s := newTurnsTest(3)
	var ran, back, most, inside atomic.Int32
	stop := make(chan struct{})
	var collector sync.WaitGroup
	collector.Go(func() {
		for {
			select {
			case <-s.refused:
				back.Add(1)
			case <-stop:
				return
			}
		}
	})
	const clients, each = 6, 150
	var all sync.WaitGroup
	for seed := range clients {
		all.Go(func() {
			random := rand.New(rand.NewPCG(uint64(seed), 1))
			for range each {
				pause := time.Duration(0)
				if random.IntN(10) == 0 {
					pause = time.Duration(random.IntN(4)) * time.Millisecond
				}
				s.ask(func() {
					n := inside.Add(1)
					for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
					}
					time.Sleep(pause) // the application waits
					inside.Add(-1)
					ran.Add(1)
				})
			}
		})
	}
	all.Wait()
	waitFor(t, "every request has ended", func() bool { return ran.Load()+back.Load() == clients*each })
	close(stop)
	collector.Wait()
	waitFor(t, "the threads are free", func() bool {
		s.turns.mu.Lock()
		defer s.turns.mu.Unlock()
		return s.running == 0 && s.first == nil && s.last == nil && s.leader == nil
	})
	if ran.Load()+back.Load() != clients*each {
		t.Errorf("%d ran and %d came back, of %d", ran.Load(), back.Load(), clients*each)
	}
	if most.Load() > 3 {
		t.Errorf("%d requests at once, want 3 at most", most.Load())
	}
}

// TestTurnPanic: a panic on the way into Python ends its request, and the thread is free.
func TestTurnPanic(t *testing.T) {
	rec := &record{}
	e := newEmbedded(Options{Logger: rec.logger(), Threads: 1, ResponseBuffer: minResponseBuffer})
	freed := 0
	e.core.mu.Lock()
	x := e.core.acquire(func() { freed++ })
	e.core.mu.Unlock()
	e.run(&runner{}, &call{x: x}) // without a frame, which no request is
	x.mu.Lock()
	defer x.mu.Unlock()
	if freed != 1 || !errors.Is(x.failure, ErrApplication) {
		t.Errorf("freed %d times, failure %v", freed, x.failure)
	}
	if log := rec.logged(); !strings.Contains(log, "index out of range") || !strings.Contains(log, "embed_serve.go") {
		t.Errorf("the log says %q", log)
	}
}
