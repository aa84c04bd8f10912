package rawsocket

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"overlay/tests/e2e/program"
)

// TestPipelining sends several requests in one piece.
func TestPipelining(t *testing.T) {
	s := start(t)
	get := func(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: h\r\n\r\n" }
	last := func(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n" }
	post := func(path, body string) string {
		return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body)
	}
	for i, row := range []struct {
		name     string
		sent     string
		statuses []int
		executed []string // P stands for a letter of the row's own
	}{
		{"application and files in turn", get("/P/1") + get("/file.txt") + get("/P/2") + get("/file.txt") + last("/P/3"),
			[]int{200, 200, 200, 200, 200}, []string{"GET /P/1", "GET /P/2", "GET /P/3"}},
		{"bodies", post("/P/1", "a") + post("/P/2", strings.Repeat("b", 20_000)) + last("/P/3"),
			[]int{200, 200, 200}, []string{"POST /P/1", "POST /P/2", "GET /P/3"}},
		{"a bad one in the middle", get("/P/1") + "GET /P/2 HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n" + get("/P/3"),
			[]int{200, 400}, []string{"GET /P/1"}},
		{"one that cannot be parsed in the middle", get("/P/1") + "nonsense\r\n\r\n" + get("/P/3"),
			[]int{200, 400}, []string{"GET /P/1"}},
		{"close in the middle", get("/P/1") + "GET /P/2 HTTP/1.1\r\nHost: h\r\nConnection: foo, Close\r\n\r\n" + get("/P/3"),
			[]int{200, 200}, []string{"GET /P/1", "GET /P/2"}},
		{"HTTP/1.0 in the middle", get("/P/1") + "GET /P/2 HTTP/1.0\r\n\r\n" + get("/P/3"),
			[]int{200, 200}, []string{"GET /P/1", "GET /P/2"}},
		{"a request as a body", post("/P/1", get("/P/smuggled")) + last("/P/2"),
			[]int{200, 200}, []string{"POST /P/1", "GET /P/2"}},
		{"a request as a body that nobody reads", "GET /file.txt HTTP/1.1\r\nHost: h\r\nContent-Length: 37\r\n\r\n" + get("/P/smuggled"),
			[]int{200}, nil}, // static ends the connection
		{"a request as a chunked body that nobody reads", "GET /file.txt HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + get("/P/smuggled"),
			[]int{200}, nil},
		{"requests as a body over the limit", post("/P/1", strings.Repeat(get("/P/smuggled"), bodyLimit/30)),
			[]int{413}, nil},
		{"requests in chunks over the limit", "POST /P/1 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" +
			fmt.Sprintf("%x\r\n", bodyLimit+1) + strings.Repeat(get("/P/smuggled"), bodyLimit/30), []int{413}, nil},
		{"a chunk that is longer than it says", "POST /P/1 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n" + get("/P/smuggled"),
			[]int{400}, nil},
		{"a chunk size that is no number", "POST /P/1 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n" + get("/P/smuggled"),
			[]int{400}, nil},
		{"a chunk size with a bare LF", "POST /P/1 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n" + get("/P/smuggled"),
			[]int{400}, nil},
		{"a chunk size that overflows", "POST /P/1 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000001\r\na\r\n0\r\n\r\n" + get("/P/smuggled"),
			[]int{400}, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			// As long as "/P", so that lengths stay right.
			prefix := "/" + string(rune('A'+i))
			c := s.dial(t)
			c.send(strings.ReplaceAll(row.sent, "/P/", prefix+"/"))
			if got := c.statuses(); !slices.Equal(got, row.statuses) {
				t.Errorf("statuses %v, want %v", got, row.statuses)
			}
			var want []string
			for _, line := range row.executed {
				want = append(want, strings.ReplaceAll(line, "/P/", prefix+"/"))
			}
			if got := s.executed(t, prefix+"/"); !slices.Equal(got, want) {
				t.Errorf("executed %q, want %q", got, want)
			}
		})
	}
}

// TestOrder: responses come in the order of the requests, whoever answers faster.
func TestOrder(t *testing.T) {
	s := start(t)
	c := s.dial(t)
	var sent strings.Builder
	const n = 200
	for i := range n {
		path := "/file.txt"
		if i%2 == 0 {
			path = fmt.Sprintf("/order/%d", i)
		}
		fmt.Fprintf(&sent, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", path)
	}
	go func() { _, _ = io.WriteString(c, sent.String()) }() // a failure shows below
	for i := range n {
		a := c.read("GET")
		if i%2 == 1 {
			if a == nil || a.body != "a file\n" {
				t.Fatalf("response %d is not the file", i)
			}
		} else if got := a.echo(t)["path"]; got != fmt.Sprintf("/order/%d", i) {
			t.Fatalf("response %d is that for %s", i, got)
		}
	}
}

// TestKeepAlive: which requests leave the connection open.
func TestKeepAlive(t *testing.T) {
	s := start(t)
	for _, path := range []string{"/file.txt", "/keep"} {
		for _, row := range []struct {
			name, request string
			kept          bool
		}{
			{"HTTP/1.1", "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", true},
			{"HTTP/1.1 close", "GET %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", false},
			{"HTTP/1.1 Close in a list", "GET %s HTTP/1.1\r\nHost: h\r\nConnection: a,\tClose\r\n\r\n", false},
			{"HTTP/1.1 close, then another line", "GET %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\nConnection: a\r\n\r\n", false},
			{"HTTP/1.1 keep-alive", "GET %s HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\n\r\n", true},
			{"HTTP/1.0", "GET %s HTTP/1.0\r\n\r\n", false},
			{"HTTP/1.0 keep-alive", "GET %s HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true},
			{"HTTP/1.0 Keep-Alive in a list", "GET %s HTTP/1.0\r\nConnection: a, Keep-Alive\r\n\r\n", true},
			{"HTTP/1.0 keep-alive and close", "GET %s HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", false},
		} {
			t.Run(path+" "+row.name, func(t *testing.T) {
				c := s.dial(t)
				c.send(fmt.Sprintf(row.request, path))
				a := c.read("GET")
				if a == nil || a.StatusCode != 200 {
					t.Fatalf("response %v, want 200", a)
				}
				if a.Close == row.kept {
					t.Errorf("the response announces the end: %v, want %v", a.Close, !row.kept)
				}
				c.send(fmt.Sprintf(row.request, path))
				if again := c.read("GET"); (again != nil) != row.kept {
					t.Errorf("a second response: %v, want %v", again != nil, row.kept)
				}
			})
		}
	}
}

// TestContinue: 100 Continue comes for a body that is wanted, and never before a refusal.
func TestContinue(t *testing.T) {
	s := start(t)
	for _, row := range []struct {
		name     string
		head     string
		statuses []int  // before the body is sent
		body     string // sent then
		want     string // what the application sees of it
	}{
		{"length", "POST /continue HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n", []int{100}, "abc", "abc"},
		{"other case", "POST /continue HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nexpect: 100-Continue\r\n\r\n", []int{100}, "abc", "abc"},
		{"chunked", "POST /continue HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n", []int{100}, "3\r\nabc\r\n0\r\n\r\n", "abc"},
		{"at the limit", fmt.Sprintf("POST /continue HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", bodyLimit),
			[]int{100}, strings.Repeat("a", bodyLimit), strings.Repeat("a", bodyLimit)},
		{"over the limit", fmt.Sprintf("POST /continue HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", bodyLimit+1), []int{413}, "", ""},
		{"unknown expectation", "POST /continue HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 200-ok\r\n\r\n", []int{417}, "", ""},
		{"refused for another reason", "POST /continue HTTP/1.1\r\nHost: h\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n", []int{400}, "", ""},
		{"no body", "GET /continue HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n\r\n", []int{200}, "", ""},
		{"HTTP/1.0 never", "POST /continue HTTP/1.0\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc", []int{200}, "", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := s.dial(t)
			c.send(row.head)
			for i, want := range row.statuses {
				if a := c.read("POST"); a == nil || a.StatusCode != want {
					t.Fatalf("response %d: %v, want %d", i, a, want)
				}
			}
			if row.statuses[0] != 100 {
				return
			}
			c.send(row.body)
			if got := c.read("POST").echo(t)["body"]; got != row.want {
				t.Errorf("the application saw %d bytes, want %d", len(got), len(row.want))
			}
			c.send("GET /continue/2 HTTP/1.1\r\nHost: h\r\n\r\n")
			if got := c.read("GET").echo(t)["path"]; got != "/continue/2" {
				t.Errorf("the next request has path %q", got)
			}
		})
	}
}

// TestContinueOfFiles: files do not invite a body that they have no use for, and the connection
// ends behind their answer.
func TestContinueOfFiles(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "file.txt"), []byte("a file\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s := &site{overlay.Start(t, program.Config{Args: []string{"--document-root", root}}), ""}
	for _, row := range []struct {
		line   string
		status int
	}{
		{"GET /file.txt", 200}, {"GET /nowhere", 404}, {"PUT /file.txt", 405}, {"POST /nowhere", 405},
	} {
		for _, framing := range []string{"Content-Length: 3", "Content-Length: 90000", "Transfer-Encoding: chunked"} {
			t.Run(row.line+" "+framing, func(t *testing.T) {
				c := s.dial(t)
				c.send(row.line + " HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n" + framing + "\r\n\r\n")
				a := c.read(strings.Fields(row.line)[0])
				if a == nil || a.StatusCode != row.status || !a.Close {
					t.Fatalf("response %v, want %d and the end of the connection", a, row.status)
				}
				if again := c.read("GET"); again != nil {
					t.Errorf("another response, %v", again)
				}
			})
		}
	}
}

// TestHalfClosed: a client that says that it sends no more still gets its answers;
// one that says so within a request has made none.
func TestHalfClosed(t *testing.T) {
	s := start(t)
	for _, row := range []struct {
		name     string
		sent     string
		statuses []int
		executed int
	}{
		{"after one request", "GET /half-1/a HTTP/1.1\r\nHost: h\r\n\r\n", []int{200}, 1},
		{"after two requests", "GET /half-2/a HTTP/1.1\r\nHost: h\r\n\r\nGET /half-2/b HTTP/1.1\r\nHost: h\r\n\r\n", []int{200, 200}, 2},
		{"after a body", "POST /half-3/a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", []int{200}, 1},
		{"within the fields", "GET /half-4/a HTTP/1.1\r\nHost:", []int{400}, 0},
		{"within a body", "POST /half-5/a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nab", []int{400}, 0},
		{"within a long body", "POST /half-6/a HTTP/1.1\r\nHost: h\r\nContent-Length: 90000\r\n\r\n" + strings.Repeat("a", 89_999), []int{400}, 0},
		{"between chunks", "POST /half-7/a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n", []int{400}, 0},
		{"without a word", "", nil, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := s.dial(t)
			c.send(row.sent)
			if err := c.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if got := c.statuses(); !slices.Equal(got, row.statuses) {
				t.Errorf("statuses %v, want %v", got, row.statuses)
			}
			prefix, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(row.sent, "GET "), "POST "), "/a")
			if prefix == "" {
				return
			}
			if got := s.executed(t, prefix+"/"); len(got) != row.executed {
				t.Errorf("executed %q, want %d", got, row.executed)
			}
		})
	}
}
