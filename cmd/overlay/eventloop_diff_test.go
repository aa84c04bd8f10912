//go:build linux

package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// diffSite serves root, with loops or without, over HTTPS if it is asked to.
func diffSite(t *testing.T, root string, loops bool, args []string) *loopClient {
	t.Helper()
	cfg, err := parseConfig(root, append([]string{"--port", "0", "--document-root", root}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{cfg: cfg, log: slog.New(slog.DiscardHandler)}
	if err := s.listen(); err != nil {
		t.Fatal(err)
	}
	if err := s.build(io.Discard); err != nil {
		t.Fatal(err)
	}
	s.useLoops = s.useLoops && loops
	s.start()
	t.Cleanup(func() {
		if err := s.server.ShutdownWithContext(t.Context()); err != nil && t.Context().Err() == nil {
			t.Errorf("shut down: %v", err)
		}
		s.close()
	})
	if s.https != nil {
		return dialLoopTLS(t, s.https.Addr().String())
	}
	return dialLoop(t, s.http.Addr().String())
}

// dialLoopTLS is dialLoop for HTTPS.
func dialLoopTLS(t *testing.T, address string) *loopClient {
	t.Helper()
	conn := tls.Client(dialLoop(t, address).Conn, &tls.Config{InsecureSkipVerify: true})
	return &loopClient{conn, bufio.NewReader(conn)}
}

// ask returns what request is answered, without Date. A connection that ends is made anew.
func (c *loopClient) ask(t *testing.T, request string) string {
	t.Helper()
	if _, err := io.WriteString(c, request); err != nil {
		return "send: " + err.Error()
	}
	method, _, _ := strings.Cut(request, " ")
	r, err := http.ReadResponse(c.in, &http.Request{Method: method})
	if err != nil {
		return "no response"
	}
	body, err := io.ReadAll(r.Body)
	r.Header.Del("Date")
	if r.Close {
		dial := dialLoop
		if _, encrypted := c.Conn.(*tls.Conn); encrypted {
			dial = dialLoopTLS
		}
		*c = *dial(t, c.RemoteAddr().String())
	}
	return fmt.Sprint(r.StatusCode, r.Header, len(body), string(body), err, r.Close)
}

// Words that random requests are made of. TAG and OLD stand for what holds for /a.
var (
	diffTargets = strings.Fields(`/a /b.js /dir /dir/ /dir/x.bin /missing /c /c.html /e/ /e/f /e /z;y=1 /~t /empty /.hidden /m.png /a/ /./a /e/../a //a /e//f
		/a/. /dir/.. /... /index.html / /a:b /@ /dir/index.html /404.html /missing.png /a\b /%61 /a?b /a?`)
	diffNames = strings.Fields(`Accept Accept Accept-Encoding Accept-Encoding If-None-Match If-None-Match If-Modified-Since Accept-Language Authorization
		Cache-Control Cookie Forwarded X-Forwarded-For X-Forwarded-Proto X-HTTP-Method-Override X-Original-URL Sec-Fetch-Dest Sec-Websocket-Key
		User-Agent Connection Host Range If-Range If-Match If-Unmodified-Since Origin X- sec- Expect TE Proxy Keep-Alive Upgrade`)
	diffValues = []string{"*/*", "text/html", "text/html;q=0", "application/json", "gzip", "br;q=0.5, gzip", "identity;q=0", "*;q=0", "GZIP", "x-gzip", "close", "keep-alive",
		"keep-alive, foo", "bytes=0-0", "a", "a.example", "", "TAG", "W/TAG", "*", `"zzz"`, "OLD", "OLDER", "NEWER", "https://a.example", "0", "a b", " x ", "gzip\t"}
)

// TestLoopsChangeNothing: random requests get from the loops what they get without them, the first
// time and when their answer is kept.
func TestLoopsChangeNothing(t *testing.T) {
	root := t.TempDir()
	old := time.Now().Add(-time.Hour).Truncate(time.Second)
	for name, content := range map[string]string{
		"a": "a", "b.js": strings.Repeat("some text;", 20), "b.js.gz": "gz", "b.js.br": "br!", "dir/index.html": "<p>", "dir/x.bin": "x", "404.html": "<p>none", "c.html": "c",
		"e/f": "f", "z;y=1": "z", "~t": "t", "empty": "", ".hidden": "h", "m.png": strings.Repeat("x", 40<<10),
	} {
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, old, old); err != nil {
			t.Fatal(err)
		}
	}
	for seed, args := range [][]string{
		nil, {"--cors", "*", "--header", "X-A", "b"}, {"--cors", "https://a.example"}, {"--spa", "/c.html"}, {"--error-document", "404", "/404.html"},
		{"--directory-listing", "--directory-download"}, {"--try-extension", ".html"}, {"--server-name", "a.example"}, {"--cache-control", "*.js", "max-age=1"},
		{"--no-compression"}, {"--https-port", "0"}, {"--https-port", "0", "--https-only", "--hsts-policy", "max-age=1"}, {"--cache-revalidate", "0"}, {"--cache-size", "0"}, {"--no-precompressed"},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			t.Parallel()
			with, without := diffSite(t, root, true, args), diffSite(t, root, false, args)
			host := "a.example"
			_, tag, _ := strings.Cut(without.ask(t, "GET /a HTTP/1.1\r\nHost: "+host+"\r\n\r\n"), "Etag:[")
			tag, _, _ = strings.Cut(tag, "]")
			words := strings.NewReplacer("TAG", tag, "OLDER", old.Add(-time.Minute).UTC().Format(http.TimeFormat),
				"NEWER", old.Add(time.Minute).UTC().Format(http.TimeFormat), "OLD", old.UTC().Format(http.TimeFormat))
			random := rand.New(rand.NewPCG(uint64(seed), 7))
			pick := func(from []string) string { return from[random.IntN(len(from))] }
			for range 300 {
				request := pick([]string{"GET", "GET", "GET", "HEAD"}) + " " + pick(diffTargets) + " HTTP/1.1\r\nHost: " + pick([]string{host, host, "b"}) + "\r\n"
				for range random.IntN(3) {
					request += pick([]string{pick(diffNames), strings.ToLower(pick(diffNames))}) + ": " + words.Replace(pick(diffValues)) + "\r\n"
				}
				request += "\r\n"
				want := without.ask(t, request)
				for i := range 3 {
					if got := with.ask(t, request); got != want {
						t.Errorf("time %d of %q\ngot  %.300s\nwant %.300s", i+1, request, got, want)
						break
					}
				}
			}
		})
	}
}

// TestConnectionsCount: each connection counts once, over HTTP and HTTPS, whatever it waits for.
func TestConnectionsCount(t *testing.T) {
	s, address := loopSite(t, map[string]string{"a": "a"}, "--https-port", "0")
	if n := s.connections(); n != 0 {
		t.Errorf("%d connections at first", n)
	}
	plain := dialLoop(t, address)
	encrypted, err := tls.Dial("tcp", s.https.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer encrypted.Close()
	send(t, encrypted, "GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if _, _, err := plain.exchange("GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	pollUntil(t, "two connections", func() bool { return s.connections() == 2 })
	pollUntil(t, "one of them to wait in a loop", func() bool { return s.keeper.Connections() == 1 })
	if n := s.connections(); n != 2 {
		t.Errorf("%d connections, want 2", n)
	}
}
