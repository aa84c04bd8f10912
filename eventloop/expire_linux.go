package eventloop

import (
	"errors"
	"os"
	"time"
)

// enqueue lets the wait of a connection begin. l.mu must be held.
func (l *loop) enqueue(s state, fd int, now time.Duration) {
	q := &l.queues[s]
	e := &l.entries[fd]
	if e.queue != nil {
		e.leave(l.entries, fd)
	}
	e.join(q, l.entries, fd, now)
	if q.timeout > 0 && (l.armed == 0 || l.armed > now+q.timeout) {
		l.arm(now + q.timeout)
	}
}

// arm sets when wait is to look for connections that have waited too long. A timer is
// dear, so that it is left alone when a wait ends: it is looked at when it fires. l.mu must be held.
func (l *loop) arm(at time.Duration) {
	l.armed = at
	var deadline time.Time
	if at > 0 {
		deadline = l.owner.epoch.Add(at)
	}
	err := l.file.SetReadDeadline(deadline)
	if l.owner.stopping.Load() {
		err = l.stop() // which this may have undone
	}
	if err != nil {
		l.owner.report("set timer", err)
	}
}

// stop makes wait return, once stopping is set.
func (l *loop) stop() error {
	err := l.file.SetReadDeadline(time.Unix(1, 0))
	if errors.Is(err, os.ErrClosed) {
		return nil // it has returned
	}
	return err
}

// expire closes what has waited too long, unless something has just come, and sets
// the timer for the next.
func (l *loop) expire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	now, next := l.owner.clock(), time.Duration(0)
	for s := range l.queues {
		q := &l.queues[s]
		at := q.deadline(l.entries)
		for ; at > 0 && at <= now; at = q.deadline(l.entries) {
			// What has come all the same was late perhaps only because this process was.
			l.dismiss(int(q.head) - 1)
		}
		if at > 0 && (next == 0 || at < next) {
			next = at
		}
	}
	l.arm(next)
}
