package conformance

import (
	"strings"
	"testing"
)

// closeGroup is about close() of what the application returned.
var closeGroup = group{"close", "Specification Details: close()", []testCase{
	closeCase("normal", "after a normal end", request{}, whole("one, two, three\n")),
	closeCase("empty", "when the iterable yields nothing", request{}, whole("")),
	closeCase("after-write", "after write(), too", request{}, whole("written, one, two, three\n")),
	closeCase("apart", "of the object that was returned, not of its iterator", request{}, whole("one, two, three\n")),
	closeCase("list", "of a list that has one", request{}, whole("one, two, three\n")),
	closeCase("close-raises", "and its exception does not spoil a response that is complete", request{}, whole("one, two, three\n")),
	closeCase("raises-at-once", "when the iteration fails at once", request{}, func(t *testing.T, r *response) { plainError(t, r, 500) }),
	closeCase("raises", "when the iteration fails", request{}, failed),
	closeCase("exits", "when the iteration ends in SystemExit", request{}, failed),
	closeCase("str", "when it yields something wrong", request{}, func(t *testing.T, r *response) { plainError(t, r, 500) }),
	closeCase("not-started", "when start_response was never called", request{}, func(t *testing.T, r *response) { plainError(t, r, 500) }),
	closeCase("declared-short", "when the body is too short", request{}, nil),
	closeCase("declared-long", "when the body is too long", request{}, whole("xyx")),
	closeCase("204", "of a response without a body", request{}, nil),
	closeCase("304", "of a response without a body", request{}, nil),
	head(closeCase("normal", "when nobody wants the body", request{method: "HEAD"}, whole(""))),
	head(closeCase("endless", "when nobody wants the body, which never ends", request{method: "HEAD"}, whole(""))),
	{"client-gone", must, "close() is called when the client disconnects", needHere, func(t *testing.T, s *server) {
		clientGone(t, s, "endless")
	}},
	{"client-gone-generator", must, "a generator's finally runs when the client disconnects", needHere, func(t *testing.T, s *server) {
		clientGone(t, s, "generator")
	}},
	{"client-gone-http-1.0", must, "close() is called when an HTTP/1.0 client disconnects", needHere, func(t *testing.T, s *server) {
		name := newNote()
		c := s.dial(t)
		c.send(request{target: "/iter/closing?how=endless&note=" + name, proto: "HTTP/1.0"})
		c.head("GET")
		_ = c.Close()
		s.awaitNote(t, name)
	}},
}}

func whole(want string) func(*testing.T, *response) {
	return func(t *testing.T, r *response) {
		t.Helper()
		complete(t, r)
		if string(r.body) != want {
			t.Errorf("got %q, want %q", r.body, want)
		}
	}
}

// closeCase has close() called exactly once, and check look at the response.
func closeCase(how, when string, r request, check func(*testing.T, *response)) testCase {
	return testCase{how, must, "close() must be called at the end of a request, " + when, 0, func(t *testing.T, s *server) {
		name := newNote()
		answer := s.attempt(t, request{method: r.method, target: "/iter/closing?how=" + how + "&note=" + name})
		if check != nil {
			check(t, answer)
		}
		s.awaitNote(t, name)
		s.ok(t, "/process/pid") // the server has gone on to something else
		if text, _ := s.readNote(t, name); strings.Count(text, "closed\n") != 1 {
			t.Errorf("close() was called %d times, want once", strings.Count(text, "closed\n"))
		}
	}}
}

func head(c testCase) testCase {
	c.name = "head-" + c.name
	return c
}

func clientGone(t *testing.T, s *server, how string) {
	t.Helper()
	name := newNote()
	c := s.dial(t)
	c.send(request{target: "/iter/closing?how=" + how + "&note=" + name})
	c.head("GET")
	c.expect(strings.Repeat("x", 1000))
	_ = c.Close()
	s.awaitNote(t, name)
}
