package faults

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"overlay/tests/e2e/load"
	"overlay/tests/e2e/program"
)

// overlay is built once, by TestMain.
var overlay *program.Program

func TestMain(m *testing.M) { os.Exit(program.Main(m, &overlay, nil)) }

// start serves a copy of app.wsgi, which the test may change, and returns its
// name.
func start(t *testing.T, args ...string) (s *program.Server, script string) {
	t.Helper()
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("no python3 on PATH")
	}
	text, err := os.ReadFile("app.wsgi")
	if err != nil {
		t.Fatal(err)
	}
	script = filepath.Join(t.TempDir(), "app.wsgi")
	if err := os.WriteFile(script, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return overlay.Start(t, program.Config{Args: program.Patient(append(args, script)...)}), script
}

// under runs break while clients send requests for target, and returns the
// account of all of them.
func under(t *testing.T, s *program.Server, clients int, target func(n int) string, breakIt func(account *load.Account)) *load.Account {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var account load.Account
	done := make(chan struct{})
	go func() {
		defer close(done)
		account.Run(ctx, s.Addr, clients, target)
	}()
	await(t, "the load to begin", func() bool { return len(account.Outcomes()) >= 4*clients })
	breakIt(&account)
	before := len(account.Outcomes())
	await(t, "the load to go on", func() bool { return len(account.Outcomes()) >= before+4*clients })
	stop()
	<-done
	t.Log(account.String())
	return &account
}

// plain asks for the n-th answer, which takes a little while.
func plain(n int) string { return fmt.Sprintf("/?n=%d&do=sleep&seconds=0.005", n) }

// answers checks each outcome: answered 200 with its own number, or with one of
// the statuses that may fail, at most so many times.
func answers(t *testing.T, account *load.Account, mayFail int, statuses ...int) {
	t.Helper()
	failed := 0
	for _, o := range account.Outcomes() {
		number := strings.TrimPrefix(strings.SplitN(o.Target, "&", 2)[0], "/?n=")
		switch {
		case o.Fate != load.Answered:
			t.Errorf("%s was %v: %v", o.Target, o.Fate, o.Err)
		case o.Status == 200:
			if got, _, _ := strings.Cut(string(o.Body), " "); got != number {
				t.Errorf("%s got the answer of %s", o.Target, got)
			}
		default:
			allowed := false
			for _, status := range statuses {
				allowed = allowed || o.Status == status
			}
			if !allowed {
				t.Errorf("%s got %d", o.Target, o.Status)
			}
			failed++
		}
	}
	if failed > mayFail {
		t.Errorf("%d requests failed, want %d at most: what the dead worker processes held", failed, mayFail)
	}
}

// pids returns the processes that have answered, with the number of answers.
func pids(account *load.Account) map[int]int {
	count := map[int]int{}
	for _, o := range account.Outcomes() {
		var number string
		var pid, size int
		if _, err := fmt.Sscanf(string(o.Body), "%s %d %d", &number, &pid, &size); err == nil && o.Status == 200 {
			count[pid]++
		}
	}
	return count
}

// anyPID returns a process that has answered.
func anyPID(account *load.Account) int {
	for pid := range pids(account) {
		return pid
	}
	return 0
}

// await polls until condition holds.
func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited a minute for %s", what)
		}
	}
}

// awaitLog polls until the log has text so many times.
func awaitLog(t *testing.T, s *program.Server, text string, times int) {
	t.Helper()
	await(t, fmt.Sprintf("%q in the log, %d times", text, times), func() bool { return strings.Count(s.Log(), text) >= times })
}
