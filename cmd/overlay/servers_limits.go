package main

import (
	"fmt"
	"time"

	"overlay/pybridge"
)

// limitsInterval is how often the limits of a server process are looked at.
const limitsInterval = time.Second

// serverLimits holds a server process to what the command line allows one.
type serverLimits struct {
	workerLimits
	usage func(pid int) (cpu time.Duration, memory int64, err error)

	since time.Time     // age counts from here
	spent time.Duration // CPU time that does not count
}

// limitsOf returns the limits of a server process that was born then.
func (o *overseer) limitsOf(born time.Time) *serverLimits {
	return &serverLimits{workerLimits: o.cfg.WorkerLimits, usage: pybridge.ProcessUsage, since: born}
}

func (l *workerLimits) watched() bool { return l.RestartInterval > 0 || l.CPUTime > 0 || l.Memory > 0 }

// over says which limit the process has reached, or "".
func (l *serverLimits) over(pid int, now time.Time) string {
	if l.RestartInterval > 0 && now.Sub(l.since) >= l.RestartInterval {
		return fmt.Sprintf("restart interval of %v", l.RestartInterval)
	}
	if l.CPUTime <= 0 && l.Memory <= 0 {
		return ""
	}
	cpu, memory, err := l.usage(pid)
	switch {
	case err != nil: // it has ended
		return ""
	case l.CPUTime > 0 && cpu-l.spent >= l.CPUTime:
		return fmt.Sprintf("CPU time limit of %v", l.CPUTime)
	case l.Memory > 0 && memory >= l.Memory:
		return fmt.Sprintf("memory limit of %d bytes, it has %d", l.Memory, memory)
	}
	return ""
}

// extend lets the process go on past its limits, since it could not be replaced. Age and
// CPU time count from now on.
func (l *serverLimits) extend(pid int, now time.Time) {
	l.since = now
	if cpu, _, err := l.usage(pid); err == nil {
		l.spent = cpu
	}
}
