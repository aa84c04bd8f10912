package fallthru

import (
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// TestStats: what a scrape finds while one request runs, one waits and one was
// refused, and after all of them.
func TestStats(t *testing.T) {
	began, let := make(chan struct{}, 10), make(chan struct{})
	starts := always(t, func(*fasthttp.RequestCtx, *Request) error {
		began <- struct{}{}
		<-let
		return nil
	})
	h := newTestHandler(t, Options{Mounts: []Mount{
		{Path: "/app", Group: GroupOptions{Start: starts.start, Processes: 1, Threads: 1, QueueBacklog: 1, HandAhead: -1}},
		{Path: "/broken", Group: GroupOptions{Start: starts.start, Processes: 2, QueueBacklog: -1}},
	}})
	waitFor(t, "worker processes", func() bool {
		s := h.Stats()
		return s.Groups[0].Processes == 2 && s.Groups[1].Processes == 1
	})
	done := make(chan struct{}, 2)
	handle := func() {
		ctx := get(t, "/app/x")
		go func() { h.Handle(ctx); done <- struct{}{} }()
	}
	handle()
	<-began
	handle()
	waitFor(t, "a waiting request", func() bool { return h.Stats().Groups[1].Queue == 1 })
	h.Handle(get(t, "/app/x"))

	g := h.Stats().Groups[1]
	if g.Mount != "/app" || g.ProcessLimit != 1 || g.Threads != 1 || g.ThreadsBusy != 1 || g.QueueLimit != 1 ||
		g.Answered != 0 || g.Unanswered["queue_full"] != 1 || g.Unanswered["queue_timeout"] != 0 {
		t.Errorf("while it is busy: %+v", g)
	}
	close(let)
	<-done
	<-done
	g = h.Stats().Groups[1]
	if g.Threads != 1 || g.ThreadsBusy != 0 || g.Queue != 0 || g.Answered != 2 || g.Unanswered["queue_full"] != 1 {
		t.Errorf("when it is idle again: %+v", g)
	}
	if limit := h.Stats().Groups[0].QueueLimit; limit != 0 {
		t.Errorf("queue limit %d where none may wait", limit)
	}
	// A worker process that ends and one that asks to be replaced.
	starts.worker(1).die()
	starts.worker(2).leaving <- "a request cannot be ended"
	starts.worker(3).leaving <- "a request cannot be ended"
	stopped := func(reason string) (n uint64) {
		for _, g := range h.Stats().Groups {
			n += g.Stopped[reason]
		}
		return n
	}
	waitFor(t, "both to be counted", func() bool { return stopped("crash") == 1 && stopped("request_timeout") == 2 })
	waitFor(t, "all places to be filled", func() bool {
		successors := 0
		for _, m := range h.mounts {
			m.group.mu.Lock()
			for _, member := range m.group.members {
				if member.worker.PID() > 3 {
					successors++
				}
			}
			m.group.mu.Unlock()
		}
		return successors == 3
	})
	if err := h.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "three to be counted as reloaded", func() bool { return stopped("script_reload") == 3 })
	if _, there := h.Stats().Groups[0].Stopped["maximum_requests"]; !there {
		t.Error("a reason that has not occurred is missing")
	}
}

func TestStatsOfTimeouts(t *testing.T) {
	let := make(chan struct{})
	starts := always(t, func(*fasthttp.RequestCtx, *Request) error { <-let; return ErrRequestTimeout })
	h := newTestHandler(t, Options{Mounts: []Mount{{Path: "/", Group: GroupOptions{
		Start: starts.start, Threads: 1, HandAhead: -1, QueueTimeout: time.Millisecond}}}})
	if err := h.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, done := get(t, "/"), make(chan struct{})
	go func() { h.Handle(ctx); close(done) }()
	waitFor(t, "the thread to be busy", func() bool { return h.Stats().Groups[0].ThreadsBusy == 1 })
	h.Handle(get(t, "/"))
	close(let)
	<-done
	if n := h.Stats().Groups[0].Unanswered; n["queue_timeout"] != 1 || n["request_timeout"] != 1 {
		t.Errorf("counted %v", n)
	}
}

// TestStatsOfSpool: a body in a file is counted as long as it is held.
func TestStatsOfSpool(t *testing.T) {
	var during Stats
	var h *Handler
	starts := always(t, func(*fasthttp.RequestCtx, *Request) error { during = h.Stats(); return nil })
	h = newTestHandler(t, Options{Mounts: []Mount{{Path: "/", Group: GroupOptions{Start: starts.start}}}})
	if err := h.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name         string
		size         int
		files, bytes int64
	}{{"in memory", memoryBody, 0, 0}, {"in a file", memoryBody + 1, 1, memoryBody + 1}} {
		h.Handle(bodyCtx(strings.NewReader(strings.Repeat("x", row.size)), row.size))
		if during.SpooledFiles != row.files || during.SpooledBytes != row.bytes {
			t.Errorf("%s: %d files with %d bytes, want %d and %d", row.name, during.SpooledFiles, during.SpooledBytes, row.files, row.bytes)
		}
		if during.BodyMemory < firstBuffer || during.BodyMemory > memoryBody+1 {
			t.Errorf("%s: %d bytes of memory, want %d to %d", row.name, during.BodyMemory, firstBuffer, memoryBody+1)
		}
		if after := h.Stats(); after.SpooledFiles != 0 || after.SpooledBytes != 0 || after.BodyMemory != 0 {
			t.Errorf("%s, afterwards: %d files with %d bytes, %d bytes of memory", row.name, after.SpooledFiles, after.SpooledBytes, after.BodyMemory)
		}
	}
}
