package fallthru

import "time"

// A worker process that answers quickly spends much of its time waiting for the
// next requests. So it is handed more of them than it has threads, as long as
// they wait for a thread there no longer than aheadTime, as far as the last
// answers tell. When its threads block all the same, it gives back what it has
// not begun (ErrGivenBack), and that waits in the queue again, with its turn
// and its deadline.
const (
	aheadTime = 2 * time.Millisecond
	// defaultAhead is how many requests for each thread are handed ahead, and
	// maxAhead how many in all.
	defaultAhead = 3
	maxAhead     = 64
	// paceMemory is how many answers the pace is remembered for.
	paceMemory = 32
	// slowPace is what a worker process begins with: nothing is handed ahead
	// until it has shown that it is quick.
	slowPace = 10 * time.Millisecond
)

// ahead returns how many requests beyond its threads a worker process may be
// handed at most.
func (o *GroupOptions) ahead() int {
	switch {
	case o.HandAhead < 0 || o.QueueBacklog < 0:
		return 0 // where none may wait, none waits there
	case o.HandAhead > 0:
		return min(o.HandAhead, maxAhead)
	}
	return min(defaultAhead*o.Threads, maxAhead)
}

// pace is the time from one answer of a worker process to the next, while it has
// requests.
type pace struct {
	mean time.Duration
	last time.Time // when it was given a request after it had none, or answered last
}

// begin notes that a worker process without requests gets one.
func (p *pace) begin() { p.last = time.Now() }

// answer notes an answer.
func (p *pace) answer() {
	now := time.Now()
	p.mean += (now.Sub(p.last) - p.mean) / paceMemory
	p.last = now
}

// mayAhead reports whether m may be handed a request although its threads are
// busy. g.mu must be held.
func (m *member) mayAhead() bool {
	return len(m.slots) > 0 && time.Duration(m.busy+1)*m.pace.mean <= aheadTime
}

// available reports whether m can be handed a request. g.mu must be held.
func (m *member) available() bool {
	return !m.full() && (m.busy < m.threads || m.mayAhead())
}
