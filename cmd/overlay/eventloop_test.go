//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"overlay/eventloop"

	"github.com/valyala/fasthttp"
)

// loopSite serves files with the options args. The result is its address.
func loopSite(t *testing.T, files map[string]string, args ...string) (*site, string) {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		old := time.Now().Add(-time.Hour) // a young file is looked at again and again
		if err := os.Chtimes(name, old, old); err != nil {
			t.Fatal(err)
		}
	}
	cfg, err := parseConfig(root, append([]string{"--port", "0", "--document-root", root}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{cfg: cfg, log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	if err := s.listen(); err != nil {
		t.Fatal(err)
	}
	if err := s.build(io.Discard); err != nil {
		t.Fatal(err)
	}
	failed := s.start()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := s.server.ShutdownWithContext(ctx); err != nil {
			t.Errorf("shut down: %v", err)
		}
		s.close()
		select {
		case err := <-failed:
			t.Error(err)
		default:
		}
	})
	return s, s.http.Addr().String()
}

// loopClient is a connection to a loopSite.
type loopClient struct {
	net.Conn
	in *bufio.Reader
}

func dialLoop(t *testing.T, address string) *loopClient {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(2 * time.Minute))
	return &loopClient{c, bufio.NewReader(c)}
}

// exchange sends request and returns the response: head and body.
func (c *loopClient) exchange(request string) (head, body string, err error) {
	if _, err := io.WriteString(c, request); err != nil {
		return "", "", err
	}
	return c.response(request)
}

func (c *loopClient) response(request string) (head, body string, err error) {
	_ = c.SetDeadline(time.Now().Add(2 * time.Minute)) // of each answer: a conversation may be long
	method, _, _ := strings.Cut(request, " ")
	var raw strings.Builder
	response, err := http.ReadResponse(bufio.NewReader(io.TeeReader(c.in, &raw)), &http.Request{Method: method})
	if err != nil {
		return "", "", err
	}
	content, err := io.ReadAll(response.Body)
	head, _, _ = strings.Cut(raw.String(), "\r\n\r\n")
	return head, string(content), err
}

var dateField = regexp.MustCompile(`\r\nDate: [^\r]*`)

// TestLoopAnswers: what the event loop answers is what the server answers, but for
// Date, and it answers what it should.
func TestLoopAnswers(t *testing.T) {
	text := strings.Repeat("some words to compress, and ", 200)
	s, address := loopSite(t, map[string]string{
		"a.txt": text, "small.bin": "0123456789", "empty": "", "dir/index.html": "<p>index", "b.js": text, "b.js.gz": "not really gzip",
		"large": strings.Repeat("x", 64<<10), "larger": strings.Repeat("x", 66<<10), "hashed-0123456789abcdef.css": "p {}",
	}, "--header", "X-Test", "a")
	etag := func() string {
		head, _, err := dialLoop(t, address).exchange("HEAD /small.bin HTTP/1.1\r\nHost: a\r\n\r\n")
		if err != nil {
			t.Fatal(err)
		}
		return regexp.MustCompile(`Etag: (\S+)`).FindStringSubmatch(head)[1]
	}()
	for _, row := range []struct {
		name, request string
		kept          bool
		status        string
	}{
		{"a file", "GET /small.bin HTTP/1.1\r\nHost: a\r\n\r\n", true, "200"},
		{"an empty file", "GET /empty HTTP/1.1\r\nHost: a\r\n\r\n", true, "200"},
		{"HEAD", "HEAD /empty HTTP/1.1\r\nHost: a\r\n\r\n", true, "200"},
		{"an index file", "GET /dir/ HTTP/1.1\r\nHost: a\r\n\r\n", true, "200"},
		{"the largest in memory", "GET /large HTTP/1.1\r\nHost: a\r\n\r\n", true, "200"},
		{"a coded form", "GET /a.txt HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n", true, "200"},
		{"no coded form asked for", "GET /a.txt HTTP/1.1\r\nHost: a\r\n\r\n", true, "200"},
		{"a precompressed sibling", "GET /b.js HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n", true, "200"},
		{"not modified", "GET /small.bin HTTP/1.1\r\nHost: a\r\nIf-None-Match: " + etag + "\r\n\r\n", true, "304"},
		{"modified", "GET /small.bin HTTP/1.1\r\nHost: a\r\nIf-None-Match: \"x\"\r\n\r\n", true, "200"},
		{"not modified since", "GET /empty HTTP/1.1\r\nHost: a\r\nIf-Modified-Since: Fri, 21 Nov 2070 12:00:00 GMT\r\n\r\n", true, "304"},
		{"a miss, asked for again and again", "GET /missing HTTP/1.1\r\nHost: a\r\n\r\n", true, "404"},

		{"a file too large for it", "GET /larger HTTP/1.1\r\nHost: a\r\n\r\n", false, "200"},
		{"a redirect", "GET /dir HTTP/1.1\r\nHost: a\r\n\r\n", false, "301"},
		{"a range", "GET /small.bin HTTP/1.1\r\nHost: a\r\nRange: bytes=1-2\r\n\r\n", false, "206"},
		{"nothing acceptable", "GET /small.bin HTTP/1.1\r\nHost: a\r\nAccept-Encoding: identity;q=0\r\n\r\n", false, "406"},
		{"another method", "OPTIONS /small.bin HTTP/1.1\r\nHost: a\r\n\r\n", false, "204"},
		{"a host that is none", "GET /small.bin HTTP/1.1\r\nHost: a/b\r\n\r\n", false, "400"},
		{"HTTP/1.0", "GET /small.bin HTTP/1.0\r\n\r\n", false, "200"},
		{"a body", "GET /small.bin HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", false, "200"},
	} {
		t.Run(row.name, func(t *testing.T) {
			before, _ := s.answers.Stats()
			var first, last string
			for try := range 5 {
				head, body, err := dialLoop(t, address).exchange(row.request)
				if err != nil {
					t.Fatal(err)
				}
				last = dateField.ReplaceAllString(head, "") + "\r\n\r\n" + body
				if !dateField.MatchString(head) || !strings.HasPrefix(head, "HTTP/1.1 "+row.status) {
					t.Fatalf("answer %d is\n%s", try+1, head)
				}
				if try == 0 {
					first = last
				} else if row.name != "a coded form" && last != first { // of which there is a better one soon
					t.Fatalf("answer %d differs:\n%.500s\nwant\n%.500s", try+1, last, first)
				}
			}
			after, _ := s.answers.Stats()
			if row.kept != (after > before) && row.request != "GET /small.bin HTTP/1.1\r\nHost: a\r\n\r\n" {
				t.Errorf("%d answers kept, were %d; want one more: %v", after, before, row.kept)
			}
		})
	}
}

// TestLoopNewerForm: when a better coded form was made, the loop no longer gives the quick one.
func TestLoopNewerForm(t *testing.T) {
	var text strings.Builder
	for n := range 2000 {
		fmt.Fprintf(&text, "the square of %d is %d, and ", n, n*n)
	}
	_, address := loopSite(t, map[string]string{"a.txt": text.String()})
	c := dialLoop(t, address)
	for end := time.Now().Add(30 * time.Second); ; {
		head, _, err := c.exchange("GET /a.txt HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n")
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(head, `-gzip2"`) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the quick form is still sent:\n%s", head)
		}
	}
}

// TestLoopReplacedFile: with --cache-revalidate 0 a file that was replaced is never sent
// again, whoever answers, and no answer is a mixture.
func TestLoopReplacedFile(t *testing.T) {
	version := func(n int) string { return strings.Repeat(fmt.Sprintf("%06d ", n), 700) }
	s, address := loopSite(t, map[string]string{"a.txt": version(0)}, "--cache-revalidate", "0")
	var newest, answers atomic.Int32
	var clients sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for range 4 {
		c := dialLoop(t, address)
		clients.Go(func() {
			for ctx.Err() == nil {
				least := int(newest.Load())
				_, body, err := c.exchange("GET /a.txt HTTP/1.1\r\nHost: a\r\n\r\n")
				if err != nil {
					t.Error(err)
					return
				}
				var n int
				if _, err := fmt.Sscanf(body, "%06d", &n); err != nil || body != version(n) {
					t.Errorf("not a version of the file: %.40q", body)
					return
				}
				if n < least {
					t.Errorf("got version %d after version %d was in place", n, least)
					return
				}
				answers.Add(1)
			}
		})
	}
	root := s.cfg.DocumentRoot
	for n := 1; n <= 300; n++ {
		if err := os.WriteFile(filepath.Join(root, "new"), []byte(version(n)), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(root, "new"), filepath.Join(root, "a.txt")); err != nil {
			t.Fatal(err)
		}
		newest.Store(int32(n))
		seen := answers.Load()
		pollUntil(t, "answers with the new version", func() bool { return answers.Load() > seen+8 || t.Failed() })
	}
	cancel()
	clients.Wait()
}

// TestLoopGivesBack: a connection that waits long goes back to the loop, without an end to it.
func TestLoopGivesBack(t *testing.T) {
	s, address := loopSite(t, map[string]string{"a": "a"})
	c := dialLoop(t, address)
	const request = "OPTIONS /a HTTP/1.1\r\nHost: a\r\n\r\n"
	for range 2 {
		if _, _, err := c.exchange(request); err != nil {
			t.Fatal(err)
		}
		if n := s.loops.Connections(); n != 0 {
			t.Fatalf("%d connections wait in loops right after a request for the server", n)
		}
		pollUntil(t, "the connection to go back", func() bool { return s.loops.Connections() == 1 })
	}
}

// TestLoopLogsAndCounts: an answer of the loop has the same line in the access log as that
// of the server.
func TestLoopLogsAndCounts(t *testing.T) {
	const tries = patienceWithPlain + 3
	for _, format := range []string{"common", "combined", "json"} {
		t.Run(format, func(t *testing.T) {
			s, address := loopSite(t, map[string]string{"a": "0123456789"}, "--access-log", "--access-log-format", format, "--metrics-listen", "127.0.0.1:0")
			var log bytes.Buffer
			s.accessLog.w = &log      // nothing was written yet
			c := dialLoop(t, address) // the line of a request is there before the next is read
			for _, request := range []string{
				"GET /a HTTP/1.1\r\nHost: h\r\nUser-Agent: an \"agent\"\r\nReferer: /r\r\n\r\n",
				"HEAD /a HTTP/1.1\r\nHost: h\r\n\r\n",
				"GET /missing HTTP/1.1\r\nHost: h\r\n\r\n",
				"GET /a HTTP/1.1\r\nHost: h\r\nIf-Modified-Since: Fri, 21 Nov 2070 12:00:00 GMT\r\n\r\n",
			} {
				var counted uint64
				for range tries { // the last of them from the loop
					counted = 0
					for class := range s.metrics.requests.classes {
						counted += s.metrics.requests.classes[class].Load()
					}
					if _, _, err := c.exchange(request); err != nil {
						t.Fatal(err)
					}
				}
				sum := uint64(0)
				for class := range s.metrics.requests.classes {
					sum += s.metrics.requests.classes[class].Load()
				}
				if sum != counted+1 {
					t.Errorf("%q: %d requests counted, then %d", request, counted, sum)
				}
			}
			if n, _ := s.answers.Stats(); n != 4 {
				t.Errorf("%d answers kept, want 4", n)
			}
			if _, _, err := c.exchange("OPTIONS /a HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			if err := s.accessLog.Close(); err != nil {
				t.Fatal(err)
			}
			times := regexp.MustCompile(`\[[^\]]*\]|"time":"[^"]*"|"duration_ms":[0-9.]*`)
			lines := strings.Split(strings.TrimSpace(times.ReplaceAllString(log.String(), "")), "\n")
			if len(lines) < 4*tries {
				t.Fatalf("%d lines, want 28 and more:\n%s", len(lines), log.String())
			}
			for i, line := range lines[:4*tries] {
				if first := lines[i/tries*tries]; line != first || !strings.Contains(line, "127.0.0.1") {
					t.Errorf("line %d: %s\nwant the same as %s", i, line, first)
				}
			}
		})
	}
}

// TestLoopTakesBack: a connection that had a request for the server, and is never idle,
// goes back when its requests are for files again.
func TestLoopTakesBack(t *testing.T) {
	s, address := loopSite(t, map[string]string{"a": "a"})
	c := dialLoop(t, address)
	const plain = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
	for _, request := range []string{plain, "OPTIONS /a HTTP/1.1\r\nHost: a\r\n\r\n"} {
		if _, _, err := c.exchange(request); err != nil {
			t.Fatal(err)
		}
	}
	for n := 1; ; n++ {
		if _, _, err := c.exchange(plain); err != nil {
			t.Fatal(err)
		}
		if n == patienceWithOther { // the answer is there before the connection is
			pollUntil(t, "the connection to go back", func() bool { return s.loops.Connections() == 1 })
			return
		}
		if s.loops.Connections() != 0 {
			t.Fatalf("in a loop after %d requests for a file, want %d", n, patienceWithOther)
		}
	}
}

// TestLoopsOnlyWhereNothingStandsBetween: whatever could refuse a client, or log it, keeps the loops off.
func TestLoopsOnlyWhereNothingStandsBetween(t *testing.T) {
	for _, row := range []struct {
		args []string
		want bool
	}{
		{nil, true},
		{[]string{"--cache-size", "0"}, true},
		{[]string{"--access-log"}, true},
		{[]string{"--keep-alive-timeout", "0"}, false},
	} {
		s, _ := loopSite(t, map[string]string{"a": "a"}, row.args...)
		if got := s.loops != nil; got != row.want {
			t.Errorf("%q: event loops: %v, want %v", row.args, got, row.want)
		}
	}
}

// FuzzLoopHead: a request that the loop would look up is one that hygiene lets pass, that has no body,
// keeps its connection, and reads the same for fasthttp.
func FuzzLoopHead(f *testing.F) {
	f.Add([]byte("GET /a HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\nConnection: keep-alive\r\n\r\n"))
	f.Add([]byte("HEAD /a/../b HTTP/1.1\r\nhost: [::1]:80\r\nIf-None-Match: \"a\"\r\nX-A: b\r\nSec-A: b\r\n\r\n"))
	h := &hygiene{log: slog.New(slog.DiscardHandler), limitRequestBody: 1}
	f.Fuzz(func(t *testing.T, b []byte) {
		var head eventloop.Head
		n := head.Parse(b)
		if n == 0 || !validHost(head.Host) {
			return
		}
		var header fasthttp.RequestHeader
		in := bufio.NewReaderSize(bytes.NewReader(b), maxHead)
		if err := header.Read(in); err != nil {
			t.Fatalf("fasthttp does not read %q: %v", b[:n], err)
		}
		if read := len(b) - in.Buffered(); read != n && len(b) <= maxHead {
			t.Fatalf("the head of %q ends at %d for fasthttp, at %d for the loop", b, read, n)
		}
		var fields fieldSummary
		if why, hasBody := h.judge(&header, &fields); why != accepted || hasBody {
			t.Fatalf("hygiene: %v, body: %v, for %q", why, hasBody, b[:n])
		}
		method := "GET"
		if head.Method == 'H' {
			method = "HEAD"
		}
		if header.ConnectionClose() || string(header.Method()) != method || !bytes.Equal(header.RequestURI(), head.Target) || !bytes.Equal(header.Host(), head.Host) {
			t.Fatalf("fasthttp reads %q otherwise", b[:n])
		}
		for name, value := range map[string][]byte{"Accept-Encoding": head.AcceptEncoding, "If-None-Match": head.IfNoneMatch, "If-Modified-Since": head.IfModifiedSince} {
			if !bytes.Equal(header.Peek(name), value) || len(header.PeekAll(name)) > 1 {
				t.Fatalf("%s: fasthttp has %q, the loop %q in %q", name, header.PeekAll(name), value, b[:n])
			}
		}
		for _, name := range []string{"Range", "If-Range", "If-Match", "If-Unmodified-Since", "Origin", "Expect", "Upgrade", "Access-Control-Request-Method"} {
			if header.Peek(name) != nil {
				t.Fatalf("%s in %q", name, b[:n])
			}
		}
	})
}

// TestLoopMissByAccept: a miss is answered in HTML for browsers and in plain text for others, whoever
// asked first.
func TestLoopMissByAccept(t *testing.T) {
	_, address := loopSite(t, nil)
	c := dialLoop(t, address)
	for _, accept := range []string{"*/*", "text/html", "*/*", "text/html", "text/html;q=0", ""} {
		for range 3 {
			_, body, err := c.exchange("GET /missing HTTP/1.1\r\nHost: a\r\nAccept: " + accept + "\r\n\r\n")
			if err != nil {
				t.Fatal(err)
			}
			if got, want := strings.Contains(body, "<html"), accept == "text/html"; got != want {
				t.Errorf("Accept: %s got %.40q", accept, body)
			}
		}
	}
}
