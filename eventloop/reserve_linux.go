package eventloop

import (
	"math"
	"time"

	"golang.org/x/sys/unix"
)

// Descriptors are left for what connections need while they are served: a handover takes
// two for a moment, a file one. So no more connections are accepted when few are left; the
// kernel lets them wait. Else as many silent clients as there are descriptors would stop
// everything but the answers of the loops.
const (
	reserveMost = 64
	reservePart = 8 // of all, if that is less
	reserveWait = 10 * time.Millisecond
	reserveTold = time.Minute // from one line in the log to the next
)

// lastDescriptor returns the number from which on a descriptor is one of the reserve. The
// kernel gives the lowest number that is free.
func lastDescriptor() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Cur > math.MaxInt32 {
		return math.MaxInt
	}
	n := int(limit.Cur)
	return n - min(reserveMost, n/reservePart)
}

// awaitDescriptors waits until the next descriptor is none of the reserve, if fd, the last one,
// is, or until the listener is closed: what the kernel has accepted then has to be served.
func (l *Listener) awaitDescriptors(fd int) {
	for fd >= l.lastDescriptor && !l.closing.Load() {
		if now := l.clock(); now >= l.nextTold {
			l.nextTold = now + reserveTold
			l.report("accept", errFewDescriptors)
		}
		time.Sleep(reserveWait)
		next, err := unix.FcntlInt(uintptr(l.loops[0].epfd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			continue
		}
		_ = unix.Close(next)
		fd = next
	}
}
