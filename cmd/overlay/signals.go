package main

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// signals turns the signals that stop the server into contexts: the first one
// asks for a graceful stop, the second one ends it.
type signals struct {
	received chan os.Signal
	quit     chan struct{}
	once     sync.Once
	hard     context.Context
}

// watchSignals returns a context that ends with the first SIGINT or SIGTERM, or
// with ctx.
func watchSignals(ctx context.Context) (context.Context, *signals) {
	soft, cancelSoft := context.WithCancel(ctx)
	hard, cancelHard := context.WithCancel(context.Background())
	s := &signals{received: make(chan os.Signal, 2), quit: make(chan struct{}), hard: hard}
	signal.Notify(s.received, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		defer cancelHard()
		defer cancelSoft()
		for range 2 {
			select {
			case <-s.received:
				if soft.Err() != nil {
					return
				}
				cancelSoft()
			case <-s.quit:
				return
			}
		}
	}()
	return soft, s
}

// second returns a context that ends with the second signal.
func (s *signals) second() context.Context { return s.hard }

// stop gives the signals their usual meaning back.
func (s *signals) stop() {
	s.once.Do(func() {
		signal.Stop(s.received)
		close(s.quit)
	})
}
