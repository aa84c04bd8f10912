package main

import (
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// garbageLeast is the garbage that may always pile up between two collections, in
// bytes.
const garbageLeast = 8 << 20

// boundGarbage keeps the garbage of this process within bounds that do not grow with
// --cache-size. Go lets as much garbage pile up as there is living memory: a full
// cache of 256 MiB would cost 512. But a collection's work is in the memory that may
// hold pointers, and cached files hold none: so that is what the garbage follows here.
//
// Whoever sets GOGC or GOMEMLIMIT knows better, and nothing is done then. It may be
// called once in a process.
func boundGarbage() {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	g := &garbageBound{percent: 100, set: func(percent int) { debug.SetGCPercent(percent) }}
	afterCollection(g.adjust)
}

// afterCollection calls fn after each garbage collection.
func afterCollection(fn func()) {
	type canary struct{ _ [16]byte } // as large as is never allocated together with others
	var again func(*canary)
	again = func(c *canary) {
		fn()
		runtime.SetFinalizer(c, again)
	}
	runtime.SetFinalizer(new(canary), again)
}

// garbageBound is the setting of boundGarbage in force. Only the goroutine of the
// finalizers touches it.
type garbageBound struct {
	percent int // as GOGC has it
	set     func(percent int)
	samples [2]metrics.Sample
}

// adjust follows what the last collection found.
func (g *garbageBound) adjust() {
	g.samples[0].Name, g.samples[1].Name = "/gc/heap/live:bytes", "/gc/scan/total:bytes"
	metrics.Read(g.samples[:])
	for _, s := range g.samples {
		if s.Value.Kind() != metrics.KindUint64 {
			return // a Go that does not say
		}
	}
	percent := garbagePercent(g.samples[0].Value.Uint64(), g.samples[1].Value.Uint64())
	// Setting it stops the program for a moment: not for a trifle.
	if math.Abs(float64(percent-g.percent)) > float64(g.percent)/8 {
		g.percent = percent
		g.set(percent)
	}
}

// garbagePercent returns the GOGC under which as much garbage piles up as there is
// memory to scan, at least garbageLeast, and at most as much as there is living memory.
func garbagePercent(live, scanned uint64) int {
	garbage := min(live, max(garbageLeast, scanned))
	return max(1, int(100*garbage/max(live, 1)))
}
