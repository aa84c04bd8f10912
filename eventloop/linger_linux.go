package eventloop

import (
	"time"

	"golang.org/x/sys/unix"
)

// A loop that has just answered looks again a few times before it sleeps, and lets
// others have its processor in between. What they do meanwhile is often to send the next
// requests: clients on the same machine, or the kernel that works on what the
// network has brought. To be found awake saves both sides the wake-up, which costs
// as much as an answer, and more requests are found at once.
const (
	lingerPolls = 3
	// lingerLong is a time that no neighbour takes who has only a request to send. Where work of
	// another kind wants the processors, a loop that gives its own away would only come later.
	lingerLong = time.Millisecond
	lingerRest = 100 * time.Millisecond // how long it does not try again then
)

// linger is what a loop remembers of it.
type linger struct {
	yield     func()    // sched_yield(2)
	notBefore time.Time // no try until then
}

// poll returns how many events have come, 0 for none yet.
func (g *linger) poll(epfd int, events *[batch]unix.EpollEvent) int {
	begin := time.Now()
	if begin.Before(g.notBefore) {
		return 0
	}
	for range lingerPolls {
		g.yield()
		if n := poll(epfd, events); n > 0 {
			return n
		}
		if now := time.Now(); now.Sub(begin) > lingerLong {
			g.notBefore = now.Add(lingerRest)
			return 0
		}
	}
	return 0
}
