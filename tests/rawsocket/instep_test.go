package rawsocket

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
)

// TestInStep sends pipelines at random, in pieces at random: files and applications
// that read all, some or nothing of a body, which arrives whole or as they read it.
// Each response must be that of its request, and nothing in a body may ever be taken
// for a request (request smuggling).
func TestInStep(t *testing.T) {
	const connections, atOnce = 400, 8
	for _, row := range []struct {
		name string
		args []string
	}{
		{"without a log", nil},
		{"with an access log", []string{"--access-log"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := start(t, append(row.args, "--stream-request-body", "/stream/*")...)
			t.Run("at once", func(t *testing.T) { // returns when all of them have ended
				for first := range atOnce {
					t.Run(fmt.Sprint(first), func(t *testing.T) {
						t.Parallel()
						for seed := first; seed < connections && !t.Failed(); seed += atOnce {
							testPipeline(t, s, rand.New(rand.NewPCG(uint64(seed), 4)))
						}
					})
				}
			})
			if evil := s.executed(t, "/evil"); len(evil) > 0 {
				t.Errorf("a body was executed: %v", evil)
			}
		})
	}
}

// randomRequest is one request of a pipeline, and the part of its body that the
// application reads.
type randomRequest struct {
	method, target string
	body, seen     string
	raw            []byte
}

const evil = "GET /evil HTTP/1.1\r\nHost: h\r\n\r\n"

func newRandomRequest(r *rand.Rand, number int) *randomRequest {
	paths := []string{"/file.txt", "/whole", "/part", "/none", "/stream/whole", "/stream/part", "/stream/none"}
	q := &randomRequest{method: http.MethodGet, target: fmt.Sprintf("%s?n=%d", paths[r.IntN(len(paths))], number)}
	if q.isFile() {
		q.method = []string{http.MethodGet, http.MethodHead}[r.IntN(2)]
	} else if r.IntN(4) > 0 {
		q.method = []string{http.MethodPost, http.MethodPut}[r.IntN(2)]
	}
	var raw bytes.Buffer
	fmt.Fprintf(&raw, "%s %s HTTP/1.1\r\nHost: h\r\n", q.method, q.target)
	if q.method == http.MethodPost || q.method == http.MethodPut {
		sizes := []int{0, 1, 2, 5, 100, 4096, 8191, 8192, 8193, 20_000, 70_000, bodyLimit}
		q.body = strings.Repeat(evil, bodyLimit/len(evil)+1)[:sizes[r.IntN(len(sizes))]]
		if r.IntN(6) == 0 {
			raw.WriteString("Expect: 100-continue\r\n")
		}
		if r.IntN(2) == 0 {
			fmt.Fprintf(&raw, "Content-Length: %d\r\n\r\n%s", len(q.body), q.body)
		} else {
			raw.WriteString("Transfer-Encoding: chunked\r\n\r\n")
			for rest := q.body; rest != ""; {
				n := 1 + r.IntN(len(rest))
				fmt.Fprintf(&raw, "%x\r\n%s\r\n", n, rest[:n])
				rest = rest[n:]
			}
			raw.WriteString("0\r\n" + []string{"", "X-Trailer: 1\r\n"}[r.IntN(2)] + "\r\n")
		}
	} else {
		raw.WriteString("\r\n")
	}
	q.raw, q.seen = raw.Bytes(), q.body
	switch path, _, _ := strings.Cut(q.target, "?"); path[strings.LastIndexByte(path, '/'):] {
	case "/part":
		q.seen = q.body[:min(3, len(q.body))]
	case "/none":
		q.seen = ""
	}
	return q
}

func (q *randomRequest) isFile() bool { return strings.HasPrefix(q.target, "/file.txt") }

// testPipeline sends some requests over one connection. A response may close it, since a
// body was not read; the others are not answered then.
func testPipeline(t *testing.T, s *site, r *rand.Rand) {
	var pipeline []*randomRequest
	var all []byte
	for n := range 1 + r.IntN(6) {
		pipeline = append(pipeline, newRandomRequest(r, n))
		all = append(all, pipeline[n].raw...)
	}
	last := "GET /file.txt?last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
	all = append(all, last...)
	pipeline = append(pipeline, &randomRequest{method: http.MethodGet, target: "/file.txt?last"})

	c := s.dial(t)
	defer c.Close()
	pieces := []int{1, 3, 50, 500, 4096, 9000, len(all)}
	sizes := rand.New(rand.NewPCG(r.Uint64(), 0))
	sent := make(chan struct{})
	go func() { // the server may close before it has read everything
		defer close(sent)
		for rest := all; len(rest) > 0; {
			n := min(pieces[sizes.IntN(len(pieces))], len(rest))
			if _, err := c.Write(rest[:n]); err != nil {
				return
			}
			rest = rest[n:]
		}
	}()
	for _, q := range pipeline {
		a := c.read(q.method)
		for a != nil && a.StatusCode == http.StatusContinue {
			a = c.read(q.method)
		}
		if a == nil {
			t.Errorf("no answer to %s %s", q.method, q.target)
			break
		}
		if a.StatusCode != http.StatusOK {
			t.Errorf("%s %s with %d bytes: status %d", q.method, q.target, len(q.body), a.StatusCode)
			break
		}
		if q.isFile() {
			if want := "a file\n"; q.method == http.MethodGet && a.body != want {
				t.Errorf("%s: got %q, want the file", q.target, a.body)
			}
		} else if seen := a.echo(t); seen["path"]+"?"+seen["query"] != q.target || seen["method"] != q.method || seen["body"] != q.seen {
			t.Errorf("%s %s with %d bytes, of which %d are read, got the answer to %s %s?%s with %d",
				q.method, q.target, len(q.body), len(q.seen), seen["method"], seen["path"], seen["query"], len(seen["body"]))
		}
		if a.Close {
			break
		}
	}
	_ = c.Close()
	<-sent
}
