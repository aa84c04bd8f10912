package main

import (
	"context"
	"time"
)

// keep sees to it that the server process of one place runs until ctx ends. first
// receives whether its application runs, once.
func (o *overseer) keep(ctx context.Context, place int, first chan<- error, reload <-chan chan error) {
	p := o.restart(ctx, new(respite), reload)
	if p == nil {
		return
	}
	err := o.await(ctx, p)
	first <- err
	able := o.note(err == nil, false)
	var crashes respite
	var look <-chan time.Time
	if o.cfg.WorkerLimits.watched() {
		ticker := time.NewTicker(limitsInterval)
		defer ticker.Stop()
		look = ticker.C
	}
	limits := o.limitsOf(p.born)
	replace := func() error {
		successor, err := o.succeed(ctx)
		if err != nil {
			return err
		}
		old := p
		p, able, limits = successor, o.note(true, able), o.limitsOf(successor.born)
		o.all.Go(func() { o.stop(old) })
		return nil
	}
	for {
		o.metrics.put(place, p)
		select {
		case <-ctx.Done():
			o.stop(p)
			return
		case answer := <-reload:
			answer <- replace()
		case <-look:
			reason := limits.over(p.cmd.Process.Pid, time.Now())
			if reason == "" {
				continue
			}
			o.log.Info("server process is being replaced", "process", p.cmd.Process.Pid, "reason", reason)
			if err := replace(); err != nil && ctx.Err() == nil {
				o.log.Warn("the old server process goes on", "process", p.cmd.Process.Pid, "error", err)
				limits.extend(p.cmd.Process.Pid, time.Now())
			}
		case <-p.ended:
			o.log.Error("server process ended", "process", p.cmd.Process.Pid, "state", p.cmd.ProcessState.String())
			o.note(false, able)
			if time.Since(p.born) >= shortLife {
				crashes = respite{}
			}
			if p, able = o.resurrect(ctx, &crashes, reload); p == nil {
				return
			}
			limits = o.limitsOf(p.born)
		}
	}
}

// note counts a process whose application runs, or no longer does. It returns now.
func (o *overseer) note(now, before bool) bool {
	switch {
	case now && !before:
		o.able.Add(1)
	case before && !now:
		o.able.Add(-1)
	}
	return now
}

// resurrect starts a server process for one that has ended. As long as another one serves the
// application, it takes no requests before it can do so as well: the code may be
// broken by now. able is whether its application runs. A reload meanwhile is told what
// became of the next try.
func (o *overseer) resurrect(ctx context.Context, crashes *respite, reload <-chan chan error) (p *serverProcess, able bool) {
	for {
		answer, ok := o.pause(ctx, crashes, reload)
		if !ok {
			return nil, false
		}
		if o.able.Load() == 0 {
			if p = o.restart(ctx, crashes, reload); p == nil {
				return nil, false
			}
			err := o.await(ctx, p)
			if answer != nil {
				answer <- err
			}
			return p, o.note(err == nil, false)
		}
		p, err := o.succeed(ctx)
		if answer != nil {
			answer <- err
		}
		if err == nil {
			return p, o.note(true, false)
		}
		o.log.Error("server process not replaced; the others go on serving", "error", err)
	}
}

// restart starts a server process that takes requests at once: for files, and for an
// application that says why it does not run. It returns nil when ctx ends before.
func (o *overseer) restart(ctx context.Context, crashes *respite, reload <-chan chan error) *serverProcess {
	for ctx.Err() == nil {
		p, err := o.start("")
		if err == nil {
			return p
		}
		o.log.Error("server process not started", "error", err)
		answer, _ := o.pause(ctx, crashes, reload)
		if answer != nil {
			answer <- err
		}
	}
	return nil
}

// respite counts the server processes of one place that ended soon after their start, or did
// not become ready, in a row.
type respite struct{ failures int }

// next returns the pause before another try: none after the first failure that follows
// a while of service, then a second, and twice as long each time.
func (r *respite) next() time.Duration {
	r.failures++
	if r.failures < 2 {
		return 0
	}
	return min(firstRespite<<min(r.failures-2, 10), lastRespite)
}

// A server process that ends before shortLife is over is one of a crash loop.
const (
	shortLife    = 2 * time.Second
	firstRespite = time.Second
	lastRespite  = 8 * time.Second
)

// pause waits before another try. While no process serves, it waits for firstRespite at the
// most: clients that have connected wait as well, and nobody else tells them anything. A
// reload ends it, and is to be told through answer what becomes of the try. It reports false
// when ctx ends meanwhile.
func (o *overseer) pause(ctx context.Context, crashes *respite, reload <-chan chan error) (answer chan error, ok bool) {
	length := crashes.next()
	if length > 0 {
		o.log.Error("server processes end soon after their start", "next start in", length)
	}
	for end := time.Now().Add(length); ; {
		left := time.Until(end)
		if left <= 0 || o.able.Load() == 0 && length-left >= firstRespite {
			return nil, ctx.Err() == nil
		}
		select {
		case <-time.After(min(left, firstRespite)):
		case answer := <-reload:
			return answer, true
		case <-ctx.Done():
			return nil, false
		}
	}
}

// succeed starts a server process that takes the place of another, and waits
// until its application runs. One whose application does not is ended.
func (o *overseer) succeed(ctx context.Context) (*serverProcess, error) {
	p, err := o.start(successorWord + " ")
	if err != nil {
		return nil, err
	}
	if err := o.await(ctx, p); err != nil {
		o.all.Go(func() { o.stop(p) })
		return nil, err
	}
	return p, nil
}

// await waits until the application of p runs, or it is known why it does not.
func (o *overseer) await(ctx context.Context, p *serverProcess) error {
	select {
	case err := <-p.ready:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
