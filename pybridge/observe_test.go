package pybridge

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestObserve runs testdata/observe_test.py with each interpreter there is.
func TestObserve(t *testing.T) {
	prepared, err := filepath.Glob("../.cache/python/*/bin/python")
	if err != nil {
		t.Fatal(err)
	}
	folder, err := filepath.Abs("worker")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range append(prepared, requirePython(t).Path) {
		t.Run(filepath.Base(filepath.Dir(filepath.Dir(path))), func(t *testing.T) {
			cmd := exec.Command(path, "-B", filepath.Join("testdata", "observe_test.py"))
			cmd.Env = append(os.Environ(), "OVERLAY_TEST_WORKER="+folder)
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), "\nOK") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// TestStopReason: the order to leave carries the first reason that was given.
func TestStopReason(t *testing.T) {
	for name, tt := range map[string]struct {
		reasons []string
		want    string
	}{
		"none":      {nil, ""},
		"one":       {[]string{"script_reload"}, "script_reload"},
		"the first": {[]string{"request_timeout", "shutdown_signal"}, "request_timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			p := startPeer(t)
			for _, reason := range tt.reasons {
				p.worker.SetStopReason(reason)
			}
			p.worker.orderStop()
			for {
				f := receive(t, "the order to stop", p.orders)
				if f.kind == frameStop {
					if string(f.payload) != tt.want {
						t.Errorf("the reason is %q, want %q", f.payload, tt.want)
					}
					return
				}
			}
		})
	}
}
