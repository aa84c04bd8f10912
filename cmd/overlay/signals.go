package main

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// signals turns the signals that stop the server into contexts: the first one
// asks for a graceful stop, the second one ends it.
type signals struct {
	received chan os.Signal
	pipe     chan os.Signal // never read
	quit     chan struct{}
	once     sync.Once
	hard     context.Context
}

// watchSignals returns a context that ends with the first SIGINT or SIGTERM, or
// with ctx.
func watchSignals(ctx context.Context) (context.Context, *signals) {
	soft, cancelSoft := context.WithCancel(ctx)
	hard, cancelHard := context.WithCancel(context.Background())
	s := &signals{received: make(chan os.Signal, 2), pipe: make(chan os.Signal, 1), quit: make(chan struct{}), hard: hard}
	signal.Notify(s.received, syscall.SIGINT, syscall.SIGTERM)
	// Whoever read the access log may go away: that is an error of a write, not
	// the end of the server.
	signal.Notify(s.pipe, syscall.SIGPIPE)
	go func() {
		defer cancelHard()
		defer cancelSoft()
		if !s.next() {
			return
		}
		cancelSoft()
		for first := time.Now(); s.next(); {
			if time.Since(first) >= sameSignal {
				return
			}
		}
	}()
	return soft, s
}

// sameSignal is how long after the first signal another one counts as the same:
// timeout(1) and some supervisors signal the process and then its group.
const sameSignal = 200 * time.Millisecond

// next waits for a signal. It returns false after stop.
func (s *signals) next() bool {
	select {
	case <-s.received:
		return true
	case <-s.quit:
		return false
	}
}

// second returns a context that ends with the second signal.
func (s *signals) second() context.Context { return s.hard }

// stop gives the signals their usual meaning back.
func (s *signals) stop() {
	s.once.Do(func() {
		signal.Stop(s.received)
		signal.Stop(s.pipe)
		close(s.quit)
	})
}
