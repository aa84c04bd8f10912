package conformance

import (
	"encoding/json"
	"strings"
	"testing"
)

// level says what a case rests on.
type level int

const (
	must   level = iota // PEP 3333 or HTTP requires it
	should              // PEP 3333 recommends it, or permits it and says how
	extra               // beyond both: what mod_wsgi and overlay promise
)

func (l level) String() string { return [...]string{"must", "should", "extra"}[l] }

// need is what a case cannot do without.
type need int

const (
	needLog     need = 1 << iota // the server's log, where the error stream ends
	needHere                     // a server on this machine: its processes, its notes
	needWorkers                  // the number of processes and threads
	needMount                    // a mount point other than /
	needRoot                     // the mount point /
	needSpare                    // threads for two requests at once
	needAlone                    // no other request at the same time
)

// testCase is one thing that a server has to do.
type testCase struct {
	name  string
	level level
	says  string // the sentence, in short
	needs need
	run   func(t *testing.T, s *server)
}

// group is the cases about one section of PEP 3333.
type group struct {
	name    string
	section string
	cases   []testCase
}

var groups = []group{
	processGroup, // first: it wants the threads for itself
	environGroup,
	inputGroup,
	logGroup,
	startGroup,
	refusalGroup,
	iterableGroup,
	streamingGroup,
	closeGroup,
	responseGroup,
	lengthGroup,
	fileGroup,
	failureGroup,
	validateGroup,
}

// do sends one request on a connection of its own and reads the response, which
// may be incomplete.
func (s *server) do(t *testing.T, r request) *response {
	t.Helper()
	c := s.dial(t)
	defer c.Close()
	return c.roundTrip(r)
}

// attempt is do for responses that may be cut so early, or so abruptly, that not
// even their head arrives: status is 0 then, and cut is set.
func (s *server) attempt(t *testing.T, r request) *response {
	t.Helper()
	c := s.dial(t)
	defer c.Close()
	c.send(r)
	answer, err := c.tryHead(r.method)
	if err != nil {
		return &response{cut: err, length: -1}
	}
	c.finish(answer)
	return answer
}

// get sends GET; the response must be complete.
func (s *server) get(t *testing.T, target string, fields ...string) *response {
	t.Helper()
	r := s.do(t, request{target: target, fields: fields})
	complete(t, r)
	return r
}

// ok is get for views that answer 200.
func (s *server) ok(t *testing.T, target string, fields ...string) *response {
	t.Helper()
	r := s.get(t, target, fields...)
	if r.status != 200 {
		t.Fatalf("GET %s: got %d %s: %.200q", target, r.status, r.reason, r.body)
	}
	return r
}

// wantBody is ok, and compares the body.
func (s *server) wantBody(t *testing.T, target, want string) *response {
	t.Helper()
	r := s.ok(t, target)
	if string(r.body) != want {
		t.Errorf("GET %s: got body %.200q of %d bytes, want %.200q", target, r.body, len(r.body), want)
	}
	return r
}

func complete(t *testing.T, r *response) {
	t.Helper()
	if r.cut != nil {
		t.Fatalf("response %d is cut after %d bytes of body: %v", r.status, len(r.body), r.cut)
	}
}

// into decodes the JSON that a view answered.
func into[T any](t *testing.T, r *response) (value T) {
	t.Helper()
	complete(t, r)
	if r.status != 200 {
		t.Fatalf("got %d %s: %.300q", r.status, r.reason, r.body)
	}
	if err := json.Unmarshal(r.body, &value); err != nil {
		t.Fatalf("decode %.300q: %v", r.body, err)
	}
	return value
}

// plainError checks that r is an error page of the server with that status, and
// tells the client nothing of the application.
func plainError(t *testing.T, r *response, status int) {
	t.Helper()
	complete(t, r)
	if r.status != status {
		t.Errorf("got %d %s, want %d", r.status, r.reason, status)
	}
	tellsNothing(t, r)
	if r.value("X-Mine") != "" {
		t.Errorf("the error has fields of the response it replaces: %q", r.fields)
	}
}

// tellsNothing checks that nothing of an exception is in r.
func tellsNothing(t *testing.T, r *response) {
	t.Helper()
	text := string(r.body)
	for _, f := range r.fields {
		text += f[0] + f[1]
	}
	for _, inside := range []string{"Traceback", "only-for-the-log", "Expected", ".py", "File \""} {
		if strings.Contains(text, inside) {
			t.Errorf("the client is told %q: %.300q", inside, r.body)
		}
	}
}

// failed checks that r is a plain 500 when nothing of the response had been
// sent yet, and visibly cut otherwise. Which of the two is a matter of
// microseconds when the application fails right after a block.
func failed(t *testing.T, r *response) {
	t.Helper()
	if r.status == 500 {
		plainError(t, r, 500)
		return
	}
	isCut(t, r)
	tellsNothing(t, r)
}

// isCut checks that the client can see that r is not complete.
func isCut(t *testing.T, r *response) {
	t.Helper()
	if r.cut == nil {
		t.Errorf("the response (%d, framed by %s) looks complete after %d bytes, want it visibly cut", r.status, r.framing, len(r.body))
	}
}
