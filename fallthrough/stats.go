package fallthru

import (
	"errors"
	"sync/atomic"
)

// Stats is what a Handler has and has counted, at one moment.
type Stats struct {
	Groups []GroupStats // one for each mount, the longest path first
	// SpooledFiles and SpooledBytes are the temporary files of request bodies that
	// are held now, and what is in them.
	SpooledFiles, SpooledBytes int64
	BodyMemory                 int64 // bytes of memory that request bodies take now, in such files or not
}

// GroupStats is what one process group has and has counted.
type GroupStats struct {
	Mount string // "/" or "/prefix"

	Processes, ProcessLimit int // worker processes that take requests, and how many there may be
	Threads, ThreadsBusy    int // of those worker processes
	HandedAhead             int // requests that such a process has beyond its threads
	Queue, QueueLimit       int // requests that wait for a free thread, and how many may

	Answered uint64 // requests that a worker process has answered or failed
	// Unanswered counts requests without an answer of the application, by reason;
	// every reason is there from the start.
	Unanswered map[string]uint64
	// Stopped counts worker processes that are gone or being replaced, by reason:
	// those of StopReason, "crash" and "request_timeout". A stop of the group is none.
	Stopped       map[string]uint64
	StartFailures uint64 // starts that did not get ready
}

// Stats returns what there is at this moment. It takes the locks that requests
// take, for as long as a few of them.
func (h *Handler) Stats() Stats {
	s := Stats{SpooledFiles: h.spool.files.Load(), SpooledBytes: h.spool.bytes.Load(), BodyMemory: h.spool.memory.Load()}
	for i := range h.mounts {
		g := h.mounts[i].group.stats()
		g.Mount = h.mounts[i].name()
		s.Groups = append(s.Groups, g)
	}
	return s
}

func (g *group) stats() GroupStats {
	s := GroupStats{
		ProcessLimit: g.opts.Processes, QueueLimit: max(g.opts.QueueBacklog, 0),
		Unanswered: map[string]uint64{}, Stopped: map[string]uint64{},
		StartFailures: g.counts.startFailures.Load(),
	}
	for i, reason := range unansweredReasons {
		s.Unanswered[reason.name] += g.counts.unanswered[i].Load()
	}
	for i, reason := range stoppedReasons {
		s.Stopped[string(reason)] = g.counts.stopped[i].Load()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	s.Processes, s.Queue, s.Answered = len(g.members), g.queue.length, g.counts.answered
	for _, m := range g.members {
		s.Threads += m.threads
		s.ThreadsBusy += min(m.busy, m.threads)
		s.HandedAhead += max(m.busy-m.threads, 0)
	}
	return s
}

// counts is what a group counts for Stats.
type counts struct {
	answered      uint64 // guarded by group.mu
	unanswered    [len(unansweredReasons)]atomic.Uint64
	stopped       [len(stoppedReasons)]atomic.Uint64
	startFailures atomic.Uint64
}

// unansweredReasons names the errors of requests. The first that fits counts; the
// last one, without an error, is for the rest.
var unansweredReasons = [...]struct {
	name string
	err  error
}{
	{"queue_full", ErrQueueFull},
	{"queue_timeout", ErrQueueTimeout},
	{"request_timeout", ErrRequestTimeout},
	{"worker_gone", ErrWorkerGone},
	{"no_worker", ErrNoWorker},
	{"no_worker", ErrLoad},
	{"client_gone", ErrClientGone},
	{"body_too_large", ErrBodyTooLarge},
	{"body_timeout", ErrBodyTimeout},
	{"body_broken", ErrBodyBroken},
	{"stopping", ErrStopping},
	{"application", nil},
}

// fail counts a request that ended with err.
func (c *counts) fail(err error) {
	for i, reason := range unansweredReasons {
		if reason.err == nil || errors.Is(err, reason.err) {
			c.unanswered[i].Add(1)
			return
		}
	}
}

// Reasons beside those that an application is told.
const (
	stopCrash          StopReason = "crash"           // it ended by itself
	stopRequestTimeout StopReason = "request_timeout" // it asked to be replaced: a request could not be ended
)

var stoppedReasons = [...]StopReason{
	stopCrash, stopRequestTimeout, StopReload, StopMaximumRequests, StopRestartInterval, StopInactivity, StopCPUTime, StopMemory,
}

// stop counts a worker process that is gone or has a successor. "" stands for one
// that has asked for it.
func (c *counts) stop(why StopReason) {
	if why == "" {
		why = stopRequestTimeout
	}
	for i, reason := range stoppedReasons {
		if reason == why {
			c.stopped[i].Add(1)
		}
	}
}

// spoolCount counts the temporary files of request bodies that are held, and the memory of
// bodies.
type spoolCount struct{ files, bytes, memory atomic.Int64 }

// add notes n more bytes, in a new file or not. A nil count counts nothing.
func (c *spoolCount) add(files, n int64) {
	if c != nil {
		c.files.Add(files)
		c.bytes.Add(n)
	}
}

// addMemory notes that n bytes more are in use. A nil count counts nothing.
func (c *spoolCount) addMemory(n int) {
	if c != nil && n != 0 {
		c.memory.Add(int64(n))
	}
}
