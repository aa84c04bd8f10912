package main

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"
)

// TestRespite: a server process that ends soon after its start has its successor at once, and
// the next ones ever later; while none serves, a second later at the most.
func TestRespite(t *testing.T) {
	const s = time.Second
	for _, tt := range []struct {
		name string
		able int32
		want []time.Duration
	}{
		{"others serve", 1, []time.Duration{0, s, 2 * s, 4 * s, 8 * s, 8 * s}},
		{"none serves", 0, []time.Duration{0, s, s, s, s, s}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &overseer{log: slog.New(slog.DiscardHandler)}
				o.able.Store(tt.able)
				var crashes respite
				for i, want := range tt.want {
					begun := time.Now()
					if answer, ok := o.pause(t.Context(), &crashes, nil); answer != nil || !ok {
						t.Fatalf("pause after failure %d: %v, %v", i+1, answer, ok)
					}
					if got := time.Since(begun); got != want {
						t.Errorf("pause after failure %d: %v, want %v", i+1, got, want)
					}
				}
			})
		})
	}
	if got := (&respite{1 << 40}).next(); got != lastRespite {
		t.Errorf("pause after very many failures: %v, want %v", got, lastRespite)
	}
}

// TestRespiteEnds: a reload, the end of the last process that serves, and that of overlay end
// a pause.
func TestRespiteEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &overseer{log: slog.New(slog.DiscardHandler)}
		pause := func(ctx context.Context, reload <-chan chan error) (chan error, bool, time.Duration) {
			o.able.Store(1)
			begun := time.Now()
			answer, ok := o.pause(ctx, &respite{100}, reload)
			return answer, ok, time.Since(begun)
		}
		reload := make(chan chan error)
		mine := make(chan error)
		go func() {
			time.Sleep(3 * time.Second)
			reload <- mine
		}()
		if answer, ok, took := pause(t.Context(), reload); answer != mine || !ok || took != 3*time.Second {
			t.Errorf("a reload after 3 s: %v, %v after %v, want its channel, true", answer, ok, took)
		}
		time.AfterFunc(2500*time.Millisecond, func() { o.able.Store(0) })
		if answer, ok, took := pause(t.Context(), reload); answer != nil || !ok || took != 3*time.Second {
			t.Errorf("the last one ends after 2.5 s: %v, %v after %v, want nil, true at the next look", answer, ok, took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, ok, took := pause(ctx, reload); ok || took != time.Second {
			t.Errorf("overlay ends after 1 s: %v after %v, want false", ok, took)
		}
	})
}
