package fallthru

// StopReason says why a worker process is stopped, in the words that mod_wsgi has
// for its event process_stopping; memory_limit is ours. "" says that the worker
// process asked to be replaced, and knows why.
type StopReason string

// The reasons of this package.
const (
	StopServer          StopReason = "shutdown_signal" // the server stops
	StopReload          StopReason = "script_reload"
	StopMaximumRequests StopReason = "maximum_requests"
	StopRestartInterval StopReason = "restart_interval"
	StopInactivity      StopReason = "inactivity_timeout"
	StopCPUTime         StopReason = "cpu_time_limit"
	StopMemory          StopReason = "memory_limit"
)

// ReasonTaker is a Worker that tells its application why it is stopped.
// SetStopReason is called before Stop.
type ReasonTaker interface{ SetStopReason(reason StopReason) }

func tellReason(w Worker, reason StopReason) {
	if t, ok := w.(ReasonTaker); ok && reason != "" {
		t.SetStopReason(reason)
	}
}
