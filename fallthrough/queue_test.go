package fallthru

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/valyala/fasthttp"
)

// TestQueueOrder: push, pop, remove and expire keep the order and the length.
func TestQueueOrder(t *testing.T) {
	tests := []struct {
		name   string
		remove []int // of five waiters, in this order
		want   []int
	}{
		{"nothing removed", nil, []int{0, 1, 2, 3, 4}},
		{"the first", []int{0}, []int{1, 2, 3, 4}},
		{"the last", []int{4}, []int{0, 1, 2, 3}},
		{"one between", []int{2}, []int{0, 1, 3, 4}},
		{"both ends", []int{0, 4}, []int{1, 2, 3}},
		{"all, backwards", []int{4, 3, 2, 1, 0}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var q queue
			all := make([]*waiter, 5)
			for i := range all {
				all[i] = &waiter{}
				q.push(all[i])
			}
			for _, i := range tt.remove {
				q.remove(all[i])
			}
			if q.length != len(tt.want) {
				t.Errorf("length = %d, want %d", q.length, len(tt.want))
			}
			var got []int
			for w := q.pop(); w != nil; w = q.pop() {
				got = append(got, slices.Index(all, w))
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("popped %v, want %v", got, tt.want)
			}
			if q.first != nil || q.last != nil || q.length != 0 {
				t.Errorf("an emptied queue has first %v, last %v, length %d", q.first, q.last, q.length)
			}
		})
	}
}

// TestQueuePutBack: waiters that come back stand where their deadline says, so that
// the first is the first to expire.
func TestQueuePutBack(t *testing.T) {
	now := time.Now()
	at := func(second int) *waiter { return &waiter{deadline: now.Add(time.Duration(second) * time.Second)} }
	for _, tt := range []struct {
		name    string
		waiting []int // seconds of their deadlines
		back    []int
		want    []int
	}{
		{"alone", nil, []int{5}, []int{5}},
		{"older than all", []int{7, 8}, []int{5}, []int{5, 7, 8}},
		{"between", []int{3, 8}, []int{5}, []int{3, 5, 8}},
		{"younger than all", []int{3, 4}, []int{5}, []int{3, 4, 5}},
		{"in any order", []int{9}, []int{7, 5, 6, 8}, []int{5, 6, 7, 8, 9}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var q queue
			for _, second := range tt.waiting {
				q.push(at(second))
			}
			for _, second := range tt.back {
				q.putBack(at(second))
			}
			if q.length != len(tt.want) {
				t.Errorf("length = %d, want %d", q.length, len(tt.want))
			}
			var got []int
			for w := q.pop(); w != nil; w = q.pop() {
				got = append(got, int(w.deadline.Sub(now).Seconds()))
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("popped %v, want %v", got, tt.want)
			}
		})
	}
	var q queue // without a queue timeout
	first, back := &waiter{}, &waiter{}
	q.push(first)
	q.putBack(back)
	if q.pop() != back || q.pop() != first {
		t.Error("without deadlines the one that comes back is not the next")
	}
}

// busyGroup makes a group of one thread that is taken, and returns what gives
// it back.
func busyGroup(t *testing.T, opts GroupOptions) (*group, *slot) {
	t.Helper()
	opts.Start = always(t, nil).start
	opts.Processes, opts.Threads = 1, 1
	g := newTestGroup(t, opts)
	synctest.Wait() // until it has its worker process
	s, err := g.acquire(nil)
	if err != nil {
		t.Fatal(err)
	}
	return g, s
}

// acquireLater asks for a thread in a goroutine of its own, and waits until
// that waits.
func acquireLater(g *group) <-chan result {
	done := make(chan result, 1)
	asked := time.Now()
	go func() {
		s, err := g.acquire(nil)
		done <- result{s, err, time.Since(asked)}
	}()
	synctest.Wait()
	return done
}

type result struct {
	slot   *slot
	err    error
	waited time.Duration
}

// TestQueueFirstInFirstOut: threads go to those who have waited longest, and
// somebody who comes later does not overtake them.
func TestQueueFirstInFirstOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, s := busyGroup(t, GroupOptions{QueueBacklog: 20})
		var order []int
		served := make(chan int)
		for i := range 20 {
			go func() {
				s, err := g.acquire(nil)
				if err != nil {
					t.Error(err)
					return
				}
				served <- i
				s.free()
			}()
			synctest.Wait()
		}
		s.free()
		for range 20 {
			order = append(order, <-served)
		}
		if !slices.IsSorted(order) {
			t.Errorf("served in the order %v", order)
		}
	})
}

func TestQueueBacklog(t *testing.T) {
	tests := []struct {
		name    string
		backlog int
		waiting int // that get a place
	}{
		{"three may wait", 3, 3},
		{"one may wait", 1, 1},
		{"the default", 0, DefaultQueueBacklog},
		{"none may wait", -1, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, s := busyGroup(t, GroupOptions{QueueBacklog: tt.backlog})
				var waiting []<-chan result
				for range tt.waiting {
					waiting = append(waiting, acquireLater(g))
				}
				if g.queue.length != tt.waiting {
					t.Fatalf("%d wait, want %d", g.queue.length, tt.waiting)
				}
				if r := <-acquireLater(g); !errors.Is(r.err, ErrQueueFull) || r.waited != 0 {
					t.Errorf("one more: %v after %v, want ErrQueueFull at once", r.err, r.waited)
				}
				s.free()
				for _, w := range waiting {
					r := <-w
					if r.err != nil {
						t.Fatal(r.err)
					}
					r.slot.free()
				}
			})
		})
	}
}

// TestQueueTimeout: a request waits exactly as long as the option says, and a
// thread that comes free one nanosecond before is still its own.
func TestQueueTimeout(t *testing.T) {
	const timeout = 3 * time.Second
	tests := []struct {
		name   string
		freed  time.Duration // when the thread comes free; 0 is never
		waited time.Duration
		err    error
	}{
		{"never free", 0, timeout, ErrQueueTimeout},
		{"free in time", timeout - time.Nanosecond, timeout - time.Nanosecond, nil},
		{"free too late", timeout + time.Nanosecond, timeout, ErrQueueTimeout},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, s := busyGroup(t, GroupOptions{QueueTimeout: timeout})
				if tt.freed > 0 {
					time.AfterFunc(tt.freed, s.free)
				} else {
					defer s.free()
				}
				r := <-acquireLater(g)
				if !errors.Is(r.err, tt.err) || r.waited != tt.waited {
					t.Errorf("acquire: %v after %v, want %v after %v", r.err, r.waited, tt.err, tt.waited)
				}
				time.Sleep(time.Second) // let the thread come free
				if r.err == nil {
					r.slot.free()
				}
				if g.queue.length != 0 {
					t.Errorf("%d still wait", g.queue.length)
				}
			})
		})
	}
}

// TestQueueTimeoutOfEach: each request has its own deadline, also behind one
// that got its thread and one that came when the queue had been empty.
func TestQueueTimeoutOfEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, s := busyGroup(t, GroupOptions{QueueTimeout: 10 * time.Second})
		served := acquireLater(g)
		time.Sleep(2 * time.Second)
		second := acquireLater(g)
		time.Sleep(3 * time.Second)
		third := acquireLater(g)
		s.free()
		r := <-served
		if r.err != nil {
			t.Fatal(r.err)
		}
		for _, w := range []<-chan result{second, third} {
			if r := <-w; !errors.Is(r.err, ErrQueueTimeout) || r.waited != 10*time.Second {
				t.Errorf("acquire: %v after %v, want ErrQueueTimeout after 10s", r.err, r.waited)
			}
		}
		time.Sleep(time.Hour)
		if w := <-acquireLater(g); !errors.Is(w.err, ErrQueueTimeout) || w.waited != 10*time.Second {
			t.Errorf("after an hour of quiet: %v after %v, want ErrQueueTimeout after 10s", w.err, w.waited)
		}
		r.slot.free()
	})
}

// TestQueueWithoutTimeout: a negative timeout is none.
func TestQueueWithoutTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, s := busyGroup(t, GroupOptions{QueueTimeout: -1})
		w := acquireLater(g)
		time.Sleep(1000 * time.Hour)
		s.free()
		r := <-w
		if r.err != nil || r.waited != 1000*time.Hour {
			t.Fatalf("acquire: %v after %v, want a thread after 1000h", r.err, r.waited)
		}
		r.slot.free()
	})
}

// TestQueueAnswers: the client gets 503 with Retry-After, at the very moment.
func TestQueueAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		block := make(chan struct{})
		serve := func(*fasthttp.RequestCtx, *Request) error { <-block; return nil }
		h := newTestHandler(t, Options{Mounts: []Mount{{Path: "/", Group: GroupOptions{
			Start: always(t, serve).start, Threads: 1, QueueBacklog: 1, QueueTimeout: 45 * time.Second,
		}}}})
		handle := func() (*fasthttp.RequestCtx, <-chan time.Duration) {
			ctx, took, begun := get(t, "/"), make(chan time.Duration, 1), time.Now()
			go func() {
				h.Handle(ctx)
				took <- time.Since(begun)
			}()
			synctest.Wait()
			return ctx, took
		}
		busy, busyTook := handle()
		queued, queuedTook := handle()
		refused, refusedTook := handle()
		if d := <-refusedTook; d != 0 {
			t.Errorf("with the queue full the answer took %v", d)
		}
		if d := <-queuedTook; d != 45*time.Second {
			t.Errorf("the queue timeout came after %v, want 45s", d)
		}
		for _, ctx := range []*fasthttp.RequestCtx{refused, queued} {
			if status, after := ctx.Response.StatusCode(), ctx.Response.Header.Peek("Retry-After"); status != 503 || string(after) != "1" {
				t.Errorf("status %d, Retry-After %q, want 503 and 1", status, after)
			}
			if ctx.Response.ConnectionClose() {
				t.Error("the connection is closed, and nothing is left unread on it")
			}
		}
		close(block)
		<-busyTook
		if status := busy.Response.StatusCode(); status != 200 {
			t.Errorf("the request that had the thread got %d", status)
		}
	})
}
