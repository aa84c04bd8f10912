package fallthru

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// How fast a worker process that ends is replaced. One that served for a while
// is replaced at once. One that ends soon after its start, or does not start,
// is given a pause that doubles each time, so that a crash loop does not eat
// the machine.
const (
	shortLife    = 2 * time.Second
	firstBackoff = 250 * time.Millisecond
	maxBackoff   = 8 * time.Second
	// worthWaiting is the longest pause that requests wait for in the queue.
	worthWaiting = time.Second
	// retryPause is the least time between two starts that a request brings
	// forward: whoever repairs the application and reloads the page waits no
	// longer than this.
	retryPause = time.Second
)

// backoff counts the failures in a row of one place in the group.
type backoff struct{ failures int }

// pause returns how long to wait before the next start: nothing after the
// first failure, then ever longer.
func (b *backoff) pause() time.Duration {
	b.failures++
	if b.failures < 2 {
		return 0
	}
	d := firstBackoff << min(b.failures-2, 10)
	return min(d, maxBackoff)
}

// keeper fills one place in the group with one worker process after the other.
type keeper struct {
	group    *group
	failures backoff
	replace  chan replacement // asks for another worker process in this place
	level    slog.Level       // of the message that one is ready: the banner tells of the first
}

// replacement asks a keeper to put another worker process into its place.
type replacement struct {
	reason string
	stop   StopReason
	result chan<- error // receives nil when the successor is ready, or why it is not; may be nil
}

// event is why a keeper stops attending a worker process.
type event int

const (
	eventEnded event = iota // the worker process is gone
	eventReplace
	eventSleep // nothing to do: the place may be empty
	eventStop  // the group ends
)

// keep runs until the group ends.
func (k *keeper) keep() {
	g := k.group
	defer g.keepers.Done()
	m := k.fill()
	for m != nil {
		what, why := k.attend(m)
		switch what {
		case eventStop:
			g.finish(m, StopServer)
			return
		case eventEnded:
			g.counts.stop(stopCrash)
			g.leave(m)
			if !k.rest(time.Since(m.born)) {
				return
			}
			m = k.fill()
		case eventReplace:
			if next := k.succeed(m, why); next != nil {
				m = next
			}
		case eventSleep:
			k.group.opts.Logger.Info("worker process is stopped: nothing to do", "worker", m.worker.PID(), "inactivity_timeout", g.opts.InactivityTimeout)
			g.counts.stop(StopInactivity)
			g.finish(m, StopInactivity)
			if !k.sleep() {
				return
			}
			m = k.fill()
		}
	}
}

// fill starts worker processes until one is ready, and lets it take requests.
// It returns nil when the group ends.
func (k *keeper) fill() *member {
	for {
		m, err := k.start()
		if m != nil || k.group.stopped.Err() != nil {
			return m
		}
		k.group.fail(startFailure(err))
		k.group.sayFirst()
		k.failures.failures = max(k.failures.failures, 1) // the same would happen at once again
		if !k.pause(k.failures.pause()) {
			return nil
		}
	}
}

// start starts one worker process and lets it take requests when it is ready.
func (k *keeper) start() (*member, error) {
	g := k.group
	ctx, cancel := context.WithTimeoutCause(g.stopped, g.opts.StartupTimeout,
		fmt.Errorf("startup timeout of %v", g.opts.StartupTimeout))
	defer cancel()
	w, err := g.opts.Start(ctx)
	if g.stopped.Err() != nil {
		if err == nil {
			g.stopWorker(w, StopServer)
		}
		return nil, ErrStopping
	}
	if err != nil {
		g.counts.startFailures.Add(1)
		g.logStartFailure(err)
		return nil, err
	}
	m := g.join(w)
	g.sayFirst()
	g.opts.Logger.Log(context.Background(), k.level, "worker process ready", "worker", w.PID())
	k.level = slog.LevelInfo
	return m, nil
}

// logStartFailure logs err with the traceback that it may carry, the same one
// only once.
func (g *group) logStartFailure(err error) {
	g.mu.Lock()
	again := g.lastFailure == err.Error()
	g.lastFailure = err.Error()
	g.mu.Unlock()
	if again {
		g.opts.Logger.Warn("worker process not started, for the same reason as before", "error", err)
		return
	}
	attrs := []any{"error", err}
	var t Tracebacker
	if errors.As(err, &t) {
		attrs = append(attrs, "traceback", t.Traceback())
	}
	g.opts.Logger.Error("worker process not started", attrs...)
}

func startFailure(err error) error {
	if errors.Is(err, ErrLoad) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrNoWorker, err)
}

// rest waits after a worker process that has lived so long. It reports false
// when the group ends.
func (k *keeper) rest(lived time.Duration) bool {
	if lived >= shortLife {
		k.failures.failures = 0
		return k.group.stopped.Err() == nil
	}
	d := k.failures.pause()
	if d > 0 {
		k.group.opts.Logger.Error("worker processes end soon after their start", "lived", lived.Round(time.Millisecond), "next start in", d)
	}
	if d >= worthWaiting {
		k.group.fail(ErrNoWorker)
	}
	return k.pause(d)
}

// succeed starts a worker process and, when it is ready, lets m finish. When
// it does not get ready, m goes on: old code that runs is better than new code
// that does not. It returns the successor, or nil.
func (k *keeper) succeed(m *member, why replacement) *member {
	g := k.group
	g.opts.Logger.Info("worker process is being replaced", "worker", m.worker.PID(), "reason", why.reason)
	next, err := k.start()
	if why.result != nil {
		why.result <- err
	}
	if err != nil {
		if g.stopped.Err() == nil {
			g.opts.Logger.Warn("the old worker process goes on", "worker", m.worker.PID())
			g.extend(m)
		}
		return nil
	}
	g.counts.stop(why.stop)
	g.keepers.Add(1)
	go func() {
		defer g.keepers.Done()
		g.finish(m, why.stop)
	}()
	return next
}

// finish lets m answer what it has, for the graceful timeout unless the group
// is in a hurry, and ends it.
func (g *group) finish(m *member, reason StopReason) {
	g.leave(m)
	timer := time.NewTimer(g.opts.GracefulTimeout)
	defer timer.Stop()
	select {
	case <-m.drained:
	case <-m.worker.Done():
	case <-timer.C:
		select {
		case <-m.drained: // there was nothing to wait for
		default:
			g.opts.Logger.Warn("worker process is stopped before it has finished", "worker", m.worker.PID(), "graceful_timeout", max(g.opts.GracefulTimeout, 0))
		}
	case <-g.hurried.Done():
	}
	g.stopWorker(m.worker, reason)
}

func (g *group) stopWorker(w Worker, reason StopReason) {
	tellReason(w, reason)
	ctx, cancel := context.WithTimeout(context.Background(), g.opts.ShutdownTimeout)
	defer cancel()
	w.Stop(ctx)
}

// pause waits for d, or less when a request or a reload asks for a worker
// process. It reports false when the group ends.
func (k *keeper) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-k.group.retry:
		return true
	case r := <-k.replace:
		if r.result != nil {
			r.result <- errNothingToReplace
		}
		return true
	case <-k.group.stopped.Done():
		return false
	}
}

// errNothingToReplace answers a replacement of a worker process that is not
// there: one is started anyway.
var errNothingToReplace = errors.New("fallthru: no worker process to replace; one is being started")

// sleep waits until a request needs a worker process. It reports false when
// the group ends.
func (k *keeper) sleep() bool {
	k.group.fallAsleep()
	for {
		select {
		case <-k.group.wake:
			return true
		case r := <-k.replace:
			if r.result != nil {
				r.result <- nil // the next one is a new one
			}
		case <-k.group.stopped.Done():
			return false
		}
	}
}

// askRetry brings the next start forward, but not more often than each
// retryPause. g.mu must be held.
func (g *group) askRetry() {
	if time.Since(g.failedAt) < retryPause {
		return
	}
	select {
	case g.retry <- struct{}{}:
	default:
	}
}

func (g *group) sayFirst() { g.first.Do(func() { close(g.firstEnd) }) }

// wait returns when the first worker process is ready, or why it is not.
func (g *group) wait(ctx context.Context) error {
	select {
	case <-g.firstEnd:
	case <-g.stopped.Done():
		return ErrStopping
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.members) > 0 {
		return nil
	}
	return g.failure
}

// end refuses new requests, lets the worker processes finish what they have,
// and ends them. When ctx ends first, they are ended with what they have.
func (g *group) end(ctx context.Context) {
	g.mu.Lock()
	g.stopping = true
	g.queue.failAll(ErrStopping)
	g.mu.Unlock()
	g.stop()
	cancel := context.AfterFunc(ctx, g.hurry)
	defer cancel()
	g.keepers.Wait()
}
