package conformance

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// lengthGroup is about responses whose length, or lack of a body, is known.
var lengthGroup = group{"length", "Handling the Content-Length Header", slices.Concat(declaredCases(), bodilessCases(), headCases(), []testCase{
	answer("length-zero", must, "Content-Length: 0 and no body", func(t *testing.T, r *response) {
		if r.length != 0 {
			t.Errorf("got Content-Length %d", r.length)
		}
	}),
	answer("length-zero-body", must, "Content-Length: 0 and a body that is not sent", func(t *testing.T, r *response) {
		if r.length != 0 || len(r.body) > 0 {
			t.Errorf("got Content-Length %d, %q", r.length, r.body)
		}
	}),
	answer("length-same-twice", extra, "Content-Length twice, the same, is sent once", func(t *testing.T, r *response) {
		if r.status == 200 && (r.length != 1 || string(r.body) != "x") {
			t.Errorf("got Content-Length %d, %q", r.length, r.body)
		}
	}),
	answer("list-of-one", should, "the length of an iterable of one string is known", func(t *testing.T, r *response) {
		if r.length != 12 || string(r.body) != "twelve bytes" {
			t.Errorf("got Content-Length %d, %q", r.length, r.body)
		}
	}),
	answer("list-of-two", extra, "the length of a list is known", func(t *testing.T, r *response) {
		if r.length != 12 || string(r.body) != "twelve bytes" {
			t.Errorf("got Content-Length %d, %q", r.length, r.body)
		}
	}),
	{"stops-iterating", should, "the server stops iterating when enough has been sent", 0, func(t *testing.T, s *server) {
		name := newNote()
		c := s.dial(t)
		r := c.roundTrip(request{target: "/response/endless?note=" + name})
		whole("abcabcabca")(t, r)
		text := strings.TrimSpace(s.awaitNote(t, name))
		if n, err := strconv.Atoi(text); err != nil || n > 5 {
			t.Errorf("%s strings were taken, want 4 or 5", text)
		}
		c.mustBeReusable()
	}},
	{"write-beyond", should, "write() past Content-Length raises an error", 0, func(t *testing.T, s *server) {
		name := newNote()
		r := s.do(t, request{target: "/response/declared?length=10&send=30&pieces=5&by=write&note=" + name})
		whole("0123456789"[:10])(t, r)
		if text := s.awaitNote(t, name); text != "refused 4\n" {
			t.Errorf("write() of 6 times 5 bytes: %s, want the last 4", strings.TrimSpace(text))
		}
	}},
})}

// declaredCases have a body and a Content-Length that differ.
func declaredCases() (cases []testCase) {
	for _, by := range []string{"list", "generator", "write"} {
		for _, row := range []struct {
			name                 string
			length, send, pieces int
		}{
			{"exact", 100, 100, 30},
			{"exact-large", 300000, 300000, 1000},
			{"exact-one", 100, 100, 0},
			{"too-long", 100, 150, 30},
			{"too-long-at-once", 100, 150, 0},
			{"too-long-at-end", 100, 150, 50},
			{"too-long-large", 300000, 700000, 0},
			{"too-short", 100, 50, 30},
			{"too-short-at-once", 100, 50, 0},
			{"too-short-large", 700000, 300000, 100000},
			{"nothing", 100, 0, 0},
		} {
			says := "the server must not send more than Content-Length allows"
			if row.send < row.length {
				says = "a body shorter than Content-Length must not look complete: the connection is closed, or an error reported"
			}
			cases = append(cases, testCase{row.name + "-" + by, must, says, 0, func(t *testing.T, s *server) {
				c := s.dial(t)
				c.send(request{target: fmt.Sprintf("/response/declared?length=%d&send=%d&pieces=%d&by=%s&note=%s", row.length, row.send, row.pieces, by, newNote())})
				r, err := c.tryHead("GET")
				if err != nil && row.send < row.length {
					return // cut before its head
				}
				if err != nil {
					t.Fatal(err)
				}
				c.finish(r)
				want := strings.Repeat("0123456789", row.send/10+1)[:min(row.length, row.send)]
				switch {
				case row.send < row.length && r.status == 500:
					plainError(t, r, 500)
				case row.send < row.length:
					// How much of it arrives is another matter: the end may be abrupt.
					isCut(t, r)
					if r.length != int64(row.length) || !strings.HasPrefix(want, string(r.body)) {
						t.Errorf("got Content-Length %d and %d bytes, want %d and at most %d", r.length, len(r.body), row.length, row.send)
					}
				default:
					complete(t, r)
					if r.status != 200 || r.length != int64(row.length) || string(r.body) != want {
						t.Errorf("got %d, Content-Length %d and %d bytes, want 200, %d and as many", r.status, r.length, len(r.body), row.length)
					}
					if r.value("Connection") != "close" {
						c.mustBeReusable()
					}
				}
			}})
		}
	}
	return cases
}

// bodilessCases are responses that end with their head.
func bodilessCases() (cases []testCase) {
	for _, what := range []string{"204", "204-with-length", "304", "304-with-length"} {
		for _, body := range []string{"empty", "list", "generator", "write"} {
			cases = append(cases, testCase{what + "-" + body, must, "a 204 and a 304 have no body (RFC 9112 §6.3)", 0, func(t *testing.T, s *server) {
				c := s.dial(t)
				r := c.roundTrip(request{target: "/response/bodiless?what=" + what + "&body=" + body})
				complete(t, r)
				if want := what[:3]; strconv.Itoa(r.status) != want {
					t.Fatalf("got %d, want %s", r.status, want)
				}
				if r.status == 204 && len(r.values("Content-Length")) > 0 {
					t.Errorf("got Content-Length %q: a 204 has none (RFC 9110 §8.6)", r.value("Content-Length"))
				}
				if r.status == 304 && r.value("ETag") != `"tag"` {
					t.Errorf("got ETag %q", r.value("ETag"))
				}
				if len(r.values("Transfer-Encoding")) > 0 {
					t.Errorf("got Transfer-Encoding %q", r.value("Transfer-Encoding"))
				}
				if what == "304-with-length" && r.length >= 0 && r.length != 12 {
					t.Errorf("got Content-Length %d, want the application's 12 or none", r.length)
				}
				if r.value("Connection") != "close" {
					c.mustBeReusable()
				}
			}})
		}
	}
	return cases
}

// headCases compare HEAD with GET.
func headCases() (cases []testCase) {
	for _, how := range []string{"list", "declared", "declared-empty", "generator", "write"} {
		cases = append(cases, testCase{"head-" + how, must, "the response to HEAD has no body, and the fields of GET", 0, func(t *testing.T, s *server) {
			target := "/response/head?how=" + how
			get := s.ok(t, target)
			if string(get.body) != "twelve bytes" {
				t.Errorf("GET: got %q", get.body)
			}
			c := s.dial(t)
			r := c.roundTrip(request{method: "HEAD", target: target})
			complete(t, r)
			if r.status != 200 || r.value("Content-Type") != get.value("Content-Type") {
				t.Errorf("got %d %q", r.status, r.fields)
			}
			if r.length >= 0 && r.length != 12 {
				t.Errorf("got Content-Length %d, want 12 or none", r.length)
			}
			if strings.HasPrefix(how, "declared") && r.length != 12 {
				t.Errorf("got Content-Length %d, want the application's 12", r.length)
			}
			if r.value("Connection") != "close" {
				c.mustBeReusable()
			}
		}})
	}
	for _, row := range []struct{ name, method, what string }{
		{"head-under-way", "HEAD", ""}, {"204-under-way", "GET", "204"}, {"304-under-way", "GET", "304"},
	} {
		cases = append(cases, testCase{row.name, extra, "the head of a response without a body is not held back, and nothing comes after it", needHere, func(t *testing.T, s *server) {
			name := newNote()
			c := s.dial(t)
			c.send(request{method: row.method, target: "/response/bodiless-slow?what=" + row.what + "&note=" + name})
			r := c.head(row.method)
			s.note(t, name)
			c.finish(r)
			complete(t, r)
			if r.value("Connection") != "close" {
				c.mustBeReusable()
			}
		}})
	}
	return append(cases, testCase{"head-large", must, "HEAD of a large body is quick and complete", 0, func(t *testing.T, s *server) {
		c := s.dial(t)
		for _, target := range []string{"/iter/big?mib=50", "/iter/big?mib=50&length=1", "/iter/one-piece?mib=3"} {
			r := c.roundTrip(request{method: "HEAD", target: target})
			complete(t, r)
			if r.status != 200 {
				t.Errorf("%s: got %d", target, r.status)
			}
		}
		c.mustBeReusable()
	}})
}
