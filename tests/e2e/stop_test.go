package e2e

import (
	"context"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"overlay/tests/e2e/load"
)

// TestGracefulStop sends SIGTERM under load, with clients that keep their
// connections, clients that do not, and long requests in flight. Every request
// sent before the signal is answered, every request that reached the
// application as well, and no response is cut.
func TestGracefulStop(t *testing.T) {
	for _, row := range []struct {
		name   string
		signal os.Signal
	}{
		{"SIGTERM", syscall.SIGTERM},
		{"SIGINT", syscall.SIGINT},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := startRecorder(t, "--processes", "2", "--threads", "8", "--graceful-timeout", "30")
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			var account load.Account
			var wait sync.WaitGroup
			wait.Go(func() {
				account.Run(ctx, s.Addr, 8, func(n int) string { return workTarget(n, 0.01) })
			})
			wait.Go(func() {
				for n := 1000000; ctx.Err() == nil; n++ {
					client := load.Client{Addr: s.Addr}
					o := client.Do("GET", workTarget(n, 0), "Connection: close\r\n", nil)
					client.Close()
					account.Add(o)
					if o.Fate == load.Refused {
						return
					}
				}
			})
			const long = 4
			for i := range long {
				wait.Go(func() {
					client := load.Client{Addr: s.Addr}
					defer client.Close()
					account.Add(client.Get(workTarget(2000000+i, 1)))
				})
			}
			s.awaitBegun(t, func(begun map[int]int) bool {
				held := 0
				for i := range long {
					if _, ok := begun[2000000+i]; ok {
						held++
					}
				}
				return held == long && len(begun) > 100
			})

			signalled := time.Now()
			s.Signal(row.signal)
			if code := s.Wait(); code != 0 {
				t.Errorf("overlay ended with %d after %s, want 0", code, row.signal)
			}
			wait.Wait()
			t.Logf("%s; stopped in %v", &account, time.Since(signalled))

			begun := s.begun(t)
			for _, o := range account.Outcomes() {
				number := numberOf(t, o.Target)
				_, wasBegun := begun[number]
				if o.Fate == load.Answered {
					if o.Status == 200 {
						pidOf(t, o)
					} else if o.Status != 503 || wasBegun || o.Sent.Before(signalled) {
						t.Errorf("request %d was answered %d (begun: %t)", number, o.Status, wasBegun)
					}
					continue
				}
				// A client may find a kept connection closed, or none to be had, when it
				// sends after the signal; then nothing of its request may have happened.
				if o.Fate == load.Cut || wasBegun || !o.Sent.IsZero() && o.Sent.Before(signalled) {
					t.Errorf("request %d was %v, sent %v after the signal (begun: %t): %v",
						number, o.Fate, o.Sent.Sub(signalled), wasBegun, o.Err)
				}
			}
			answered := account.Select(func(o load.Outcome) bool {
				return strings.HasPrefix(o.Target, "/work?id=200000") && o.Status == 200
			})
			if len(answered) != long {
				t.Errorf("%d of the %d long requests were answered", len(answered), long)
			}
		})
	}
}

// TestSecondSignalStopsAtOnce holds a request that would take far longer than
// the test may.
func TestSecondSignalStopsAtOnce(t *testing.T) {
	s := startRecorder(t, "--graceful-timeout", "600")
	held := make(chan load.Outcome, 1)
	go func() {
		client := load.Client{Addr: s.Addr, Timeout: 5 * time.Minute}
		defer client.Close()
		held <- client.Get(workTarget(1, 300))
	}()
	s.awaitBegun(t, func(begun map[int]int) bool { return begun[1] != 0 })

	s.Signal(syscall.SIGTERM)
	// It stops taking connections first; then it waits.
	deadline := time.Now().Add(time.Minute)
	for n := 2; ; n++ {
		client := load.Client{Addr: s.Addr}
		o := client.Do("GET", workTarget(n, 0), "Connection: close\r\n", nil)
		client.Close()
		if o.Fate == load.Refused {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("connections are still taken after SIGTERM: %v %d", o.Fate, o.Status)
		}
	}
	select {
	case <-s.Exited():
		t.Fatal("overlay stopped although a request was in flight")
	case o := <-held:
		t.Fatalf("the request in flight ended: %v %d", o.Fate, o.Status)
	case <-time.After(100 * time.Millisecond):
	}
	worker := s.begun(t)[1]
	// Signals within a fifth of a second count as one (cmd/overlay/signals.go):
	// press again until it counts, as a person would.
	for stopped := false; !stopped; {
		s.Signal(syscall.SIGTERM)
		select {
		case <-s.Exited():
			stopped = true
		case <-time.After(300 * time.Millisecond):
			if time.Now().After(deadline) {
				t.Fatal("overlay still runs after more signals")
			}
		}
	}
	if o := <-held; o.Fate == load.Answered && o.Status == 200 {
		t.Errorf("the request was answered %d, and cannot have been", o.Status)
	}
	// No worker process is left behind.
	for deadline := time.Now().Add(time.Minute); syscall.Kill(worker, 0) == nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("worker process %d still runs", worker)
		}
	}
}

// awaitBegun waits until enough says that enough requests were begun.
func (r recorder) awaitBegun(t *testing.T, enough func(map[int]int) bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(r.record); err == nil {
			if enough(r.begun(t)) {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatal("the application does not begin the requests")
		}
	}
}
