package conformance

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// responseGroup is about what the client sees of status and headers.
var responseGroup = group{"response", "Handling the Content-Length Header; Other HTTP Features", []testCase{
	answer("reason", must, "the status has a code and a reason phrase", func(t *testing.T, r *response) { reason(t, r, 299, "Quite Well") }),
	answer("reason-other", must, "the reason phrase is the application's", func(t *testing.T, r *response) { reason(t, r, 404, "Nobody Home") }),
	answer("reason-empty", should, "the reason phrase may be empty (RFC 9112 §4)", func(t *testing.T, r *response) {
		if r.status != 200 || r.reason != "" && r.reason != "OK" {
			t.Errorf("got %d %q", r.status, r.reason)
		}
	}),
	answer("reason-long", must, "the reason phrase may be long", func(t *testing.T, r *response) { reason(t, r, 200, strings.Repeat("long ", 400)+"end") }),
	answer("reason-latin-1", must, "the status is ISO-8859-1", func(t *testing.T, r *response) { reason(t, r, 200, "Voil\xe0") }),
	answer("status-999", must, "a status that nobody knows is a status", func(t *testing.T, r *response) { reason(t, r, 599, "Far Out") }),
	answer("case", should, "names of fields keep their case", func(t *testing.T, r *response) {
		for _, name := range []string{"x-lower-case", "X-UPPER-CASE", "x-MiXeD-cAsE"} {
			if !slices.ContainsFunc(r.fields, func(f [2]string) bool { return f[0] == name }) {
				t.Errorf("no %s in %q", name, r.fields)
			}
		}
	}),
	answer("case-known", extra, "names of fields that the server knows keep their case", func(t *testing.T, r *response) {
		for _, name := range []string{"ETAG", "WWW-Authenticate"} {
			if !slices.ContainsFunc(r.fields, func(f [2]string) bool { return f[0] == name }) {
				t.Errorf("no %s in %q", name, r.fields)
			}
		}
	}),
	answer("cookies", must, "Set-Cookie may be repeated and cannot be joined (RFC 9110 §5.3)", func(t *testing.T, r *response) {
		want := []string{"a=1; Path=/", "b=2; Expires=Thu, 01 Jan 2037 00:00:00 GMT", "a=3; Path=/; HttpOnly"}
		if got := r.values("Set-Cookie"); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}),
	answer("repeated", must, "repeated fields are all sent, in order", func(t *testing.T, r *response) {
		if got := r.value("X-Many"); got != "1, 2, 3, 1" {
			t.Errorf("got %q", r.values("X-Many"))
		}
	}),
	answer("challenges", should, "repeated WWW-Authenticate fields are kept apart, since clients get lists of them wrong", func(t *testing.T, r *response) {
		if got := r.values("WWW-Authenticate"); len(got) != 2 {
			t.Errorf("got %q", got)
		}
	}),
	answer("latin-1", must, "values are ISO-8859-1", func(t *testing.T, r *response) {
		if got := r.value("X-Latin"); got != "caf\xe9 \x80\xff" {
			t.Errorf("got %q", got)
		}
	}),
	answer("empty-value", must, "a value may be empty", func(t *testing.T, r *response) {
		if got := r.values("X-Empty"); len(got) != 1 || got[0] != "" || r.value("X-After") != "x" {
			t.Errorf("got %q", r.fields)
		}
	}),
	answer("large", must, "a value may be large", func(t *testing.T, r *response) {
		if got := r.value("X-Large"); got != strings.Repeat("v", 100000) {
			t.Errorf("got %d bytes, want 100000", len(got))
		}
	}),
	answer("many", must, "there may be many fields", func(t *testing.T, r *response) {
		for i := range 500 {
			if got := r.value(fmt.Sprintf("X-Field-%d", i)); got != fmt.Sprint(i) {
				t.Fatalf("field %d is %q", i, got)
			}
		}
	}),
	answer("punctuation", must, "a name is any token", func(t *testing.T, r *response) {
		if got := r.value("X-!#$%&'*+.^_`|~9"); got != "token" {
			t.Errorf("got %q", r.fields)
		}
	}),
	answer("no-type", extra, "the server makes up no Content-Type", func(t *testing.T, r *response) {
		if got := r.values("Content-Type"); len(got) > 0 {
			t.Errorf("got %q", got)
		}
	}),
	answer("no-headers-empty", must, "no headers and no body are a response", nil),
	answer("own-date", must, "Date and Server are there once, whoever sets them", func(t *testing.T, r *response) {
		if len(r.values("Date")) != 1 || len(r.values("Server")) > 1 {
			t.Errorf("got Date %q, Server %q", r.values("Date"), r.values("Server"))
		}
	}),
	answer("length-lower-case", must, "names have no case", func(t *testing.T, r *response) {
		if r.length != 1 || string(r.body) != "x" {
			t.Errorf("got Content-Length %d, %q", r.length, r.body)
		}
	}),
	answer("encoding", should, "what the application has coded is not coded again", func(t *testing.T, r *response) {
		if r.value("Content-Encoding") != "x-own" || string(r.body) != "x" || r.value("Vary") != "X-A" {
			t.Errorf("got %q %q", r.fields, r.body)
		}
	}),
	answer("redirect", must, "Location is the application's", func(t *testing.T, r *response) {
		if r.status != 302 || r.value("Location") != "/elsewhere?a=b#c" {
			t.Errorf("got %d %q", r.status, r.value("Location"))
		}
	}),
	answer("redirect-relative", should, "Location may be relative (RFC 9110 §10.2.2), and is not changed", func(t *testing.T, r *response) {
		if r.status != 303 || r.value("Location") != "else/where" {
			t.Errorf("got %d %q", r.status, r.value("Location"))
		}
	}),
	answer("location-200", extra, "Location with 200 is no internal redirect", func(t *testing.T, r *response) {
		if r.status != 200 || string(r.body) != "mine\n" {
			t.Errorf("got %d %q", r.status, r.body)
		}
	}),
	answer("status-header", extra, "no header makes the server read a file", func(t *testing.T, r *response) {
		if r.status != 200 || string(r.body) != "mine\n" {
			t.Errorf("got %d %q", r.status, r.body)
		}
	}),
	{"date", must, "the server adds Date", 0, func(t *testing.T, s *server) {
		if got := s.ok(t, "/response/answer?what=list-of-one").values("Date"); len(got) != 1 {
			t.Errorf("got %q", got)
		}
	}},
	{"close-asked", must, "Connection: close of the client is obeyed", 0, func(t *testing.T, s *server) {
		for _, target := range []string{"/response/answer?what=list-of-one", "/response/unknown-length"} {
			c := s.dial(t)
			complete(t, c.roundTrip(request{target: target, fields: []string{"Connection: close"}}))
			if _, err := c.r.ReadByte(); err == nil {
				t.Errorf("%s: more bytes after the response", target)
			}
		}
	}},
	{"http-1.0-unknown-length", must, "HTTP/1.0 knows no chunks: the end of the connection ends the body", 0, func(t *testing.T, s *server) {
		for _, fields := range [][]string{nil, {"Connection: keep-alive"}} {
			c := s.dial(t)
			r := c.roundTrip(request{target: "/response/unknown-length", proto: "HTTP/1.0", fields: fields})
			complete(t, r)
			if r.framing == byChunks || string(r.body) != "line 0\nline 1\nline 2\n" {
				t.Errorf("framed by %s, got %q", r.framing, r.body)
			}
		}
	}},
	{"http-1.0-known-length", must, "an HTTP/1.0 client gets the whole body", 0, func(t *testing.T, s *server) {
		r := s.do(t, request{target: "/response/answer?what=list-of-one", proto: "HTTP/1.0"})
		complete(t, r)
		if r.framing == byChunks || string(r.body) != "twelve bytes" {
			t.Errorf("framed by %s, got %q", r.framing, r.body)
		}
	}},
	{"http-1.1-unknown-length", must, "a response of unknown length is chunked, or ends with the connection", 0, func(t *testing.T, s *server) {
		c := s.dial(t)
		r := c.roundTrip(request{target: "/response/unknown-length"})
		complete(t, r)
		if string(r.body) != "line 0\nline 1\nline 2\n" {
			t.Errorf("framed by %s, got %q", r.framing, r.body)
		}
		if r.framing == byChunks {
			c.mustBeReusable()
		}
	}},
}}

func answer(what string, level level, says string, check func(*testing.T, *response)) testCase {
	return testCase{what, level, says, 0, func(t *testing.T, s *server) {
		c := s.dial(t)
		r := c.roundTrip(request{target: "/response/answer?what=" + what})
		complete(t, r)
		if check != nil {
			check(t, r)
		}
		if r.framing != byClose && r.value("Connection") != "close" {
			c.mustBeReusable()
		}
	}}
}

func reason(t *testing.T, r *response, status int, reason string) {
	t.Helper()
	if r.status != status || r.reason != reason {
		t.Errorf("got %d %q, want %d %q", r.status, r.reason, status, reason)
	}
}
