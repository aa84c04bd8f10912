package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"overlay/fallthrough"
	"overlay/pybridge"

	"github.com/valyala/fasthttp"
)

// pythonHost is what runs the application: a worker process, or the interpreter
// inside this process.
type pythonHost interface {
	Serve(ctx *fasthttp.RequestCtx, r *pybridge.Request, free func()) error
	PID() int
	Done() <-chan struct{}
	Leaving() <-chan string
	Usage() (cpu time.Duration, memory int64, err error)
	Stop(ctx context.Context)
}

// starter returns what starts the application where cfg wants it.
func starter(cfg *config, options pybridge.Options, workers *workerSet) fallthru.Starter {
	if !cfg.Application.Embedded {
		return func(ctx context.Context) (fallthru.Worker, error) { return startWorker(ctx, options, workers) }
	}
	return func(ctx context.Context) (fallthru.Worker, error) {
		e, err := pybridge.StartEmbedded(ctx, options)
		if err != nil {
			return nil, startError(err)
		}
		return pythonWorker{e}, nil
	}
}

// groupSize returns how many hosts of the application this process has. In
// embedded mode the others are in server processes of their own.
func groupSize(cfg *config) int {
	if cfg.Application.Embedded {
		return 1
	}
	return cfg.Processes
}

// embedded checks --embedded-mode against what has no meaning with it: the
// server process cannot be replaced while it serves.
func (k *checker) embedded() error {
	k.cfg.Application.Embedded = k.EmbeddedMode
	if !k.EmbeddedMode {
		return nil
	}
	if !pybridge.EmbeddedAvailable {
		return usagef("build with CGO_ENABLED=1", "--embedded-mode is not part of this build of overlay")
	}
	if k.CacheSelf != "" && k.Processes > 1 {
		return usagef("leave out one of them", "--cache-self with --embedded-mode --processes %d: only one server process can listen there", k.Processes)
	}
	if len(k.cfg.MoreApplications) > 0 {
		return usagef("leave out one of them", "--mount with --embedded-mode: one server process hosts one application")
	}
	for _, option := range []string{
		"maximum-requests", "inactivity-timeout", "processes-min", "reload-on-changes", "reload-pattern", "rolling", "deadlock-timeout",
	} {
		if k.given[option] > 0 {
			return usagef("leave out one of them", "--%s has no effect with --embedded-mode: worker processes have it", option)
		}
	}
	for _, option := range []string{"restart-interval", "cpu-time-limit", "memory-limit", "disable-reloading"} {
		if k.Processes == 1 && k.given[option] > 0 {
			return usagef("add --processes N", "--%s has no effect with --embedded-mode: one server process cannot be replaced", option)
		}
	}
	k.cfg.Reload = reloadConfig{Script: k.Processes > 1 && !k.DisableReloading}
	return nil
}

// checkEmbedded finds out whether the interpreter python can be embedded, if it
// is to be. The error is for whoever typed the command.
func checkEmbedded(ctx context.Context, cfg *config, python string) error {
	if !cfg.Application.Embedded {
		return nil
	}
	_, err := pybridge.Library(ctx, python)
	if errors.Is(err, pybridge.ErrNoLibrary) {
		return withHint(fmt.Errorf("--embedded-mode: %w", err), "leave out --embedded-mode: worker processes need no library")
	}
	return err
}
