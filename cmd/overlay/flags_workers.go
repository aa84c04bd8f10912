package main

import (
	"path/filepath"
	"strings"
)

// workers checks the options that replace worker processes.
func (k *checker) workers() error {
	if k.MaximumRequests < 0 {
		return usagef("0 means any number of requests", "--maximum-requests: got %d, want 0 or more", k.MaximumRequests)
	}
	least := 1
	if k.given["processes-min"] > 0 {
		if k.given["inactivity-timeout"] == 0 {
			return usagef("add --inactivity-timeout TIME", "--processes-min has no effect without --inactivity-timeout")
		}
		least = k.ProcessesMin
	}
	if least < 0 || least > k.Processes {
		return usagef("--processes says how many there are at most", "--processes-min: got %d, want 0 to %d", least, k.Processes)
	}
	k.cfg.WorkerLimits = workerLimits{
		MaximumRequests:   k.MaximumRequests,
		RestartInterval:   k.RestartInterval,
		CPUTime:           k.CPUTimeLimit,
		Memory:            int64(k.MemoryLimit),
		InactivityTimeout: k.InactivityTimeout,
		ProcessesMin:      least,
	}
	return k.reloading()
}

// reloading checks what makes the application reload.
func (k *checker) reloading() error {
	if k.DisableReloading && k.ReloadOnChanges {
		return usagef("keep one of them", "--disable-reloading and --reload-on-changes contradict each other")
	}
	if len(k.ReloadPattern) > 0 && !k.ReloadOnChanges {
		return usagef("add --reload-on-changes", "--reload-pattern has no effect without --reload-on-changes")
	}
	for _, pattern := range k.ReloadPattern {
		if _, err := filepath.Match(pattern, "name"); err != nil || strings.Contains(pattern, "/") {
			return usagef("for example: --reload-pattern '*.html'", "--reload-pattern: got %q, want a pattern of file names", pattern)
		}
	}
	if k.Rolling && k.Processes == 1 {
		return usagef("leave it out, or add --processes N", "--rolling has no effect with one worker process")
	}
	k.cfg.Reload = reloadConfig{
		Script:   !k.DisableReloading,
		Modules:  k.ReloadOnChanges,
		Patterns: k.ReloadPattern,
		Rolling:  k.Rolling,
	}
	return nil
}
