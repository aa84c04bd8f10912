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

// keep fills one place in the group: it starts a worker process, waits until
// that ends or asks to be replaced, and starts the next one.
func (g *group) keep() {
	defer g.keepers.Done()
	var b backoff
	for level := slog.LevelDebug; ; level = slog.LevelInfo { // the banner tells of the first one
		w, err := g.start()
		if g.stopped.Err() != nil {
			if w != nil {
				g.stopWorker(w)
			}
			return
		}
		if err != nil {
			g.logStartFailure(err)
			g.fail(startFailure(err))
			g.sayFirst()
			b.failures = max(b.failures, 1) // the same would happen at once again
			if !g.pause(b.pause()) {
				return
			}
			continue
		}
		born := time.Now()
		m := g.join(w)
		g.sayFirst()
		g.opts.Logger.Log(context.Background(), level, "worker process ready", "worker", w.PID())
		if !g.attend(m) {
			return
		}
		if time.Since(born) >= shortLife {
			b.failures = 0
			continue
		}
		d := b.pause()
		if d > 0 {
			g.opts.Logger.Error("worker processes end soon after their start", "lived", time.Since(born).Round(time.Millisecond), "next start in", d)
			g.fail(ErrNoWorker)
		}
		if !g.pause(d) {
			return
		}
	}
}

// start starts one worker process within the startup timeout.
func (g *group) start() (Worker, error) {
	ctx, cancel := context.WithTimeoutCause(g.stopped, g.opts.StartupTimeout,
		fmt.Errorf("startup timeout of %v", g.opts.StartupTimeout))
	defer cancel()
	return g.opts.Start(ctx)
}

// logStartFailure logs err with the traceback that it may carry.
func (g *group) logStartFailure(err error) {
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

// attend waits until the place of m has to be filled again. It reports false
// when the group ends.
func (g *group) attend(m *member) bool {
	select {
	case <-m.worker.Done():
		g.leave(m)
		return true
	case reason := <-m.worker.Leaving():
		g.opts.Logger.Info("worker process asks to be replaced", "worker", m.worker.PID(), "reason", reason)
		g.keepers.Add(1)
		go g.retire(m)
		return true
	case <-g.stopped.Done():
		g.finish(m)
		return false
	}
}

// retire ends m while another worker process takes its place.
func (g *group) retire(m *member) {
	defer g.keepers.Done()
	g.finish(m)
}

// finish lets m answer what it has, unless the group is in a hurry, and ends it.
func (g *group) finish(m *member) {
	g.leave(m)
	select {
	case <-m.drained:
	case <-m.worker.Done():
	case <-g.hurried.Done():
	}
	g.stopWorker(m.worker)
}

func (g *group) stopWorker(w Worker) {
	ctx, cancel := context.WithTimeout(context.Background(), g.opts.ShutdownTimeout)
	defer cancel()
	w.Stop(ctx)
}

// pause waits for d, or less when a request asks for a worker process. It
// reports false when the group ends.
func (g *group) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-g.retry:
		return true
	case <-g.stopped.Done():
		return false
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
