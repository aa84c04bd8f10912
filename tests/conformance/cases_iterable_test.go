package conformance

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

const (
	kindsRight = "list list-one tuple tuple-one list-subclass tuple-subclass generator generator-expression iterator " +
		"list-iterator sized sized-one sequence map chain deque dict file bytes-subclass bytes-subclass-one " +
		"bytes-subclass-generator empty-strings-list empty-strings-generator"
	kindsEmpty = "list tuple generator iterator sized one-empty-string empty-strings empty-strings-generator"
	kindsWrong = "str-list str-tuple str-list-of-two str-generator str bytes none int none-list int-list bytearray-list " +
		"bytearray-generator memoryview-generator mixed-list empty-str-generator exception"
)

var iterableGroup = group{"iterable", "The Application/Framework Side; The write() Callable", slices.Concat(kindCases(), []testCase{
	{"complete", must, "every kind of iterable of the application has its case here", 0, func(t *testing.T, s *server) {
		got := into[map[string][]string](t, s.ok(t, "/iter/names"))
		for name, kinds := range map[string]string{"right": kindsRight, "empty": kindsEmpty, "wrong": kindsWrong} {
			if want := slices.Sorted(slices.Values(strings.Fields(kinds))); !slices.Equal(got[name], want) {
				t.Errorf("%s: the application has %q, the cases are %q", name, got[name], want)
			}
		}
	}},
	{"write-only", must, "write() alone makes a response", 0, func(t *testing.T, s *server) {
		s.wantBody(t, "/iter/write-only", "written only\n")
	}},
	{"write-in-iteration", must, "write() during the iteration keeps the order", 0, func(t *testing.T, s *server) {
		s.wantBody(t, "/iter/write-late", "one, two, three\n")
	}},
	{"write-str", must, "write() takes a bytestring", 0, func(t *testing.T, s *server) {
		s.wantBody(t, "/iter/write-wrong", "refused\n")
	}},
	{"write-large", must, "write() of any size", 0, func(t *testing.T, s *server) {
		if r := s.ok(t, "/iter/write-large"); len(r.body) != 3001000 || r.body[2999999] != 'w' || r.body[3000000] != 'r' {
			t.Errorf("got %d bytes, want 3000000 w and 1000 r", len(r.body))
		}
	}},
	{"one-piece-large", must, "one string of many MiB", 0, func(t *testing.T, s *server) {
		r := s.ok(t, "/iter/one-piece?mib=9")
		if want := bytes.Repeat([]byte("0123456789abcdef"), 9<<16); !bytes.Equal(r.body, want) {
			t.Errorf("got %d bytes, want %d of a pattern", len(r.body), len(want))
		}
	}},
	{"keep-alive", must, "the end of a body is where the server says it is", 0, func(t *testing.T, s *server) {
		c := s.dial(t)
		for _, kind := range strings.Fields(kindsRight) {
			r := c.roundTrip(request{target: "/iter/right?kind=" + kind})
			complete(t, r)
			if string(r.body) != "one, two, three\n" {
				t.Fatalf("%s: got %q", kind, r.body)
			}
		}
	}},
})}

func kindCases() (cases []testCase) {
	for _, kind := range strings.Fields(kindsRight) {
		cases = append(cases,
			testCase{kind, must, "the application returns an iterable that yields zero or more bytestrings", 0, func(t *testing.T, s *server) {
				s.wantBody(t, "/iter/right?kind="+kind, "one, two, three\n")
			}},
			testCase{"write-then-" + kind, must, "what write() was given goes out before anything of the iterable", 0, func(t *testing.T, s *server) {
				s.wantBody(t, "/iter/write?kind="+kind, "written, twice, one, two, three\n")
			}},
		)
	}
	for _, kind := range strings.Fields(kindsEmpty) {
		cases = append(cases, testCase{"empty-" + kind, must, "an iterable may yield nothing, or empty strings: the headers are sent all the same", 0, func(t *testing.T, s *server) {
			c := s.dial(t)
			r := c.roundTrip(request{target: "/iter/empty?kind=" + kind})
			complete(t, r)
			if r.status != 200 || len(r.body) != 0 || !strings.HasPrefix(r.value("Content-Type"), "text/plain") {
				t.Errorf("got %d %q %q", r.status, r.fields, r.body)
			}
			if r.framing == byLength || r.framing == byChunks {
				c.mustBeReusable()
			}
		}})
	}
	for _, kind := range strings.Fields(kindsWrong) {
		level := must
		if strings.HasPrefix(kind, "bytearray") || strings.HasPrefix(kind, "memoryview") || kind == "empty-str-generator" {
			level = should // not bytes, but nothing is lost
		}
		cases = append(cases, testCase{"wrong-" + kind, level, "body strings must be bytes objects", 0, func(t *testing.T, s *server) {
			plainError(t, s.do(t, request{target: "/iter/wrong?kind=" + kind}), 500)
		}})
	}
	return cases
}
