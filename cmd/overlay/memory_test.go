package main

import (
	"runtime"
	"testing"
	"time"
)

func TestGarbagePercent(t *testing.T) {
	const mb = 1 << 20
	for _, tt := range []struct {
		name          string
		live, scanned uint64
		want          int
	}{
		{"nothing yet", 0, 0, 1},
		{"small server", 3 * mb, 2 * mb, 100},
		{"as large as the least", 8 * mb, 1 * mb, 100},
		{"cache of 64 MiB", 64 * mb, 4 * mb, 12},
		{"cache of 1 GiB", 1024 * mb, 8 * mb, 1},
		{"application with many pointers", 200 * mb, 150 * mb, 75},
		{"all of it pointers", 200 * mb, 210 * mb, 100},
	} {
		if got := garbagePercent(tt.live, tt.scanned); got != tt.want {
			t.Errorf("%s: garbagePercent(%d, %d) = %d, want %d", tt.name, tt.live, tt.scanned, got, tt.want)
		}
	}
}

// A server that holds much memory without pointers asks for a lower percentage.
func TestGarbageBoundAdjusts(t *testing.T) {
	var got int
	g := &garbageBound{percent: 100, set: func(percent int) { got = percent }}
	cached := make([]byte, 256<<20)
	runtime.GC()
	g.adjust()
	runtime.KeepAlive(cached)
	if got < 1 || got > 50 {
		t.Errorf("with 256 MiB of bytes: set(%d), want 1 to 50", got)
	}
	before := got
	got = 0
	g.adjust()
	if got != 0 {
		t.Errorf("set(%d) though nothing changed since %d", got, before)
	}
}

func TestAfterCollection(t *testing.T) {
	called := make(chan bool)
	over := make(chan struct{})
	defer close(over) // it is called on, for the rest of the process
	afterCollection(func() {
		select {
		case called <- true:
		case <-over:
		}
	})
	for range 2 { // and again after the first
		await(t, called)
	}
}

// await collects garbage until called receives. One collection may come before it is asked
// for the next time.
func await(t *testing.T, called chan bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		runtime.GC()
		select {
		case <-called:
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
	t.Fatal("not called after a collection")
}
