package conformance

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

var failureGroup = group{"failure", "Error Handling", slices.Concat([]testCase{
	fail("before-start", "before start_response"),
	fail("after-start", "after start_response"),
	fail("in-iter", "in __iter__"),
	fail("in-first-next", "when the first string is asked for"),
	fail("after-empty", "after empty strings, which send nothing"),
	fail("recursion", "by recursion"),
	{"handled", must, "a page of the application for its own error is a response", 0, func(t *testing.T, s *server) {
		if r := s.get(t, "/fail/handled"); r.status != 500 || r.reason != "My Fault" || string(r.body) != "my own page\n" {
			t.Errorf("got %d %s %q", r.status, r.reason, r.body)
		}
	}},
	{"logged", must, "servers should log the traceback of an exception", needLog, func(t *testing.T, s *server) {
		before := strings.Count(s.log(), "Traceback")
		plainError(t, s.do(t, request{target: "/fail/before-start"}), 500)
		eventually(t, "log", func() error {
			log := s.log()
			if strings.Count(log, "Traceback") == before || !strings.Contains(log, "only-for-the-log") || !strings.Contains(log, "failure_views.py") {
				return fmt.Errorf("no new traceback in it")
			}
			return nil
		})
	}},
	{"connection-after-error", should, "an error of the application does not cost the connection, or closes it", 0, func(t *testing.T, s *server) {
		c := s.dial(t)
		r := c.roundTrip(request{target: "/fail/before-start"})
		plainError(t, r, 500)
		if r.value("Connection") != "close" {
			c.mustBeReusable()
		}
	}},
	{"body-then-error", must, "an error with a body that nobody reads", 0, func(t *testing.T, s *server) {
		for _, size := range []int{1000, 1 << 20} {
			c := s.dial(t)
			r := c.roundTrip(request{method: "POST", target: "/fail/before-start", body: pattern(size)})
			plainError(t, r, 500)
			if r.value("Connection") != "close" {
				c.mustBeReusable()
			}
		}
	}},
	{"head", must, "an error in answer to HEAD has no body", 0, func(t *testing.T, s *server) {
		c := s.dial(t)
		r := c.roundTrip(request{method: "HEAD", target: "/fail/before-start"})
		complete(t, r)
		if r.status != 500 {
			t.Errorf("got %d", r.status)
		}
		if r.value("Connection") != "close" {
			c.mustBeReusable()
		}
	}},
	{"cut-chunked", must, "an error after the headers cannot be reported, and must not look like an end", needHere, func(t *testing.T, s *server) {
		failsUnderWay(t, s, "after-block", request{})
	}},
	{"cut-declared", must, "an error after the headers, with Content-Length", needHere, func(t *testing.T, s *server) {
		failsUnderWay(t, s, "after-block", request{target: "&length=100"})
	}},
	{"cut-http-1.0", must, "an error after the headers, to an HTTP/1.0 client", needHere, func(t *testing.T, s *server) {
		failsUnderWay(t, s, "after-block", request{proto: "HTTP/1.0"})
	}},
	{"cut-written", must, "an error after write()", needHere, func(t *testing.T, s *server) {
		failsUnderWay(t, s, "after-write", request{})
	}},
	{"cut-system-exit", must, "SystemExit after the headers", needHere, func(t *testing.T, s *server) {
		failsUnderWay(t, s, "after-block", request{target: "&error=system-exit"})
	}},
}, errorKinds(), []testCase{
	dies("exit", "code=1", 502),
	dies("exit-zero", "code=0", 502),
	dies("killed", "how=kill", 502),
	{"exit-under-way", extra, "a response that a dying process leaves is cut visibly", needHere | needAlone, func(t *testing.T, s *server) {
		for _, proto := range []string{"HTTP/1.1", "HTTP/1.0"} {
			failsUnderWay(t, s, "die", request{target: "&block=1", proto: proto})
			eventuallyAlive(t, s)
		}
	}},
})}

// errorKinds raises every kind of exception, at the places where it matters.
// What may end a server that handles only Exception runs alone.
func errorKinds() (cases []testCase) {
	for _, kind := range []string{
		"base", "unprintable", "system-exit", "system-exit-text", "keyboard-interrupt", "generator-exit",
		"stop-iteration", "memory", "surrogate", "os-error", "assertion",
	} {
		level, needs := must, need(0)
		if slices.Contains([]string{"base", "system-exit", "system-exit-text", "keyboard-interrupt", "generator-exit"}, kind) {
			level, needs = extra, needAlone
		}
		cases = append(cases, testCase{"error-" + kind, level, "whatever the application raises is a 500, and the process lives", needs, func(t *testing.T, s *server) {
			for _, view := range []string{"before-start", "after-start", "in-first-next"} {
				plainError(t, s.do(t, request{target: "/fail/" + view + "?error=" + kind}), 500)
			}
			alive(t, s)
		}})
	}
	return append(cases, testCase{"same-process", extra, "an exit of the application is none of its process", needHere | needAlone, func(t *testing.T, s *server) {
		pids := map[string]bool{}
		for range 20 {
			pids[string(s.ok(t, "/process/pid").body)] = true
		}
		for _, kind := range []string{"system-exit", "keyboard-interrupt", "base"} {
			for range 4 {
				plainError(t, s.do(t, request{target: "/fail/before-start?error=" + kind}), 500)
			}
		}
		for range 20 {
			pids[string(s.ok(t, "/process/pid").body)] = true
		}
		if s.processes > 0 && len(pids) > s.processes {
			t.Errorf("%d processes have answered, want the same %d all the time", len(pids), s.processes)
		}
	}})
}

func fail(view, when string) testCase {
	return testCase{view, must, "an error " + when + " is a plain 500, and tells the client nothing", 0, func(t *testing.T, s *server) {
		plainError(t, s.do(t, request{target: "/fail/" + view}), 500)
		alive(t, s)
	}}
}

// failsUnderWay has the application fail when the client has the first block.
func failsUnderWay(t *testing.T, s *server, view string, r request) {
	t.Helper()
	name := newNote()
	c := s.dial(t)
	c.send(request{target: "/fail/" + view + "?note=" + name + r.target, proto: r.proto})
	answer := c.head("GET")
	c.expect("block\n")
	s.note(t, name)
	c.finish(answer)
	isCut(t, answer)
	tellsNothing(t, answer)
	if _, err := c.r.ReadByte(); err == nil {
		t.Error("the connection goes on after a response that was cut")
	}
}

// dies ends the worker process in the middle of a request.
func dies(name, query string, status int) testCase {
	return testCase{name, extra, "a worker process that ends is a 502 for what it held, and is replaced", needAlone, func(t *testing.T, s *server) {
		plainError(t, s.do(t, request{target: "/fail/die?" + query}), status)
		eventuallyAlive(t, s)
	}}
}

// eventuallyAlive waits until the server has replaced a worker process that
// ended. When several end in a row, a server may take its time.
func eventuallyAlive(t *testing.T, s *server) {
	t.Helper()
	for range 2 * max(s.processes, 1) {
		eventually(t, "answer", func() error {
			if r := s.do(t, request{target: "/process/pid"}); r.status != 200 {
				return fmt.Errorf("got %d", r.status)
			}
			return nil
		})
	}
}

// alive checks that the server goes on as if nothing had happened.
func alive(t *testing.T, s *server) {
	t.Helper()
	for range 3 {
		s.wantBody(t, "/start/returns-write", "callable")
	}
}
