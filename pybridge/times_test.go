package pybridge

import (
	"encoding/binary"
	"math"
	"testing"
	"time"
)

// TestAppendRequestTimes: the times of a request stand in front of its names.
func TestAppendRequestTimes(t *testing.T) {
	queued := time.Unix(1700000000, 250e6)
	for name, tt := range map[string]struct {
		queued time.Time
		want   float64
	}{
		"queued":  {queued, 1700000000.25},
		"unknown": {time.Time{}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := contextOf(t, plainConn, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
			frame := appendRequest(nil, 1, ctx, &Request{Path: []byte("/"), Queued: tt.queued}, new(fieldList))
			times := frame[frameHeaderSize:]
			if got := math.Float64frombits(binary.LittleEndian.Uint64(times)); got != 0 {
				t.Errorf("request start %v of a context without a time, want 0", got)
			}
			if got := math.Float64frombits(binary.LittleEndian.Uint64(times[8:])); got != tt.want {
				t.Errorf("queue start %v, want %v", got, tt.want)
			}
		})
	}
}
