// Package faults breaks things under load and then accounts for every request
// that was sent: worker processes that are stopped, crash or hang, code that does
// not load, clients that are slow or leave. What a dead worker process held may
// fail with 502 or 504; nothing else may, and no answer may be somebody else's.
package faults
