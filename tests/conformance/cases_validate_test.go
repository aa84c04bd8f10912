package conformance

import (
	"strings"
	"testing"
)

// validateGroup runs ordinary requests through wsgiref.validate, the checker
// that comes with Python: it raises AssertionError when server or application
// break PEP 3333, and complains on stderr about an iterable that was not closed.
var validateGroup = group{"validate", "wsgiref.validate", append(validated(), testCase{
	"no-complaint", must, "what wsgiref.validate returns is iterated to the end, and closed", needLog, func(t *testing.T, s *server) {
		for _, complaint := range []string{"without being closed", "was not called", "Exception ignored"} {
			if strings.Contains(s.log(), complaint) {
				t.Errorf("the log holds %q", complaint)
			}
		}
	},
})}

func validated() (cases []testCase) {
	for _, row := range []struct {
		name, method, target string
		body                 []byte
	}{
		{"environ", "GET", "/environ/show?a=b", nil},
		{"environ-of-post", "POST", "/environ/show", []byte("body")},
		{"read", "POST", "/input/ops?ops=read:5,readline,read:100", []byte("body\nof two lines")},
		{"iteration", "POST", "/input/lines", []byte("body\nof two lines")},
		{"large", "POST", "/input/ops?ops=digest", pattern(1 << 20)},
		{"unread", "POST", "/input/ignore", pattern(200000)},
		{"list", "GET", "/iter/right?kind=list", nil},
		{"generator", "GET", "/iter/right?kind=generator", nil},
		{"write", "GET", "/iter/write?kind=tuple", nil},
		{"replace", "GET", "/start/replace", nil},
		{"in-next", "GET", "/iter/right?kind=iterator", nil},
		{"head", "HEAD", "/response/head?how=declared-empty", nil},
		{"304", "GET", "/response/bodiless?what=304&body=empty", nil},
		{"file", "GET", "/file/wrapped?size=300000", nil},
		{"errors", "GET", "/log/errors?how=write&text=validated", nil},
		{"unknown", "GET", "/nothing", nil},
		{"options", "OPTIONS", "/response/method", nil},
	} {
		cases = append(cases, testCase{row.name, must, "nothing that wsgiref.validate would refuse", 0, func(t *testing.T, s *server) {
			r := s.do(t, request{method: row.method, target: row.target, body: row.body, fields: []string{"X-Validate: yes"}})
			complete(t, r)
			if r.status == 500 {
				t.Errorf("%s %s: got 500", row.method, row.target)
			}
		}})
	}
	return cases
}
