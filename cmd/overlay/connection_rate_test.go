package main

import (
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

func TestTransferRate(t *testing.T) {
	const s = time.Second
	for _, row := range []struct {
		name     string
		rate     transferRate
		received int64
		want     time.Duration
	}{
		{"no bound", transferRate{rate: 500, maximum: 30 * s}, 100, 0},
		{"nothing received", transferRate{15 * s, 500, 30 * s}, 0, 15 * s},
		{"a second for each 500 bytes", transferRate{15 * s, 500, 30 * s}, 1000, 17 * s},
		{"a part of a second", transferRate{15 * s, 500, 30 * s}, 250, 15*s + s/2},
		{"at the maximum", transferRate{15 * s, 500, 30 * s}, 7500, 30 * s},
		{"not past the maximum", transferRate{15 * s, 500, 30 * s}, 1 << 40, 30 * s},
		{"no maximum", transferRate{15 * s, 500, 0}, 1 << 20, 15*s + (1<<20)*s/500},
		{"no rate", transferRate{15 * s, 0, 30 * s}, 1 << 20, 15 * s},
	} {
		if got := row.rate.limit(row.received); got != row.want {
			t.Errorf("%s: limit(%d) = %v, want %v", row.name, row.received, got, row.want)
		}
	}
}

// TestSlowSenderDeadlines: a body that trickles is cut by its rate although it is
// never silent, and one that keeps the rate is not; by a clock that the test moves.
func TestSlowSenderDeadlines(t *testing.T) {
	now := time.Hour
	limits := timeouts{
		header: 15 * time.Second, headerRate: 500, headerMaximum: 30 * time.Second,
		socket: time.Minute, body: transferRate{timeout: 15 * time.Second, rate: 500},
		now: func() time.Duration { return now },
	}
	c := newConnection(nil, &limits)
	start := now
	c.enter(phaseHead)
	if got := c.readDeadline() - start; got != 15*time.Second {
		t.Errorf("head: deadline after %v, want 15s", got)
	}
	c.received = 1000
	if got := c.readDeadline() - start; got != 17*time.Second {
		t.Errorf("head with 1000 bytes: deadline after %v, want 17s", got)
	}
	c.received = 1 << 20
	if got := c.readDeadline() - start; got != 30*time.Second {
		t.Errorf("head with 1 MiB: deadline after %v, want 30s", got)
	}
	_ = c.SetReadDeadline(time.Time{}) // the body begins
	for second := range 100 {
		c.received += 100 // a fifth of the rate
		deadline := c.readDeadline() - start
		want := min(15*time.Second+time.Duration(second+1)*time.Second/5, now-start+time.Minute)
		if deadline != want {
			t.Fatalf("trickling body, second %d: deadline after %v, want %v", second, deadline, want)
		}
		now += time.Second
	}
	connectionState(c, fasthttp.StateIdle)
	connectionState(c, fasthttp.StateActive)
	_ = c.SetReadDeadline(time.Time{})
	for range 1000 {
		c.received += 500
		if deadline := c.readDeadline(); deadline <= now {
			t.Fatal("a body that keeps the rate was cut")
		}
		now += time.Second
	}
}
