package fallthru

import "testing"

// reasoned is a worker that is told why it is stopped.
type reasoned struct {
	Worker
	reasons []StopReason
}

func (w *reasoned) SetStopReason(reason StopReason) { w.reasons = append(w.reasons, reason) }

func TestTellReason(t *testing.T) {
	w := new(reasoned)
	tellReason(w, StopReload)
	tellReason(w, "") // it knows itself
	if len(w.reasons) != 1 || w.reasons[0] != StopReload {
		t.Errorf("told %q, want %q once", w.reasons, StopReload)
	}
	var deaf struct{ Worker }
	tellReason(deaf, StopReload) // and does not panic
}
