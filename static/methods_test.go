package static

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestMethods(t *testing.T) {
	dir := testRoot(t)
	plain, app := serve(t, Options{Root: dir}), serve(t, Options{Root: dir, Next: next})
	for _, tt := range []struct {
		method, target string
		plain, app     int
	}{
		{"HEAD", "/a.txt", 200, 200},
		{"POST", "/a.txt", 405, 299},
		{"PUT", "/a.txt", 405, 299},
		{"DELETE", "/missing", 405, 299},
		{"PROPFIND", "/", 405, 299},
		{"get", "/a.txt", 405, 299},
		{"OPTIONS", "/missing", 204, 299},
		{"OPTIONS", "*", 204, 204},
		{"TRACE", "/a.txt", 405, 405},
		{"CONNECT", "/a.txt", 405, 405},
	} {
		for s, want := range map[*testServer]int{plain: tt.plain, app: tt.app} {
			got := s.do(tt.method, tt.target, "Content-Length: 0")
			if got.status != want {
				t.Errorf("%s %s = %d, want %d", tt.method, tt.target, got.status, want)
			}
			if (got.status == 405 || got.status == 204) && got.header.Get("Allow") != allow {
				t.Errorf("%s %s: Allow = %q, want %q", tt.method, tt.target, got.header.Get("Allow"), allow)
			}
		}
	}
}

// A body that nobody reads must end the connection: its rest would be taken for the
// next request.
func TestBodyOnStaticPath(t *testing.T) {
	s := serve(t, Options{Root: testRoot(t)})
	smuggled := "GET /empty.txt HTTP/1.1\r\nHost: smuggled\r\n\r\n"
	// fasthttp reads the first 8 KiB of a body before it calls the handler.
	padding := strings.Repeat("x", 16<<10)
	for _, framing := range []string{
		fmt.Sprintf("Content-Length: %d\r\n\r\n%s%s", 100000, padding, smuggled),
		fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(smuggled), smuggled),
		fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s", 100000, smuggled),
	} {
		for _, method := range []string{"GET", "POST"} {
			c, err := net.Dial("tcp", s.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(time.Minute))
			io.WriteString(c, method+" /a.txt HTTP/1.1\r\nHost: test\r\n"+framing)
			br := bufio.NewReader(c)
			resp, err := http.ReadResponse(br, nil)
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, resp.Body)
			if want := map[string]int{"GET": 200, "POST": 405}[method]; resp.StatusCode != want || !resp.Close {
				t.Errorf("%s %.30q = %d, close %t, want %d and close", method, framing, resp.StatusCode, resp.Close, want)
			}
			if rest, _ := io.ReadAll(br); len(rest) > 0 {
				t.Errorf("%s %.30q: after the answer came %q", method, framing, rest)
			}
		}
	}
}
