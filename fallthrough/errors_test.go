package fallthru

import (
	"errors"
	"fmt"
	"io"
	"testing"
)

// TestErrorMeanings holds what a client is told of each error, wrapped as
// callers wrap them.
func TestErrorMeanings(t *testing.T) {
	tests := []struct {
		name       string
		err        error
		status     int
		closes     bool
		retryAfter int
	}{
		{"queue full", ErrQueueFull, 503, false, 1},
		{"queue timeout", ErrQueueTimeout, 503, false, 1},
		{"stopping", ErrStopping, 503, false, 1},
		{"no worker process stays alive", ErrNoWorker, 503, false, 5},
		{"application cannot be loaded", ErrLoad, 500, false, 0},
		{"worker process ended", ErrWorkerGone, 502, false, 0},
		{"not handed over", ErrNotHandedOver, 500, false, 0}, // never gets that far: it is retried
		{"client gone", ErrClientGone, 499, true, 0},
		{"body too large", ErrBodyTooLarge, 413, true, 0},
		{"body too slow", ErrBodyTimeout, 408, true, 0},
		{"body broken", ErrBodyBroken, 400, true, 0},
		{"body not stored", ErrSpool, 500, true, 0},
		{"failure of the application", errApplication, 500, false, 0},
	}
	for _, tt := range tests {
		for _, err := range []error{tt.err, fmt.Errorf("here: %w: %w", tt.err, io.ErrUnexpectedEOF)} {
			t.Run(tt.name, func(t *testing.T) {
				if got := statusFor(err); got != tt.status {
					t.Errorf("statusFor(%v) = %d, want %d", err, got, tt.status)
				}
				if got := closesConnection(err); got != tt.closes {
					t.Errorf("closesConnection(%v) = %v, want %v", err, got, tt.closes)
				}
				if got := retryAfter(err); got != tt.retryAfter {
					t.Errorf("retryAfter(%v) = %d, want %d", err, got, tt.retryAfter)
				}
			})
		}
	}
}

// TestStartFailure: what requests get while no worker process can be started.
func TestStartFailure(t *testing.T) {
	load := fmt.Errorf("%w: no module named shop", ErrLoad)
	if got := startFailure(load); statusFor(got) != 500 || !errors.Is(got, ErrLoad) {
		t.Errorf("startFailure(%v) = %v, status %d, want ErrLoad and 500", load, got, statusFor(got))
	}
	other := errors.New("fork: out of memory")
	if got := startFailure(other); statusFor(got) != 503 || !errors.Is(got, ErrNoWorker) || !errors.Is(got, other) {
		t.Errorf("startFailure(%v) = %v, status %d, want ErrNoWorker around it and 503", other, got, statusFor(got))
	}
}
