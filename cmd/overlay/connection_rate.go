package main

import "time"

// transferRate bounds how slowly a client may send, as Apache's mod_reqtimeout
// does: there is a time to begin with, each byte received extends it by what the
// rate allows, and it ends at the maximum all the same. The zero value bounds
// nothing.
type transferRate struct {
	timeout time.Duration // before any byte counts; zero or less means no bound
	rate    int64         // bytes per second that keep the wait from ending; zero or less: bytes do not extend it
	maximum time.Duration // zero or less means none
}

// limit returns how long a transfer may have taken when received bytes are in,
// 0 for no bound.
func (r *transferRate) limit(received int64) time.Duration {
	if r.timeout <= 0 {
		return 0
	}
	limit := r.timeout
	if r.rate > 0 {
		received = min(received, 1<<40) // what the seconds of can be counted in nanoseconds
		limit += time.Duration(received/r.rate)*time.Second + time.Duration(received%r.rate)*time.Second/time.Duration(r.rate)
	}
	if r.maximum > 0 {
		limit = min(limit, r.maximum)
	}
	return limit
}
