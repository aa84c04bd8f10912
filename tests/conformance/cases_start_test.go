package conformance

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var startGroup = group{"start", "The start_response() Callable", []testCase{
	{"returns-write", must, "start_response must return a write(body_data) callable", 0, func(t *testing.T, s *server) {
		s.wantBody(t, "/start/returns-write", "callable")
	}},
	{"two-arguments", must, "exc_info is optional", 0, func(t *testing.T, s *server) {
		s.wantBody(t, "/start/keyword", "two arguments\n")
	}},
	{"twice", must, "it is a fatal error to call start_response again without exc_info", 0, func(t *testing.T, s *server) {
		s.wantBody(t, "/start/twice", "refused\n")
	}},
	{"twice-with-none", must, "exc_info=None is no exc_info", 0, func(t *testing.T, s *server) {
		s.wantBody(t, "/start/twice-with-none", "refused\n")
	}},
	{"replace", must, "if exc_info is given and no headers have been output, start_response replaces them", 0, func(t *testing.T, s *server) {
		replaced(t, s.get(t, "/start/replace"))
	}},
	{"replace-after-empty", must, "headers are not output before the first body string that is not empty", 0, func(t *testing.T, s *server) {
		replaced(t, s.get(t, "/start/replace-after-empty"))
	}},
	{"first-with-exc-info", must, "exc_info in the first call replaces nothing", 0, func(t *testing.T, s *server) {
		if r := s.get(t, "/start/first-with-exc-info"); r.status != 500 || r.reason != "My Own" || string(r.body) != "my own\n" {
			t.Errorf("got %d %s %q", r.status, r.reason, r.body)
		}
	}},
	{"reraise", must, "if headers have been sent, start_response must raise the exception of exc_info", 0, func(t *testing.T, s *server) {
		reraised(t, s, "/start/reraise")
	}},
	{"reraise-after-write", must, "the same after write()", 0, func(t *testing.T, s *server) {
		reraised(t, s, "/start/reraise-after-write")
	}},
	{"in-first-iteration", must, "start_response may be called when the iterable is first asked", 0, func(t *testing.T, s *server) {
		s.wantBody(t, "/start/in-first-iteration", "on the first iteration\n")
	}},
	{"in-next", must, "servers must not assume that start_response has been called before they iterate", 0, func(t *testing.T, s *server) {
		s.wantBody(t, "/start/in-next", "one, two\n")
	}},
	{"never", must, "start_response must be called before the first body string", 0, func(t *testing.T, s *server) {
		plainError(t, s.get(t, "/start/never"), 500)
	}},
	{"never-empty", must, "a response without start_response is an error", 0, func(t *testing.T, s *server) {
		plainError(t, s.get(t, "/start/never-empty"), 500)
	}},
	{"never-generator", must, "a response without start_response is an error", 0, func(t *testing.T, s *server) {
		plainError(t, s.get(t, "/start/never-generator"), 500)
	}},
	{"after-first-yield", must, "start_response after the first body string is an error", 0, func(t *testing.T, s *server) {
		plainError(t, s.get(t, "/start/after-first-yield"), 500)
	}},
	{"headers-not-changed", extra, "a list of headers that the application keeps does not grow", 0, func(t *testing.T, s *server) {
		for range 5 {
			s.wantBody(t, "/start/same-list", "1\n")
		}
	}},
}}

func replaced(t *testing.T, r *response) {
	t.Helper()
	if r.status != 503 || r.reason != "On Second Thoughts" || r.value("X-First") != "" || r.value("X-Second") != "yes" || string(r.body) != "replaced\n" {
		t.Errorf("got %d %s %q %q", r.status, r.reason, r.fields, r.body)
	}
}

func reraised(t *testing.T, s *server, target string) {
	t.Helper()
	name := newNote()
	r := s.attempt(t, request{target: target + "?note=" + name})
	failed(t, r)
	if text := s.awaitNote(t, name); text != "same" {
		t.Errorf("start_response raised: %s", text)
	}
}

// refusalGroup has a case for each row of WRONG in apps/start_views.py.
var refusalGroup = group{"refusals", "The start_response() Callable", slices.Concat(refusals(), []testCase{
	{"complete", must, "every wrong call of the application has its case here", 0, func(t *testing.T, s *server) {
		var want []string
		for _, c := range refusals() {
			want = append(want, c.name)
		}
		slices.Sort(want)
		if got := into[[]string](t, s.ok(t, "/start/list")); !slices.Equal(got, want) {
			t.Errorf("the application has %q, the cases are %q", got, want)
		}
	}},
})}

var (
	wrongRow = regexp.MustCompile(`(?m)^    "([a-z0-9-]+)": \(`)
	hopByHop = regexp.MustCompile(`(?ms)^HOP_BY_HOP = \((.*?)^\)`)
	quoted   = regexp.MustCompile(`"([^"]+)"`)
)

// refusals reads the names from the application, which has the only table.
func refusals() (cases []testCase) {
	text, err := os.ReadFile("apps/start_views.py")
	if err != nil {
		panic(err) // go test runs in the folder of the package
	}
	_, table, _ := strings.Cut(string(text), "\nWRONG = {")
	table, _, _ = strings.Cut(table, "\n}")
	var names []string
	for _, row := range wrongRow.FindAllStringSubmatch(table, -1) {
		names = append(names, row[1])
	}
	for _, found := range quoted.FindAllStringSubmatch(hopByHop.FindString(string(text)), -1) {
		name := strings.ToLower(found[1])
		names = append(names, "hop-by-hop-"+name, "hop-by-hop-upper-"+name)
	}
	for _, name := range names {
		says := "servers should check for errors when start_response is called, so that one can be raised while the application runs"
		if strings.HasPrefix(name, "hop-by-hop") {
			says = "hop-by-hop headers are a fatal error, which servers should raise when start_response is called"
		}
		cases = append(cases, testCase{name, should, says, 0, func(t *testing.T, s *server) {
			r := s.get(t, "/start/wrong?call="+name)
			if r.status != 200 || !strings.HasPrefix(string(r.body), "refused with ") {
				t.Errorf("got %d %q %q, want an exception in start_response", r.status, r.fields, r.body)
			}
		}})
	}
	return cases
}
