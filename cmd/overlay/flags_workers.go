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
	k.cfg.ThreadsGiven = k.given["threads"] > 0
	if k.ResponseBufferSize < minResponseBuffer || k.ResponseBufferSize > maxResponseBuffer {
		return usagef("without it 1M of a response waits in memory", "--response-buffer-size: got %d bytes, want %d to %d",
			k.ResponseBufferSize, minResponseBuffer, maxResponseBuffer)
	}
	if k.ResponseSpoolSize > maxResponseBuffer {
		return usagef("beyond it the application waits for its client", "--response-spool-size: got %d bytes, want at most %d",
			k.ResponseSpoolSize, maxResponseBuffer)
	}
	k.cfg.ResponseBuffer, k.cfg.ResponseSpool = int(k.ResponseBufferSize), int64(k.ResponseSpoolSize)
	return k.reloading()
}

// Bounds of --response-buffer-size and --response-spool-size: two frames of a
// worker process, and what one of them may count ahead.
const (
	minResponseBuffer = 256 << 10
	maxResponseBuffer = 1 << 30
)

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
