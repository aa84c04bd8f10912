package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"overlay/tests/e2e/load"
	"overlay/tests/e2e/program"
)

// recorder is a server that runs tests/apps/recorder.py, with its record.
type recorder struct {
	*program.Server
	record string // file
}

func startRecorder(t *testing.T, args ...string) recorder {
	t.Helper()
	record := filepath.Join(t.TempDir(), "record")
	args = append([]string{"--python", anInterpreter(t).file, "--setenv", "RECORD", record}, args...)
	return recorder{overlay.Start(t, program.Config{Args: program.Patient(append(args, app("recorder.py"))...)}), record}
}

// workTarget returns the target of the request with this number.
func workTarget(n int, seconds float64) string {
	return fmt.Sprintf("/work?id=%d&seconds=%g", n, seconds)
}

// numberOf returns the number of a request that workTarget made.
func numberOf(t *testing.T, target string) int {
	t.Helper()
	number, _, _ := strings.Cut(strings.TrimPrefix(target, "/work?id="), "&")
	n, err := strconv.Atoi(number)
	if err != nil {
		t.Fatalf("target %q: %v", target, err)
	}
	return n
}

// begun returns the process that began each request. That one request was begun
// twice is an error: nothing that a worker process was handed is sent again.
func (r recorder) begun(t *testing.T) map[int]int {
	t.Helper()
	text, err := os.ReadFile(r.record)
	if err != nil {
		t.Fatal(err)
	}
	pids := map[int]int{}
	for line := range strings.Lines(string(text)) {
		var number, pid int
		if _, err := fmt.Sscan(line, &number, &pid); err != nil {
			t.Fatalf("record holds %q: %v", line, err)
		}
		if before, twice := pids[number]; twice {
			t.Errorf("request %d was begun by process %d and by process %d", number, before, pid)
		}
		pids[number] = pid
	}
	return pids
}

// pidOf returns the process that answered o, and checks that the answer is the
// one to this request.
func pidOf(t *testing.T, o load.Outcome) int {
	t.Helper()
	var answer struct {
		ID  string
		PID int
	}
	if err := json.Unmarshal(o.Body, &answer); err != nil {
		t.Fatalf("%s was answered %d with %q: %v", o.Target, o.Status, o.Body, err)
	}
	if want := strconv.Itoa(numberOf(t, o.Target)); answer.ID != want {
		t.Errorf("request %s got the answer to request %s", want, answer.ID)
	}
	return answer.PID
}
