package rawsocket

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestRefused sends each request with another one behind it, in one piece, for
// the application and for a file: one refusal, no execution, the end.
func TestRefused(t *testing.T) {
	s := start(t)
	many := strings.Repeat("A: b\r\n", 100)
	for i, row := range []struct {
		name   string
		format string // %s is the path
		status int
	}{
		{"length and coding", "POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		{"coding and length", "POST %s HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400},
		{"coding unknown", "POST %s HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501},
		{"coding list", "POST %s HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501},
		{"coding identity", "POST %s HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: identity\r\n\r\n", 501},
		{"coding repeated", "POST %s HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		{"coding in HTTP/1.0", "POST %s HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		{"coding on a folded line", "POST %s HTTP/1.1\r\nHost: h\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", 400},
		{"coding after a space before the colon", "POST %s HTTP/1.1\r\nHost: h\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400},
		{"coding after a bare LF", "POST %s HTTP/1.1\r\nHost: h\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		{"coding after a bare CR", "POST %s HTTP/1.1\r\nHost: h\r\nA: b\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		{"length repeated, the same", "POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n", 400},
		{"length repeated, different", "POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nContent-Length: 37\r\n\r\n", 400},
		{"length list", "POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: 0, 0\r\n\r\n", 400},
		{"length with sign", "POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: +0\r\n\r\n", 400},
		{"length too long", "POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: 18446744073709551616\r\n\r\n", 400},
		{"length over the limit", fmt.Sprintf("POST %%s HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", bodyLimit+1), 413},
		{"folded field", "GET %s HTTP/1.1\r\nHost: h\r\nA: b\r\n c\r\n\r\n", 400},
		{"LF LF", "GET %s HTTP/1.1\r\nHost: h\r\nA: b\n\n", 400},
		{"NUL in a value", "GET %s HTTP/1.1\r\nHost: h\r\nA: b\x00\r\n\r\n", 400},
		{"space in a name", "GET %s HTTP/1.1\r\nHost: h\r\nA b: c\r\n\r\n", 400},
		{"no colon", "GET %s HTTP/1.1\r\nHost: h\r\nA\r\n\r\n", 400},
		{"no Host", "GET %s HTTP/1.1\r\n\r\n", 400},
		{"Host repeated", "GET %s HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", 400},
		{"Host with user information", "GET %s HTTP/1.1\r\nHost: u@h\r\n\r\n", 400},
		{"Content-Type repeated", "POST %s HTTP/1.1\r\nHost: h\r\nContent-Type: a/b\r\nContent-Type: a/b\r\n\r\n", 400},
		{"HTTP/1.2", "GET %s HTTP/1.2\r\nHost: h\r\n\r\n", 505},
		{"HTTP/2.0", "GET %s HTTP/2.0\r\nHost: h\r\n\r\n", 505},
		{"no version", "GET %s\r\nHost: h\r\n\r\n", 400},
		{"asterisk with GET, path in a field", "GET * HTTP/1.1\r\nHost: h\r\nA: %s\r\n\r\n", 400},
		{"CONNECT", "CONNECT h:80 HTTP/1.1\r\nHost: h\r\nA: %s\r\n\r\n", 405},
		{"TRACE", "TRACE %s HTTP/1.1\r\nHost: h\r\n\r\n", 405},
		{"fragment", "GET %s#a HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		{"percent sign alone", "GET %s%% HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		{"percent sign and no digits", "GET %s%%zz HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		{"encoded NUL", "GET %s%%00 HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		{"above the root", "GET %s/../../../x HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		{"non-ASCII in the target", "GET %s\u00e4 HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		{"absolute form with user information", "GET http://u@h%s HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		{"unknown expectation", "POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nExpect: wonders\r\n\r\n", 417},
		{"too many fields", "GET %s HTTP/1.1\r\nHost: h\r\n" + many + "\r\n", 431},
		{"target too long", "GET %s" + strings.Repeat("a", 8<<10) + " HTTP/1.1\r\nHost: h\r\n\r\n", 414},
		{"head too long", "GET %s HTTP/1.1\r\nHost: h\r\nA: " + strings.Repeat("b", 16<<10) + "\r\n\r\n", 431},
	} {
		for _, below := range []string{fmt.Sprintf("/refused-%d", i), "/file.txt"} {
			t.Run(row.name+", "+below, func(t *testing.T) {
				t.Parallel()
				prefix := fmt.Sprintf("/refused-%d", i)
				c := s.dial(t)
				c.send(fmt.Sprintf(row.format, below) + "GET " + prefix + "/smuggled HTTP/1.1\r\nHost: h\r\n\r\n")
				a := c.read("GET")
				if a == nil {
					t.Fatal("the connection ended without a response")
				}
				if a.StatusCode != row.status || !a.Close {
					t.Errorf("status %d, close %v; want %d and the end", a.StatusCode, a.Close, row.status)
				}
				if strings.Contains(a.body, "refused-") || strings.Contains(a.body, "file.txt") {
					t.Errorf("the response tells of the request: %q", a.body)
				}
				if more := c.statuses(); len(more) > 0 {
					t.Errorf("statuses %v after the refusal", more)
				}
				if got := s.executed(t, prefix); len(got) > 0 {
					t.Errorf("executed %q", got)
				}
			})
		}
	}
}

// TestHarmless sends what is accepted after something was made of it.
func TestHarmless(t *testing.T) {
	s := start(t)
	for _, row := range []struct {
		name    string
		request string
		want    map[string]string // of what the application saw; "" means absent
	}{
		{"underscore in a name", "GET /h HTTP/1.1\r\nHost: h\r\nX_Real_IP: 1\r\nContent_Length: 5\r\nX-Real-Ip: 2\r\n\r\n",
			map[string]string{"HTTP_X_REAL_IP": "2", "CONTENT_LENGTH": ""}},
		{"underscore alone", "GET /h HTTP/1.1\r\nHost: h\r\nX_Real_IP: 1\r\n\r\n", map[string]string{"HTTP_X_REAL_IP": ""}},
		{"Proxy", "GET /h HTTP/1.1\r\nHost: h\r\nproxy: http://evil/\r\n\r\n", map[string]string{"HTTP_PROXY": ""}},
		{"absolute form replaces Host", "GET http://other:81/h?a=b HTTP/1.1\r\nHost: h\r\n\r\n",
			map[string]string{"HTTP_HOST": "other:81", "path": "/h", "query": "a=b"}},
		{"double slash", "GET //other/h HTTP/1.1\r\nHost: h\r\n\r\n", map[string]string{"HTTP_HOST": "h", "path": "//other/h"}},
		{"trailers are no fields", "POST /h HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: X-Late\r\n\r\n1\r\na\r\n0\r\nX-Late: 1\r\n\r\n",
			map[string]string{"HTTP_X_LATE": "", "body": "a"}},
		{"chunk extensions", "POST /h HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: CHUNKED\r\n\r\n2;a=\"b\"\r\nab\r\n01\r\nc\r\n0;d\r\n\r\n", map[string]string{"body": "abc"}},
		{"unknown method", "FOO /h HTTP/1.1\r\nHost: h\r\n\r\n", map[string]string{"method": "FOO"}},
		{"empty lines first", "\r\n\r\nGET /h HTTP/1.1\r\nHost: h\r\n\r\n", map[string]string{"method": "GET"}},
		{"values not ASCII", "GET /h HTTP/1.1\r\nHost: h\r\nA: \xe4\tb\r\n\r\n", map[string]string{"HTTP_A": "\u00e4\tb"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := s.dial(t)
			c.send(row.request)
			seen := c.read("GET").echo(t)
			for name, want := range row.want {
				if got := seen[name]; got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
			// The connection is in step: the next request is read from its start.
			c.send("GET /h2 HTTP/1.1\r\nHost: h\r\n\r\n")
			if got := c.read("GET").echo(t)["path"]; got != "/h2" {
				t.Errorf("the next request on the connection has path %q, want /h2", got)
			}
		})
	}
	t.Run("OPTIONS * is answered by the server", func(t *testing.T) {
		c := s.dial(t)
		c.send("OPTIONS * HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
		if got := c.statuses(); !slices.Equal(got, []int{204}) {
			t.Errorf("statuses %v, want [204]", got)
		}
		if got := s.executed(t, "*"); len(got) > 0 {
			t.Errorf("executed %q", got)
		}
	})
}
