package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// scriptedConn is a client that sends input, closes its side and takes all output.
type scriptedConn struct {
	input  bytes.Reader
	output bytes.Buffer
	closed bool
}

func (c *scriptedConn) Read(p []byte) (int, error)  { return c.input.Read(p) }
func (c *scriptedConn) Write(p []byte) (int, error) { return c.output.Write(p) }
func (c *scriptedConn) Close() error                { c.closed = true; return nil }
func (c *scriptedConn) LocalAddr() net.Addr {
	return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80}
}
func (c *scriptedConn) RemoteAddr() net.Addr {
	return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 81}
}
func (c *scriptedConn) SetDeadline(time.Time) error      { return nil }
func (c *scriptedConn) SetReadDeadline(time.Time) error  { return nil }
func (c *scriptedConn) SetWriteDeadline(time.Time) error { return nil }

// executed is one request as the handler behind hygiene saw it.
type executed struct {
	method, target, host string
	body                 string
	bodyErr              error
}

func (e executed) String() string {
	return fmt.Sprintf("%s %s host=%s body=%q", e.method, e.target, e.host, e.body)
}

// recorder is a handler that keeps what it was called with. It reads bodies whole,
// but for targets that start with /unread, and answers 400 to a broken one.
type recorder struct{ requests []executed }

func (r *recorder) handle(ctx *fasthttp.RequestCtx) {
	e := executed{
		method: string(ctx.Method()),
		target: string(ctx.Request.Header.RequestURI()),
		host:   string(ctx.Request.Header.Host()),
	}
	ctx.SetBodyString("ok")
	if ctx.Request.IsBodyStream() && !strings.HasPrefix(e.target, "/unread") {
		body, err := io.ReadAll(bodyOf(ctx))
		e.body, e.bodyErr = string(body), err
		if err != nil {
			ctx.Error("broken body", fasthttp.StatusBadRequest)
		}
	}
	r.requests = append(r.requests, e)
}

// serveScript serves input over one connection and returns what came back, the
// requests that reached the handler, and the statuses of the final responses.
func serveScript(t testing.TB, h *hygiene, input string) (output string, requests []executed, statuses []int) {
	t.Helper()
	var r recorder
	server := &fasthttp.Server{Name: "overlay", Logger: quietLogger{}}
	h.install(server, r.handle)
	client := &scriptedConn{}
	client.input.Reset([]byte(input))
	_ = server.ServeConn(newConnection(client, &timeouts{}))
	if !client.closed {
		t.Error("the connection was not closed")
	}
	output = client.output.String()
	return output, r.requests, finalStatuses(t, output, r.requests)
}

type quietLogger struct{}

func (quietLogger) Printf(string, ...any) {}

// finalStatuses reads the responses in output; requests tells which of them answers a HEAD.
func finalStatuses(t testing.TB, output string, requests []executed) (statuses []int) {
	t.Helper()
	reader := bufio.NewReader(strings.NewReader(output))
	for {
		if _, err := reader.Peek(1); err == io.EOF {
			return statuses
		}
		request := &http.Request{Method: http.MethodGet}
		if i := len(statuses); i < len(requests) {
			request.Method = requests[i].method
		}
		response, err := http.ReadResponse(reader, request)
		if err != nil {
			t.Fatalf("response %d is malformed: %v in %q", len(statuses), err, output)
		}
		if _, err := io.Copy(io.Discard, response.Body); err != nil {
			t.Fatalf("body of response %d: %v in %q", len(statuses), err, output)
		}
		if response.StatusCode >= 200 {
			statuses = append(statuses, response.StatusCode)
		}
	}
}

// smuggled is a second request that no refused request may bring to execution.
const smuggled = "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"

func TestHygieneRefuses(t *testing.T) {
	longTarget := "/" + strings.Repeat("a", maxTarget)
	for _, row := range []struct {
		name    string
		request string
		status  int
	}{
		{"length and coding", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		{"coding and length", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n", 400},
		{"coding gzip", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n", 501},
		{"coding gzip, chunked", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501},
		{"coding identity", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: identity\r\n\r\n", 501},
		{"coding chunked twice in one line", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 501},
		{"coding in two lines", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		{"coding with vertical tab", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n", 400},
		{"coding in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		{"length twice", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n", 400},
		{"length list", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0, 0\r\n\r\n", 400},
		{"length with sign", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +0\r\n\r\n", 400},
		{"length negative", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n", 400},
		{"length with a space inside", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1 0\r\n\r\n", 400},
		{"length hexadecimal", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0x0\r\n\r\n", 400},
		{"length empty", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: \r\n\r\n", 400},
		{"length over int64", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 18446744073709551616\r\n\r\n", 400},
		{"length with non-ASCII digits", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: \u0661\r\n\r\n", 400},
		{"length over the limit", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 101\r\n\r\n", 413},
		{"length over the limit, expecting", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 101\r\nExpect: 100-continue\r\n\r\n", 413},
		{"folded field", "GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n c\r\n\r\n", 400},
		{"folded field with a tab", "GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n\tc\r\n\r\n", 400},
		{"folded first line", "GET / HTTP/1.1\r\n Host: h\r\n\r\n", 400},
		{"white line", "GET / HTTP/1.1\r\nHost: h\r\n \r\n\r\n", 400},
		{"space before the colon", "GET / HTTP/1.1\r\nHost: h\r\nContent-Length : 0\r\n\r\n", 400},
		{"tab before the colon", "GET / HTTP/1.1\r\nHost: h\r\nContent-Length\t: 0\r\n\r\n", 400},
		{"space in a name", "GET / HTTP/1.1\r\nHost: h\r\nContent Length: 0\r\n\r\n", 400},
		{"name that is no token", "GET / HTTP/1.1\r\nHost: h\r\nA(b): c\r\n\r\n", 400},
		{"name with a NUL", "GET / HTTP/1.1\r\nHost: h\r\nA\x00: c\r\n\r\n", 400},
		{"name not ASCII", "GET / HTTP/1.1\r\nHost: h\r\n\u00c4: c\r\n\r\n", 400},
		{"name empty", "GET / HTTP/1.1\r\nHost: h\r\n: c\r\n\r\n", 400},
		{"the name of our own mark", "GET / HTTP/1.1\r\nHost: h\r\n:refused: 1\r\n\r\n", 400},
		{"no colon", "GET / HTTP/1.1\r\nHost: h\r\nnothing\r\n\r\n", 400},
		{"NUL in a value", "GET / HTTP/1.1\r\nHost: h\r\nA: b\x00c\r\n\r\n", 400},
		{"control in a value", "GET / HTTP/1.1\r\nHost: h\r\nA: b\x1bc\r\n\r\n", 400},
		{"DEL in a value", "GET / HTTP/1.1\r\nHost: h\r\nA: b\x7fc\r\n\r\n", 400},
		{"bare CR in a value", "GET / HTTP/1.1\r\nHost: h\r\nA: b\rc\r\n\r\n", 400},
		{"CR CR LF", "GET / HTTP/1.1\r\nHost: h\r\nA: b\r\r\n\r\n", 400},
		{"bare LF in the fields", "GET / HTTP/1.1\r\nHost: h\nA: b\r\n\r\n", 400},
		{"bare LF before the empty line", "GET / HTTP/1.1\r\nHost: h\n\r\n", 400},
		{"LF LF ends the fields for some", "GET / HTTP/1.1\r\nHost: h\r\nA: b\n\n", 400},
		{"no Host", "GET / HTTP/1.1\r\nA: b\r\n\r\n", 400},
		{"no field at all", "GET / HTTP/1.1\r\n\r\n", 400},
		{"Host empty", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 400},
		{"Host twice", "GET / HTTP/1.1\r\nHost: h\r\nhost: h\r\n\r\n", 400},
		{"Host twice, folded into one", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400},
		{"Host with user information", "GET / HTTP/1.1\r\nHost: u@h\r\n\r\n", 400},
		{"Host with a path", "GET / HTTP/1.1\r\nHost: h/x\r\n\r\n", 400},
		{"Host with a query", "GET / HTTP/1.1\r\nHost: h?x\r\n\r\n", 400},
		{"Host with a backslash", "GET / HTTP/1.1\r\nHost: h\\x\r\n\r\n", 400},
		{"Host with a space", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
		{"Host with markup", "GET / HTTP/1.1\r\nHost: <h>\r\n\r\n", 400},
		{"Host not ASCII", "GET / HTTP/1.1\r\nHost: h\u00e4\r\n\r\n", 400},
		{"Host of a port alone", "GET / HTTP/1.1\r\nHost: :80\r\n\r\n", 400},
		{"Host with a port too large", "GET / HTTP/1.1\r\nHost: h:65536\r\n\r\n", 400},
		{"Host with a port that is no number", "GET / HTTP/1.1\r\nHost: h:8o\r\n\r\n", 400},
		{"Host with two ports", "GET / HTTP/1.1\r\nHost: h:80:80\r\n\r\n", 400},
		{"Host with an open bracket", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400},
		{"Host with a name in brackets", "GET / HTTP/1.1\r\nHost: [h]\r\n\r\n", 400},
		{"Host with a zone", "GET / HTTP/1.1\r\nHost: [fe80::1%25eth0]\r\n\r\n", 400},
		{"Content-Type twice", "POST / HTTP/1.1\r\nHost: h\r\nContent-Type: a/b\r\ncontent-type: a/b\r\n\r\n", 400},
		{"HTTP/1.2", "GET / HTTP/1.2\r\nHost: h\r\n\r\n", 505},
		{"HTTP/2.0", "GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505},
		{"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
		{"HTTP/0.9 spelled out", "GET / HTTP/0.9\r\n\r\n", 505},
		{"HTTP/2 without minor", "GET / HTTP/2\r\nHost: h\r\n\r\n", 505},
		{"lower-case http", "GET / http/1.1\r\nHost: h\r\n\r\n", 400},
		{"no version", "GET /\r\nHost: h\r\n\r\n", 400},
		{"space after the version", "GET / HTTP/1.1 \r\nHost: h\r\n\r\n", 400},
		{"CR after the version", "GET / HTTP/1.1\r\r\nHost: h\r\n\r\n", 400},
		{"two spaces before the target", "GET  / HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		{"space in the target", "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		{"tab in the target", "GET /a\tb HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		{"NUL in the target", "GET /a\x00b HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		{"DEL in the target", "GET /a\x7fb HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		{"non-ASCII in the target", "GET /\u00e4 HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		{"fragment", "GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		{"asterisk with GET", "GET * HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		{"target without a slash", "GET a HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		{"target that starts with a query", "GET ?a HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		{"authority form with GET", "GET h:80 HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		{"CONNECT", "CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n", 405},
		{"TRACE", "TRACE / HTTP/1.1\r\nHost: h\r\n\r\n", 405},
		{"absolute form, other scheme", "GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		{"absolute form, user information", "GET http://u:p@h/ HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		{"absolute form, no host", "GET http:///a HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		{"absolute form, no Host field", "GET http://h/ HTTP/1.1\r\n\r\n", 400},
		{"absolute form, bad Host field", "GET http://h/ HTTP/1.1\r\nHost: u@h\r\n\r\n", 400},
		{"method that is no token", "G@T / HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		{"no method", " / HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		{"unknown expectation", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nExpect: wonders\r\n\r\n", 417},
		{"expectation twice", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nExpect: 100-continue\r\nExpect: 100-continue\r\n\r\n", 417},
		{"one field too many", "GET / HTTP/1.1\r\nHost: h\r\n" + strings.Repeat("A: b\r\n", maxFields) + "\r\n", 431},
		{"one target byte too many", "GET " + longTarget + " HTTP/1.1\r\nHost: h\r\n\r\n", 414},
		{"head too long", "GET / HTTP/1.1\r\nHost: h\r\nA: " + strings.Repeat("b", maxHead) + "\r\n\r\n", 431},
		{"head never ends", "GET / HTTP/1.1\r\nHost: h\r\nA: b", 400},
	} {
		t.Run(row.name, func(t *testing.T) {
			output, requests, statuses := serveScript(t, &hygiene{limitRequestBody: 100}, row.request+smuggled)
			if len(requests) > 0 {
				t.Errorf("executed %v, want nothing", requests)
			}
			if !slices.Equal(statuses, []int{row.status}) {
				t.Errorf("statuses %v, want [%d]", statuses, row.status)
			}
			if strings.Contains(output, "100 Continue") {
				t.Errorf("100 Continue before the refusal")
			}
			if !strings.Contains(output, "Connection: close\r\n") {
				t.Errorf("no Connection: close in %q", output)
			}
		})
	}
}

func TestHygieneAccepts(t *testing.T) {
	longTarget := "/" + strings.Repeat("a", maxTarget-1)
	for _, row := range []struct {
		name    string
		request string
		want    []string // as executed.String gives it
	}{
		{"plain", "GET /a?b=c HTTP/1.1\r\nHost: h\r\n\r\n", []string{`GET /a?b=c host=h body=""`}},
		{"HTTP/1.0 without Host", "GET /a HTTP/1.0\r\n\r\n", []string{`GET /a host= body=""`}},
		{"empty lines before the request", "\r\n\r\nGET /a HTTP/1.1\r\nHost: h\r\n\r\n", []string{`GET /a host=h body=""`}},
		{"unknown method", "FOO /a HTTP/1.1\r\nHost: h\r\n\r\n", []string{`FOO /a host=h body=""`}},
		{"method in lower case is another method", "get /a HTTP/1.1\r\nHost: h\r\n\r\n", []string{`get /a host=h body=""`}},
		{"double slash", "GET //evil/a HTTP/1.1\r\nHost: h\r\n\r\n", []string{`GET //evil/a host=h body=""`}},
		{"address in the query", "GET /a?b=http://c/d HTTP/1.1\r\nHost: h\r\n\r\n", []string{`GET /a?b=http://c/d host=h body=""`}},
		{"Host with port", "GET /a HTTP/1.1\r\nHost: h.example:8080\r\n\r\n", []string{`GET /a host=h.example:8080 body=""`}},
		{"Host with port left empty", "GET /a HTTP/1.1\r\nHost: h:\r\n\r\n", []string{`GET /a host=h: body=""`}},
		{"Host IPv6", "GET /a HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", []string{`GET /a host=[::1]:8080 body=""`}},
		{"Host with underscore", "GET /a HTTP/1.1\r\nHost: my_host\r\n\r\n", []string{`GET /a host=my_host body=""`}},
		{"absolute form", "GET http://other:81/a?b HTTP/1.1\r\nHost: h\r\n\r\n", []string{`GET /a?b host=other:81 body=""`}},
		{"absolute form without path", "GET HTTPS://other HTTP/1.1\r\nHost: h\r\n\r\n", []string{`GET / host=other body=""`}},
		{"absolute form, query alone", "GET http://other?a=http://b/ HTTP/1.1\r\nHost: h\r\n\r\n", []string{`GET /?a=http://b/ host=other body=""`}},
		{"absolute form, double slash", "GET http://other//evil HTTP/1.1\r\nHost: h\r\n\r\n", []string{`GET //evil host=other body=""`}},
		{"body with length", "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", []string{`POST /a host=h body="abc"`}},
		{"length with white space around", "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length:\t 3 \r\n\r\nabc", []string{`POST /a host=h body="abc"`}},
		{"length with leading zeros", "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 003\r\n\r\nabc", []string{`POST /a host=h body="abc"`}},
		{"body at the limit", "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n" + strings.Repeat("a", 100),
			[]string{`POST /a host=h body="` + strings.Repeat("a", 100) + `"`}},
		{"body with GET", "GET /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", []string{`GET /a host=h body="abc"`}},
		{"body chunked", "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\nab\r\n1;x=y\r\nc\r\n0\r\n\r\n", []string{`POST /a host=h body="abc"`}},
		{"body chunked with trailer", "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nT: u\r\n\r\n", []string{`POST /a host=h body="a"`}},
		{"as many fields as allowed", "GET /a HTTP/1.1\r\nHost: h\r\n" + strings.Repeat("A: b\r\n", maxFields-1) + "\r\n", []string{`GET /a host=h body=""`}},
		{"target as long as allowed", "GET " + longTarget + " HTTP/1.1\r\nHost: h\r\n\r\n", []string{"GET " + longTarget + ` host=h body=""`}},
		{"head nearly too long", "GET /a HTTP/1.1\r\nHost: h\r\nA: " + strings.Repeat("b", maxHead-40) + "\r\n\r\n", []string{`GET /a host=h body=""`}},
		{"value not ASCII", "GET /a HTTP/1.1\r\nHost: h\r\nA: \xff\u00e4\tb\r\n\r\n", []string{`GET /a host=h body=""`}},
		{"two requests", "GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n", []string{`GET /1 host=h body=""`, `GET /2 host=h body=""`}},
		{"keep-alive asked for in HTTP/1.0", "GET /1 HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\nGET /2 HTTP/1.0\r\n\r\n", []string{`GET /1 host= body=""`, `GET /2 host= body=""`}},
		{"keep-alive not asked for in HTTP/1.0", "GET /1 HTTP/1.0\r\n\r\nGET /2 HTTP/1.0\r\n\r\n", []string{`GET /1 host= body=""`}},
		{"close", "GET /1 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n" + smuggled, []string{`GET /1 host=h body=""`}},
		{"close in any case", "GET /1 HTTP/1.1\r\nHost: h\r\nconnection: CLOSE\r\n\r\n" + smuggled, []string{`GET /1 host=h body=""`}},
		{"close in a list", "GET /1 HTTP/1.1\r\nHost: h\r\nConnection: TE , close\r\n\r\n" + smuggled, []string{`GET /1 host=h body=""`}},
		{"close, then another line", "GET /1 HTTP/1.1\r\nHost: h\r\nConnection: close\r\nConnection: TE\r\n\r\n" + smuggled, []string{`GET /1 host=h body=""`}},
		{"close beside keep-alive", "GET /1 HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n" + smuggled, []string{`GET /1 host= body=""`}},
		{"small body left unread", "POST /unread HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabcGET /2 HTTP/1.1\r\nHost: h\r\n\r\n",
			[]string{`POST /unread host=h body=""`, `GET /2 host=h body=""`}},
		{"expectation without body", "GET /a HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n\r\n", []string{`GET /a host=h body=""`}},
		{"any expectation in HTTP/1.0", "GET /a HTTP/1.0\r\nExpect: wonders\r\n\r\n", []string{`GET /a host= body=""`}},
		{"OPTIONS * never reaches the handler", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			output, requests, _ := serveScript(t, &hygiene{limitRequestBody: 100}, row.request)
			var got []string
			for _, request := range requests {
				got = append(got, request.String())
			}
			if !slices.Equal(got, row.want) {
				t.Errorf("executed %q, want %q; output %q", got, row.want, output)
			}
			if strings.Contains(output, "100 Continue") {
				t.Errorf("100 Continue to a request that does not expect it or has no body")
			}
		})
	}
}
