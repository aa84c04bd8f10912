package main

import (
	"context"
	"time"
)

// keep sees to it that the server process of one place runs until ctx ends. first
// receives whether its application runs, once.
func (o *overseer) keep(ctx context.Context, place int, first chan<- error, reload <-chan chan error) {
	p := o.restart(ctx)
	if p == nil {
		return
	}
	err := o.await(ctx, p)
	first <- err
	able := o.note(err == nil, false)
	for {
		o.metrics.put(place, p)
		select {
		case <-ctx.Done():
			o.stop(p)
			return
		case answer := <-reload:
			successor, err := o.succeed(ctx)
			if err == nil {
				old := p
				p, able = successor, o.note(true, able)
				o.all.Go(func() { o.stop(old) })
			}
			answer <- err
		case <-p.ended:
			o.log.Error("server process ended", "process", p.cmd.Process.Pid, "state", p.cmd.ProcessState.String())
			o.note(false, able)
			if p, able = o.resurrect(ctx, p); p == nil {
				return
			}
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
// broken by now. able is whether its application runs.
func (o *overseer) resurrect(ctx context.Context, before *serverProcess) (p *serverProcess, able bool) {
	for ; o.pause(ctx, before) && o.able.Load() > 0; before = nil {
		p, err := o.succeed(ctx)
		if err == nil {
			return p, o.note(true, false)
		}
		o.log.Error("server process not replaced; the others go on serving", "error", err)
	}
	if p = o.restart(ctx); p == nil {
		return nil, false
	}
	return p, o.note(o.await(ctx, p) == nil, false)
}

// restart starts a server process that takes requests at once: for files, and for an
// application that says why it does not run. It returns nil when ctx ends before.
func (o *overseer) restart(ctx context.Context) *serverProcess {
	for ctx.Err() == nil {
		p, err := o.start("")
		if err == nil {
			return p
		}
		o.log.Error("server process not started", "error", err)
		o.pause(ctx, nil)
	}
	return nil
}

// pause waits a second before another try when the process before did not live long, or when
// there was none because the last try failed. It reports false when ctx ends meanwhile.
func (o *overseer) pause(ctx context.Context, before *serverProcess) bool {
	const shortLife, pause = 2 * time.Second, time.Second
	if before != nil && time.Since(before.born) >= shortLife {
		return ctx.Err() == nil
	}
	select {
	case <-time.After(pause):
	case <-ctx.Done():
	}
	return ctx.Err() == nil
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
