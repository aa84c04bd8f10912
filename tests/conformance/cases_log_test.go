package conformance

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
)

var logGroup = group{"log", "Input and Error Streams", slices.Concat(errorStreamCases(), outputCases(), []testCase{
	{"bytes", must, "wsgi.errors is a text stream: bytes are an error of the application", 0, func(t *testing.T, s *server) {
		s.wantBody(t, "/log/errors?how=bytes&text=x", "refused\n")
	}},
	{"whole-lines", extra, "lines of requests at the same time do not mix", needLog, func(t *testing.T, s *server) {
		word := newNote()
		var all sync.WaitGroup
		for i := range 10 {
			c := s.dial(t)
			all.Go(func() {
				c.send(request{target: fmt.Sprintf("/log/many?text=%s-%d", word, i)})
				if r, err := c.tryHead("GET"); err != nil || r.status != 200 {
					t.Errorf("request %d: %v", i, err)
				}
			})
		}
		all.Wait()
		for i := range 10 {
			s.awaitLog(t, fmt.Sprintf("%s-%d ends 19", word, i))
		}
		whole := 0
		for line := range strings.Lines(s.log()) {
			if !strings.Contains(line, word) {
				continue
			}
			whole++
			var id, first, thread, last int
			at := strings.Index(line, word)
			if n, err := fmt.Sscanf(strings.ReplaceAll(line[at:], word, "w"), "w-%d begins %d, goes on in thread %d, w-%d ends %d", &id, &first, &thread, &id, &last); n != 5 || err != nil || first != last || strings.Count(line, word) != 2 {
				t.Errorf("line %q is not whole", line)
			}
		}
		if whole != 200 {
			t.Errorf("got %d lines, want 200", whole)
		}
	}},
	{"stdin", extra, "standard input is empty, and not the server's protocol", 0, func(t *testing.T, s *server) {
		s.wantBody(t, "/log/stdin", "''\n")
	}},
})}

// errorStreamCases are about wsgi.errors.
func errorStreamCases() []testCase {
	var cases []testCase
	for _, row := range []struct{ how, says, want string }{
		{"write", "write", "WORD"},
		{"writelines", "writelines takes a sequence", "WORD-one"},
		{"iterator", "writelines takes any iterable of lines", "WORD-two"},
		{"flush", "what was written before flush() is written", "WORD"},
		{"unfinished", "a line that was not ended, and not flushed, is not lost with the request", "WORD"},
		{"pieces", "a line written in pieces is one line", "WORD"},
		{"unicode", "a text stream takes any text", "-end"},
		{"print", "print(file=wsgi.errors) works", "WORD"},
	} {
		level := must
		if row.how == "unfinished" {
			level = extra
		}
		cases = append(cases, testCase{"errors-" + row.how, level, "wsgi.errors: " + row.says, needLog, func(t *testing.T, s *server) {
			word := newNote()
			s.wantBody(t, "/log/errors?how="+row.how+"&text="+word, "written\n")
			want := strings.Replace(row.want, "WORD", word, 1)
			if row.how == "unicode" {
				eventually(t, "log", func() error {
					for line := range strings.Lines(s.log()) {
						if strings.Contains(line, word) && strings.Contains(line, want) {
							return nil
						}
					}
					return fmt.Errorf("no line with %q and %q", word, want)
				})
				return
			}
			s.awaitLog(t, want)
		}})
	}
	return cases
}

// outputCases are about the streams of the process.
func outputCases() []testCase {
	var cases []testCase
	for _, to := range []string{"stdout", "stderr", "__stdout__", "__stderr__", "fd1", "fd2", "buffer", "child"} {
		cases = append(cases, testCase{"output-" + strings.Trim(to, "_") + strings.Repeat("-original", strings.Count(to, "__")/2), extra,
			"what the application prints arrives in the log, never in the protocol", needLog, func(t *testing.T, s *server) {
				word := newNote()
				c := s.dial(t)
				for range 3 {
					r := c.roundTrip(request{target: "/log/output?to=" + to + "&text=" + word})
					complete(t, r)
					if r.status != 200 || string(r.body) != "printed\n" {
						t.Fatalf("got %d %q", r.status, r.body)
					}
				}
				eventually(t, "log", func() error {
					if n := strings.Count(s.log(), word); n < 3 {
						return fmt.Errorf("%d times %q, want 3", n, word)
					}
					return nil
				})
			}})
	}
	return cases
}
