package fallthru

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// Usage is what a worker process has used of the machine.
type Usage struct {
	CPU    time.Duration // user and system time since its start
	Memory int64         // bytes resident now
}

// checkInterval is how often the limits of a worker process are looked at.
const checkInterval = time.Second

// attend waits until something has to happen to m.
func (k *keeper) attend(m *member) (event, replacement) {
	var tick <-chan time.Time
	if k.group.opts.watchesLimits() {
		ticker := time.NewTicker(checkInterval)
		defer ticker.Stop()
		tick = ticker.C
	}
	for {
		select {
		case <-m.worker.Done():
			return eventEnded, replacement{}
		case <-k.group.stopped.Done():
			return eventStop, replacement{}
		case reason := <-m.worker.Leaving():
			return eventReplace, replacement{reason: reason}
		case reason := <-m.used:
			return eventReplace, replacement{reason: reason, stop: StopMaximumRequests}
		case r := <-k.replace:
			return eventReplace, r
		case <-tick:
			if reason, stop := k.group.overLimit(m); stop != "" {
				return eventReplace, replacement{reason: reason, stop: stop}
			}
			if k.group.mayStop(m) {
				return eventSleep, replacement{}
			}
		}
	}
}

func (o *GroupOptions) watchesLimits() bool {
	return o.RestartInterval > 0 || o.CPUTimeLimit > 0 || o.MemoryLimit > 0 || o.InactivityTimeout > 0
}

// overLimit says which limit m has reached, in words and for the application, or "".
func (g *group) overLimit(m *member) (string, StopReason) {
	o := &g.opts
	if now := time.Now(); o.RestartInterval > 0 && !now.Before(m.extended.Add(o.RestartInterval)) {
		return fmt.Sprintf("restart interval of %v", o.RestartInterval), StopRestartInterval
	}
	if o.CPUTimeLimit <= 0 && o.MemoryLimit <= 0 {
		return "", ""
	}
	usage, err := m.worker.Usage()
	if err != nil {
		return "", "" // it is ending; Done tells
	}
	if o.CPUTimeLimit > 0 && usage.CPU-m.extendedCPU >= o.CPUTimeLimit {
		m.lastCPU = usage.CPU
		return fmt.Sprintf("CPU time limit of %v", o.CPUTimeLimit), StopCPUTime
	}
	if o.MemoryLimit > 0 && usage.Memory >= o.MemoryLimit {
		return fmt.Sprintf("memory limit of %d bytes, it has %d", o.MemoryLimit, usage.Memory), StopMemory
	}
	return "", ""
}

// extend lets m go on past its limits, since it could not be replaced. They
// are counted from now on.
func (g *group) extend(m *member) {
	g.mu.Lock()
	defer g.mu.Unlock()
	m.extended, m.extendedCPU = time.Now(), m.lastCPU
	if g.opts.MaximumRequests > 0 && !m.leaving { // it may have ended meanwhile
		m.served = 0
		g.serveQueue(m)
	}
}

// requestLimit returns how many requests a worker process may serve: up to a
// tenth less than the option says, so that those started together do not all
// go together.
func (o *GroupOptions) requestLimit() int {
	if o.MaximumRequests <= 0 {
		return 0
	}
	return o.MaximumRequests - rand.IntN(o.MaximumRequests/10+1)
}

// count notes that m takes a request. When four fifths of its requests are
// used it asks for a successor, which is ready, if it can be, when m has
// served the last one. g.mu must be held.
func (m *member) count() {
	m.lastUsed = time.Time{}
	if m.limit == 0 {
		return
	}
	m.served++
	if m.served == m.limit-m.limit/5 {
		select {
		case m.used <- fmt.Sprintf("maximum of %d requests", m.limit):
		default: // it has asked already
		}
	}
}

// full reports whether m takes no more requests. g.mu must be held.
func (m *member) full() bool { return m.limit > 0 && m.served >= m.limit }

// mayStop reports whether m has been idle for the inactivity timeout and is
// not one of those that stay.
func (g *group) mayStop(m *member) bool {
	if g.opts.InactivityTimeout <= 0 {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if m.busy > 0 || len(g.members) <= g.opts.ProcessesMin || g.queue.length > 0 {
		return false
	}
	if m.lastUsed.IsZero() || time.Since(m.lastUsed) < g.opts.InactivityTimeout {
		return false
	}
	g.takeOut(m) // under this lock, so that two members do not both count on the other
	return true
}

// fallAsleep counts one more place that is empty until a request needs it.
func (g *group) fallAsleep() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asleep++
	if g.queue.length > 0 {
		g.wakeOne() // it came while the place was being emptied
	}
}

// wakeOne has an empty place filled. g.mu must be held.
func (g *group) wakeOne() {
	if g.asleep == 0 {
		return
	}
	select {
	case g.wake <- struct{}{}:
		g.asleep-- // here, so that nobody is woken twice
	default: // one is being woken
	}
}
