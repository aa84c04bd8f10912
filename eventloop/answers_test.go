package eventloop

import (
	"bytes"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const date = "Sat, 21 Nov 2026 12:00:00 GMT"

// response returns a response with body.
func response(body string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nServer: x\r\nDate: %s\r\nContent-Length: %d\r\n\r\n%s", date, len(body), body)
}

// testSource is current until it is set to false.
type testSource struct {
	stale atomic.Bool
	valid time.Duration
	asked atomic.Int32
}

func (s *testSource) Current(time.Time) (time.Duration, bool) {
	s.asked.Add(1)
	return s.valid, !s.stale.Load()
}

func TestKeepable(t *testing.T) {
	const fields = "\r\nDate: " + date + "\r\nContent-Length: 2\r\n\r\n"
	for _, row := range []struct {
		name   string
		method byte
		wire   string
		want   bool
	}{
		{"200", 'G', response("body"), true},
		{"404", 'G', "HTTP/1.1 404 Not Found" + fields + "hi", true},
		{"empty body", 'G', response(""), true},
		{"body with an empty line", 'G', response("a\r\n\r\nb"), true},
		{"HEAD", 'H', "HTTP/1.1 200 OK" + fields, true},
		{"304", 'G', "HTTP/1.1 304 Not Modified\r\nDate: " + date + "\r\nEtag: \"a\"\r\n\r\n", true},
		{"nothing", 'G', "", false},
		{"half a head", 'G', "HTTP/1.1 200 OK\r\nDate: " + date + "\r\n", false},
		{"no date", 'G', "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", false},
		{"date of another form", 'G', "HTTP/1.1 200 OK\r\nDate: today\r\nContent-Length: 2\r\n\r\nhi", false},
		{"no length", 'G', "HTTP/1.1 200 OK\r\nDate: " + date + "\r\n\r\nhi", false},
		{"two lengths", 'G', "HTTP/1.1 200 OK\r\nContent-Length: 2" + fields + "hi", false},
		{"length that is no number", 'G', "HTTP/1.1 200 OK\r\nDate: " + date + "\r\nContent-Length: x\r\n\r\nhi", false},
		{"body cut", 'G', "HTTP/1.1 200 OK" + fields + "h", false},
		{"more than the body", 'G', "HTTP/1.1 200 OK" + fields + "hi!", false},
		{"body after HEAD", 'H', "HTTP/1.1 200 OK" + fields + "hi", false},
		{"body after 304", 'G', "HTTP/1.1 304 Not Modified" + fields + "hi", false},
		{"206", 'G', "HTTP/1.1 206 Partial Content" + fields + "hi", false},
		{"500", 'G', "HTTP/1.1 500 Internal Server Error" + fields + "hi", false},
		{"100 first", 'G', "HTTP/1.1 100 Continue\r\n\r\n" + response("a"), false},
		{"HTTP/1.0", 'G', "HTTP/1.0 200 OK" + fields + "hi", false},
		{"closes", 'G', "HTTP/1.1 200 OK\r\nConnection: close" + fields + "hi", false},
		{"chunked", 'G', "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked" + fields + "hi", false},
		{"cookie", 'G', "HTTP/1.1 200 OK\r\nSet-Cookie: a=b" + fields + "hi", false},
		{"line without colon", 'G', "HTTP/1.1 200 OK\r\nabc" + fields + "hi", false},
	} {
		at, ok := keepable(row.method, []byte(row.wire))
		if ok != row.want {
			t.Errorf("%s: keepable = %v, want %v", row.name, ok, row.want)
		} else if ok && !strings.HasPrefix(row.wire[at:], date+"\r\n") {
			t.Errorf("%s: the date is not at %d of %q", row.name, at, row.wire)
		}
	}
}

func FuzzKeepable(f *testing.F) {
	f.Add([]byte(response("body")))
	f.Fuzz(func(t *testing.T, wire []byte) {
		at, ok := keepable('G', wire)
		if !ok {
			return
		}
		head, _, _ := bytes.Cut(wire, []byte("\r\n\r\n"))
		if at < len("HTTP/1.1 200") || at+dateLength > len(head) || !equalFold(wire[at-6:at], "date: ") {
			t.Fatalf("keepable(%q): date at %d", wire, at)
		}
	})
}

func TestAnswers(t *testing.T) {
	table, source := NewAnswers(1<<20), &testSource{}
	now := time.Now()
	if table.get([]byte("Gk/"), now) != nil {
		t.Error("an empty table has an answer")
	}
	if !table.put("Gk/", []byte(response("one")), source) || !table.put("Gk/", []byte(response("two")), source) {
		t.Fatal("put refuses")
	}
	if n, _ := table.Stats(); n != 1 {
		t.Errorf("%d answers for one key", n)
	}
	if a := table.get([]byte("Gk/"), now); a == nil || string(a.wire) != response("two") {
		t.Errorf("get = %v, want the later answer", a)
	}
	source.stale.Store(true)
	if table.get([]byte("Gk/"), now) != nil {
		t.Error("got an answer whose source is not current")
	}
	if n, bytes := table.Stats(); n != 0 || bytes != 0 {
		t.Errorf("a stale answer stays: %d answers, %d bytes", n, bytes)
	}
	if table.put("Gk/", []byte("HTTP/1.1 200 OK\r\n\r\n"), source) || table.put("", []byte(response("a")), source) {
		t.Error("put takes what cannot be sent again")
	}
	if NewAnswers(0) != nil || NewAnswers(-1) != nil {
		t.Error("a table of no bytes")
	}
}

// TestAnswersValid: a source is asked again when the time is up that it named, and not before.
func TestAnswersValid(t *testing.T) {
	table, source := NewAnswers(1<<20), &testSource{valid: time.Second}
	table.put("Gk/", []byte(response("a")), source)
	now := time.Now()
	for _, row := range []struct {
		after time.Duration
		asked int32
	}{{0, 1}, {time.Second - 1, 1}, {time.Second, 2}, {2*time.Second - 1, 2}, {5 * time.Second, 3}} {
		if table.get([]byte("Gk/"), now.Add(row.after)) == nil {
			t.Fatalf("after %v there is no answer", row.after)
		}
		if asked := source.asked.Load(); asked != row.asked {
			t.Errorf("after %v: asked %d times, want %d", row.after, asked, row.asked)
		}
	}
}

// TestAnswersBound: both sides of each limit, and what is in use stays.
func TestAnswersBound(t *testing.T) {
	source, now := &testSource{}, time.Now()
	head := len(response("")) + 4 // digits of the length
	table := NewAnswers(64 << 20)
	if !table.put("Gk/", []byte(response(strings.Repeat("a", MaxAnswer-head))), source) {
		t.Error("an answer of MaxAnswer bytes is not kept")
	}
	if table.put("Gk/", []byte(response(strings.Repeat("a", MaxAnswer-head+1))), source) {
		t.Error("a longer one is kept")
	}
	const most = answerShards * 10 * (answerCost + 300)
	table = NewAnswers(most)
	hot := []byte("Gk/hot")
	table.put(string(hot), []byte(response("hot")), source)
	for i := range 100_000 {
		if table.get(hot, now) == nil {
			t.Fatalf("an answer that is in use was dropped after %d others", i)
		}
		table.put(fmt.Sprintf("Gk/%d", i), []byte(response("cold")), source)
	}
	n, bytes := table.Stats()
	if bytes > most || bytes < most/2 || n < answerShards {
		t.Errorf("%d answers of %d bytes, want nearly %d bytes", n, bytes, most)
	}
}
