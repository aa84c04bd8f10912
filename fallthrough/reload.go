package fallthru

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// Reload replaces every worker process by one with the application's present
// code. The new ones are ready before the old ones finish. If the first does
// not get ready, nothing else happens: the old code goes on serving, and the
// error says why the new one does not.
func (h *Handler) Reload(ctx context.Context) error {
	var errs []error
	for _, m := range h.mounts {
		if err := m.group.reload(ctx); err != nil {
			errs = append(errs, fmt.Errorf("reload %s: %w", m.name(), err))
		}
	}
	return errors.Join(errs...)
}

func (m *mount) name() string {
	if m.path == "" {
		return "/"
	}
	return m.path
}

// reload replaces the worker processes: one first, and when that has worked,
// the others, one after the other or all at once.
func (g *group) reload(ctx context.Context) error {
	g.reloading.Lock()
	defer g.reloading.Unlock()
	if err := g.places[0].request(ctx, g.stopped); err != nil {
		return err
	}
	others := g.places[1:]
	if g.opts.Rolling {
		for _, k := range others {
			if err := k.request(ctx, g.stopped); err != nil {
				return err
			}
		}
		return nil
	}
	errs := make([]error, len(others))
	var all sync.WaitGroup
	for i, k := range others {
		all.Go(func() { errs[i] = k.request(ctx, g.stopped) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// request asks for a replacement and waits for it.
func (k *keeper) request(ctx, stopped context.Context) error {
	result := make(chan error, 1)
	select {
	case k.replace <- replacement{reason: "reload", stop: StopReload, result: result}:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-stopped.Done():
		return ErrStopping
	}
	select {
	case err := <-result:
		if errors.Is(err, errNothingToReplace) {
			return nil
		}
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-stopped.Done():
		return ErrStopping
	}
}
