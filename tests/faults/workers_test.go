package faults

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"overlay/tests/e2e/load"
)

const threads = 5 // of a worker process, by default

// TestStopped: a worker process that is stopped (SIGSTOP) runs no Python; it is
// replaced after the deadlock timeout, and only what it held fails.
func TestStopped(t *testing.T) {
	t.Parallel()
	s, _ := start(t, "--processes", "2", "--deadlock-timeout", "5")
	account := under(t, s, 8, plain, func(account *load.Account) {
		if err := syscall.Kill(anyPID(account), syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		awaitLog(t, s, "deadlock timeout", 1)
		awaitLog(t, s, "worker process ready", 1)
	})
	answers(t, account, threads, 502)
}

// TestSegfault: a crash in C fails the requests of that process alone, and the
// log has the Python stack.
func TestSegfault(t *testing.T) {
	t.Parallel()
	s, _ := start(t, "--processes", "2")
	account := under(t, s, 8, plain, func(*load.Account) {
		client := load.Client{Addr: s.Addr}
		defer client.Close()
		if o := client.Get("/?do=segfault"); o.Status != 502 {
			t.Errorf("the request that crashed got %d, want 502", o.Status)
		}
		awaitLog(t, s, "worker process ready", 1)
	})
	answers(t, account, threads, 502)
	for _, want := range []string{"segmentation fault", "Fatal Python error: Segmentation fault", "line ", "GET /?do=segfault"} {
		if !strings.Contains(s.Log(), want) {
			t.Errorf("the log does not tell %q", want)
		}
	}
}

// TestDeadlock: a C extension that holds the GIL for ever is found out although
// every thread and the main thread stand still.
func TestDeadlock(t *testing.T) {
	t.Parallel()
	s, _ := start(t, "--processes", "2", "--deadlock-timeout", "5")
	account := under(t, s, 8, plain, func(*load.Account) {
		client := load.Client{Addr: s.Addr}
		defer client.Close()
		if o := client.Get("/?do=gil"); o.Status != 502 {
			t.Errorf("the request that held the GIL got %d, want 502", o.Status)
		}
		awaitLog(t, s, "worker process ready", 1)
	})
	answers(t, account, threads, 502)
}

// TestHung: a request that does not end gets 504 at the request timeout, and its
// neighbours in the same process are not touched.
func TestHung(t *testing.T) {
	t.Parallel()
	// The others take 5 ms each: so much less that a busy machine does not matter.
	s, _ := start(t, "--request-timeout", "5", "--interrupt-timeout", "1")
	account := under(t, s, 4, plain, func(*load.Account) {
		client := load.Client{Addr: s.Addr}
		defer client.Close()
		if o := client.Get("/?do=sleep&seconds=50"); o.Status != 504 {
			t.Errorf("the request that hung got %d, want 504", o.Status)
		}
		awaitLog(t, s, "worker process ready", 1) // time.sleep cannot be interrupted
	})
	answers(t, account, 0)
	if !strings.Contains(s.Log(), "time.sleep(") {
		t.Error("the log does not tell where the request hung")
	}
}

// TestMemoryLimit: a process that grows past the limit is replaced, and nobody
// notices.
func TestMemoryLimit(t *testing.T) {
	t.Parallel()
	s, _ := start(t, "--memory-limit", "150M")
	account := under(t, s, 4, plain, func(*load.Account) {
		client := load.Client{Addr: s.Addr}
		defer client.Close()
		for range 10 {
			if o := client.Get("/?do=hog"); o.Status != 200 {
				t.Errorf("got %d, want 200", o.Status)
			}
		}
		awaitLog(t, s, "worker process ready", 1)
	})
	answers(t, account, 0)
	if n := len(pids(account)); n < 2 {
		t.Errorf("%d processes answered, want a second one", n)
	}
}

// soakVariable holds how long TestMaximumRequests goes on, such as 1m: issue 4 asks
// for a minute of it, which is too long for every day. Unset means soakTime.
const (
	soakVariable = "OVERLAY_TEST_SOAK"
	soakTime     = 4 * time.Second
)

// TestMaximumRequests: no process serves more than its limit under load, however
// long that lasts, and no request is lost. mod_wsgi's limit moved on with each
// request of a busy process.
func TestMaximumRequests(t *testing.T) {
	t.Parallel()
	soak := soakTime
	if text := os.Getenv(soakVariable); text != "" {
		var err error
		if soak, err = time.ParseDuration(text); err != nil {
			t.Fatalf("%s: %v", soakVariable, err)
		}
	}
	const limit = 50
	s, _ := start(t, "--maximum-requests", fmt.Sprint(limit))
	account := under(t, s, 4, func(n int) string { return fmt.Sprintf("/?n=%d", n) }, func(account *load.Account) {
		over := time.Now().Add(soak)
		await(t, "ten processes", func() bool { return len(pids(account)) >= 10 })
		time.Sleep(time.Until(over)) // the load itself goes on meanwhile
	})
	answers(t, account, 0)
	served := pids(account)
	for pid, n := range served {
		if n > limit {
			t.Errorf("process %d answered %d requests, want %d at most", pid, n, limit)
		}
	}
	t.Logf("%d processes, %.1f requests each, in %v", len(served), float64(len(account.Outcomes()))/float64(len(served)), soak)
}

// TestSignals: a worker process that somebody tells to go is replaced, and its
// requests are answered.
func TestSignals(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGUSR1} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			s, _ := start(t, "--processes", "2")
			account := under(t, s, 8, plain, func(account *load.Account) {
				if err := syscall.Kill(anyPID(account), signal); err != nil {
					t.Fatal(err)
				}
				awaitLog(t, s, "worker process ready", 1)
			})
			answers(t, account, 0)
		})
	}
}

// edit writes text over the script.
func edit(t *testing.T, script, text string) {
	t.Helper()
	if err := os.WriteFile(script, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestReloadBroken: code that does not load is not put into service, whatever
// is wrong with it.
func TestReloadBroken(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"syntax error":   "def application(",
		"import error":   "import no_such_module",
		"exit":           "raise SystemExit(1)",
		"crash":          "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
		"no application": "app = 1",
		"hang":           "import time; time.sleep(60)",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, script := start(t, "--processes", "2", "--startup-timeout", "5", "--disable-reloading")
			account := under(t, s, 8, plain, func(account *load.Account) {
				await(t, "both processes", func() bool { return len(pids(account)) == 2 })
				edit(t, script, text)
				s.Signal(syscall.SIGHUP)
				awaitLog(t, s, "not reloaded", 1)
			})
			answers(t, account, 0)
			if n := len(pids(account)); n != 2 {
				t.Errorf("%d processes answered, want the two old ones", n)
			}
			if name == "hang" && !strings.Contains(s.Log(), `app.wsgi", line 1 in <module>`) {
				t.Error("the log does not tell where the import hangs")
			}
		})
	}
}

// TestTenReloads: reloads in a row under load lose nothing.
func TestTenReloads(t *testing.T) {
	t.Parallel()
	s, _ := start(t, "--processes", "2")
	account := under(t, s, 8, plain, func(*load.Account) {
		for i := range 10 {
			s.Signal(syscall.SIGHUP)
			awaitLog(t, s, "the application is reloaded", i+1)
		}
	})
	answers(t, account, 0)
	if n := len(pids(account)); n < 5 {
		t.Errorf("%d processes answered in ten reloads of two", n)
	}
}
