package main

import (
	"errors"
	"testing"
	"time"
)

// TestServerLimits: each limit of a server process on both sides, and what an extension means.
func TestServerLimits(t *testing.T) {
	born := time.Now()
	const s = time.Second
	for _, tt := range []struct {
		name   string
		limits workerLimits
		age    time.Duration
		cpu    time.Duration
		memory int64
		err    error
		want   string
	}{
		{"none", workerLimits{}, time.Hour, time.Hour, 1 << 40, nil, ""},
		{"younger", workerLimits{RestartInterval: 10 * s}, 10*s - 1, 0, 0, nil, ""},
		{"old", workerLimits{RestartInterval: 10 * s}, 10 * s, 0, 0, nil, "restart interval of 10s"},
		{"less CPU time", workerLimits{CPUTime: 10 * s}, 0, 10*s - 1, 0, nil, ""},
		{"CPU time", workerLimits{CPUTime: 10 * s}, 0, 10 * s, 0, nil, "CPU time limit of 10s"},
		{"less memory", workerLimits{Memory: 100}, 0, 0, 99, nil, ""},
		{"memory", workerLimits{Memory: 100}, 0, 0, 100, nil, "memory limit of 100 bytes, it has 100"},
		{"it has ended", workerLimits{Memory: 100, CPUTime: s}, 0, 10 * s, 100, errors.New("gone"), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := &serverLimits{workerLimits: tt.limits, since: born, usage: func(pid int) (time.Duration, int64, error) {
				if pid != 7 {
					t.Errorf("usage of %d, want 7", pid)
				}
				return tt.cpu, tt.memory, tt.err
			}}
			now := born.Add(tt.age)
			if got := l.over(7, now); got != tt.want {
				t.Errorf("over() = %q, want %q", got, tt.want)
			}
			l.extend(7, now)
			if got := l.over(7, now); got != "" && tt.limits.Memory == 0 {
				t.Errorf("after an extension over() = %q", got)
			}
		})
	}
}
