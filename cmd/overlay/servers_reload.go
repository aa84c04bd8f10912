package main

import (
	"context"
	"os"
	"time"
)

// reload replaces the server processes, one after the other, with each hangup and, unless
// reloading is disabled, when the script changes, until ctx ends.
func (o *overseer) reload(ctx context.Context, hangup <-chan os.Signal, processes []chan chan error) {
	watch := &reloader{known: map[string]time.Time{}}
	if o.cfg.Reload.Script {
		watch.scripts = sourcesOf(o.cfg)
	}
	watch.changed(ctx)
	ticker := time.NewTicker(reloadInterval)
	defer ticker.Stop()
	for {
		why := "SIGHUP"
		select {
		case <-ctx.Done():
			return
		case <-hangup:
		case <-ticker.C:
			name := watch.changed(ctx)
			if name == "" {
				continue
			}
			why = name + " has changed"
		}
		o.log.Info("reloading the application", "reason", why)
		start := time.Now()
		switch err := o.replace(ctx, processes); {
		case err == nil:
			o.log.Info("the application is reloaded", "took", time.Since(start).Round(time.Millisecond))
		case ctx.Err() == nil:
			o.log.Error("not reloaded; the code from before goes on serving", "error", err)
		}
	}
}

func (o *overseer) replace(ctx context.Context, processes []chan chan error) error {
	for _, process := range processes {
		answer := make(chan error, 1)
		select {
		case process <- answer:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		select {
		case err := <-answer:
			if err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}
