package pybridge

import (
	"bufio"
	"bytes"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

// fixedKeys are the keys of the values that every request has, in the order of
// Requests.FIXED in worker/wsgi.py.
var fixedKeys = strings.Fields(`REQUEST_METHOD SCRIPT_NAME PATH_INFO QUERY_STRING REQUEST_URI SERVER_PROTOCOL
	SERVER_NAME SERVER_PORT REMOTE_ADDR REMOTE_PORT wsgi.url_scheme REQUEST_SCHEME`)

// TestFixedKeys holds the two lists together.
func TestFixedKeys(t *testing.T) {
	source := workerSources()["wsgi"].(string)
	_, list, found := strings.Cut(source, "FIXED = (")
	list, _, _ = strings.Cut(list, ")")
	var got []string
	for word := range strings.FieldsSeq(list) {
		got = append(got, strings.Trim(word, `",`))
	}
	if !found || !slices.Equal(got, fixedKeys) {
		t.Errorf("wsgi.py has %q, the tests %q", got, fixedKeys)
	}
}

// decodeEnviron reads a request frame as worker/wsgi.py does.
func decodeEnviron(t testing.TB, frame []byte) (h frameHeader, environ map[string]string, body string) {
	t.Helper()
	h, payload, size, err := readFrame(frame)
	if err != nil || size != len(frame) {
		t.Fatalf("readFrame = size %d of %d, %v", size, len(frame), err)
	}
	payload = payload[requestTimes:]
	keys := slices.Clone(fixedKeys)
	fields, variables, own := strings.Cut(string(payload[:h.names]), "=")
	if fields != "" {
		for name := range strings.SplitSeq(strings.TrimSuffix(fields, "\x00"), "\x00") {
			key := strings.ReplaceAll(strings.ToUpper(name), "-", "_")
			if key != "CONTENT_TYPE" && key != "CONTENT_LENGTH" {
				key = "HTTP_" + key
			}
			keys = append(keys, key)
		}
	}
	if own {
		keys = append(keys, strings.Split(variables, "\x00")...)
	}
	values := strings.Split(string(payload[h.names:h.names+h.head]), "\x00")
	if len(keys) != len(values) {
		t.Fatalf("%d keys %q and %d values %q", len(keys), keys, len(values), values)
	}
	environ = map[string]string{}
	for i, key := range keys {
		if _, ok := environ[key]; ok {
			t.Errorf("key %s twice", key)
		}
		environ[key] = values[i]
	}
	return h, environ, string(payload[h.names+h.head:])
}

// addressed is a connection that has addresses and nothing else.
type addressed struct {
	net.Conn
	local, remote net.Addr
}

func (c addressed) LocalAddr() net.Addr  { return c.local }
func (c addressed) RemoteAddr() net.Addr { return c.remote }

func tcp(ip string, port int) *net.TCPAddr { return &net.TCPAddr{IP: net.ParseIP(ip), Port: port} }

var plainConn = addressed{local: tcp("127.0.0.1", 8000), remote: tcp("192.0.2.7", 51234)}

// contextOf returns the context of a request without a body.
func contextOf(t testing.TB, conn net.Conn, head string) *fasthttp.RequestCtx {
	t.Helper()
	ctx := new(fasthttp.RequestCtx)
	ctx.Init2(conn, nil, false)
	if err := ctx.Request.Header.Read(bufio.NewReader(strings.NewReader(head))); err != nil {
		t.Fatal(err)
	}
	return ctx
}

func TestAppendRequest(t *testing.T) {
	const hello = "GET /hello HTTP/1.1\r\nHost: example.org\r\n\r\n"
	tests := []struct {
		name    string
		conn    net.Conn
		head    string
		request Request
		want    map[string]string // what differs from the request hello
		flags   uint8
		body    string
	}{
		{"hello", plainConn, hello, Request{Path: []byte("/hello")}, nil, 0, ""},
		{"query", plainConn, "GET /a%20b?x=1&y=%20?z HTTP/1.1\r\nHost: h\r\n\r\n", Request{Path: []byte("/a b")},
			map[string]string{"PATH_INFO": "/a b", "REQUEST_URI": "/a%20b?x=1&y=%20?z", "QUERY_STRING": "x=1&y=%20?z", "SERVER_NAME": "h", "HTTP_HOST": "h"}, 0, ""},
		{"empty query", plainConn, "GET /? HTTP/1.1\r\nHost: h\r\n\r\n", Request{Path: []byte("/")},
			map[string]string{"PATH_INFO": "/", "REQUEST_URI": "/?", "SERVER_NAME": "h", "HTTP_HOST": "h"}, 0, ""},
		{"bytes beyond ASCII stay bytes", plainConn, "GET /%C3%A9%FF HTTP/1.1\r\nHost: h\r\n\r\n", Request{Path: []byte("/\xc3\xa9\xff")},
			map[string]string{"PATH_INFO": "/\xc3\xa9\xff", "REQUEST_URI": "/%C3%A9%FF", "SERVER_NAME": "h", "HTTP_HOST": "h"}, 0, ""},
		{"mounted", plainConn, hello, Request{Path: []byte("/shop/item"), MountPoint: "/shop"},
			map[string]string{"SCRIPT_NAME": "/shop", "PATH_INFO": "/item"}, 0, ""},
		{"the mount point itself", plainConn, hello, Request{Path: []byte("/shop"), MountPoint: "/shop"},
			map[string]string{"SCRIPT_NAME": "/shop", "PATH_INFO": ""}, 0, ""},
		{"the mount point with a slash", plainConn, hello, Request{Path: []byte("/shop/"), MountPoint: "/shop"},
			map[string]string{"SCRIPT_NAME": "/shop", "PATH_INFO": "/"}, 0, ""},
		{"a path shorter than the mount point", plainConn, hello, Request{Path: []byte("*"), MountPoint: "/shop"},
			map[string]string{"SCRIPT_NAME": "/shop", "PATH_INFO": ""}, 0, ""},
		{"HEAD", plainConn, "HEAD /hello HTTP/1.1\r\nHost: example.org\r\n\r\n", Request{Path: []byte("/hello")},
			map[string]string{"REQUEST_METHOD": "HEAD"}, flagHead, ""},
		{"a method of one's own", plainConn, "PROPFIND /hello HTTP/1.1\r\nHost: example.org\r\n\r\n", Request{Path: []byte("/hello")},
			map[string]string{"REQUEST_METHOD": "PROPFIND"}, 0, ""},
		{"the server's own variables", plainConn, hello,
			Request{Path: []byte("/hello"), VariableNames: []byte("HTTPS\x00SSL_CLIENT_CERT"), VariableValues: []byte("on\x00-----\nx=y\n")},
			map[string]string{"HTTPS": "on", "SSL_CLIENT_CERT": "-----\nx=y\n"}, 0, ""},
		{"the server's own variables and a body", plainConn, "POST /hello HTTP/1.1\r\nHost: example.org\r\nContent-Length: 2\r\n\r\n",
			Request{Path: []byte("/hello"), Body: []byte("ab"), HasBody: true, VariableNames: []byte("HTTPS"), VariableValues: []byte("on")},
			map[string]string{"REQUEST_METHOD": "POST", "CONTENT_LENGTH": "2", "HTTPS": "on"}, 0, "ab"},
		{"the server's own variables without a field", plainConn, "GET /hello HTTP/1.0\r\n\r\n",
			Request{Path: []byte("/hello"), VariableNames: []byte("HTTPS"), VariableValues: []byte("on")},
			map[string]string{"SERVER_PROTOCOL": "HTTP/1.0", "SERVER_NAME": "127.0.0.1", "HTTP_HOST": "-", "HTTPS": "on"}, 0, ""},
		{"too many variables of the server's own", plainConn, hello,
			Request{Path: []byte("/hello"), VariableNames: bytes.Repeat([]byte("A"), maxVariableNames+1), VariableValues: []byte("x")}, nil, 0, ""},
		{"just enough variables of the server's own", plainConn, hello,
			Request{Path: []byte("/hello"), VariableNames: bytes.Repeat([]byte("A"), maxVariableNames), VariableValues: []byte("x")},
			map[string]string{strings.Repeat("A", maxVariableNames): "x"}, 0, ""},
		{"a client that sends such names", plainConn, "GET /hello HTTP/1.1\r\nHost: example.org\r\nSSL-CLIENT-VERIFY: SUCCESS\r\nHTTPS: on\r\nRemote-User: root\r\n\r\n",
			Request{Path: []byte("/hello")},
			map[string]string{"HTTP_SSL_CLIENT_VERIFY": "SUCCESS", "HTTP_HTTPS": "on", "HTTP_REMOTE_USER": "root"}, 0, ""},
		{"HTTP/1.0 without Host", plainConn, "GET /hello HTTP/1.0\r\n\r\n", Request{Path: []byte("/hello")},
			map[string]string{"SERVER_PROTOCOL": "HTTP/1.0", "SERVER_NAME": "127.0.0.1", "HTTP_HOST": "-"}, 0, ""},
		{"port in Host is not believed", plainConn, "GET /hello HTTP/1.1\r\nHost: example.org:99\r\n\r\n", Request{Path: []byte("/hello")},
			map[string]string{"HTTP_HOST": "example.org:99"}, 0, ""},
		{"IPv6 in Host", plainConn, "GET /hello HTTP/1.1\r\nHost: [2001:db8::1]\r\n\r\n", Request{Path: []byte("/hello")},
			map[string]string{"HTTP_HOST": "[2001:db8::1]", "SERVER_NAME": "[2001:db8::1]"}, 0, ""},
		{"IPv6 and port in Host", plainConn, "GET /hello HTTP/1.1\r\nHost: [::1]:8000\r\n\r\n", Request{Path: []byte("/hello")},
			map[string]string{"HTTP_HOST": "[::1]:8000", "SERVER_NAME": "[::1]"}, 0, ""},
		{"IPv6 connection", addressed{local: tcp("::1", 443), remote: tcp("2001:db8::5", 9)}, "GET /hello HTTP/1.0\r\n\r\n", Request{Path: []byte("/hello")},
			map[string]string{"SERVER_PROTOCOL": "HTTP/1.0", "HTTP_HOST": "-", "SERVER_NAME": "::1", "SERVER_PORT": "443", "REMOTE_ADDR": "2001:db8::5", "REMOTE_PORT": "9"}, 0, ""},
		{"IPv4 on an IPv6 socket", addressed{local: tcp("::ffff:10.0.0.1", 80), remote: tcp("::ffff:10.0.0.2", 9)}, hello, Request{Path: []byte("/hello")},
			map[string]string{"SERVER_PORT": "80", "REMOTE_ADDR": "10.0.0.2", "REMOTE_PORT": "9"}, 0, ""},
		{"Unix socket", addressed{local: &net.UnixAddr{Name: "/s"}, remote: &net.UnixAddr{}}, hello, Request{Path: []byte("/hello")},
			map[string]string{"SERVER_PORT": "80", "REMOTE_ADDR": "127.0.0.1", "REMOTE_PORT": "0"}, 0, ""},
		{"address without bytes", addressed{local: &net.TCPAddr{}, remote: &net.TCPAddr{}}, hello, Request{Path: []byte("/hello")},
			map[string]string{"SERVER_PORT": "0", "REMOTE_ADDR": "0.0.0.0", "REMOTE_PORT": "0"}, 0, ""},
		{"fields", plainConn, "GET /hello HTTP/1.1\r\nHost: example.org\r\nContent-Type: a/b\r\nX-One: 1\r\nx-one: 2\r\nX_One: 3\r\nProxy: p\r\nCookie: a=1\r\nCookie: b=2\r\n\r\n", Request{Path: []byte("/hello")},
			map[string]string{"CONTENT_TYPE": "a/b", "HTTP_X_ONE": "1, 2", "HTTP_COOKIE": "a=1; b=2"}, 0, ""},
		{"body", plainConn, "GET /hello HTTP/1.1\r\nHost: example.org\r\nContent-Length: 999\r\n\r\n", Request{Path: []byte("/hello"), HasBody: true, Body: []byte("a\x00b"), BodySize: 3},
			map[string]string{"CONTENT_LENGTH": "3"}, 0, "a\x00b"},
		{"empty body", plainConn, "GET /hello HTTP/1.1\r\nHost: example.org\r\nContent-Length: 0\r\n\r\n", Request{Path: []byte("/hello"), HasBody: true},
			map[string]string{"CONTENT_LENGTH": "0"}, 0, ""},
		{"body of an HTTP/1.0 request without fields", plainConn, "POST /hello HTTP/1.0\r\nContent-Length: 2\r\n\r\n", Request{Path: []byte("/hello"), HasBody: true, Body: []byte("ab"), BodySize: 2},
			map[string]string{"REQUEST_METHOD": "POST", "SERVER_PROTOCOL": "HTTP/1.0", "SERVER_NAME": "127.0.0.1", "HTTP_HOST": "-", "CONTENT_LENGTH": "2"}, 0, "ab"},
		{"chunked", plainConn, "GET /hello HTTP/1.1\r\nHost: example.org\r\nTransfer-Encoding: chunked\r\n\r\n", Request{Path: []byte("/hello"), HasBody: true, Body: []byte("abcd"), BodySize: 4},
			map[string]string{"CONTENT_LENGTH": "4"}, 0, "abcd"},
		{"body in a file", plainConn, hello, Request{Path: []byte("/hello"), HasBody: true, File: os.Stdin, BodySize: 1 << 33},
			map[string]string{"CONTENT_LENGTH": "8589934592"}, flagDescriptor, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := map[string]string{
				"REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": "/hello", "QUERY_STRING": "", "REQUEST_URI": "/hello",
				"SERVER_PROTOCOL": "HTTP/1.1", "SERVER_NAME": "example.org", "SERVER_PORT": "8000",
				"REMOTE_ADDR": "192.0.2.7", "REMOTE_PORT": "51234", "wsgi.url_scheme": "http", "REQUEST_SCHEME": "http",
				"HTTP_HOST": "example.org",
			}
			maps.Copy(want, tt.want)
			maps.DeleteFunc(want, func(_, value string) bool { return value == "-" })
			frame := appendRequest([]byte("earlier"), 77, contextOf(t, tt.conn, tt.head), &tt.request, new(fieldList))
			h, got, body := decodeEnviron(t, frame[len("earlier"):])
			if h.kind != frameRequest || h.request != 77 || h.flags != tt.flags {
				t.Errorf("kind %d, request %d, flags %d, want %d, 77, %d", h.kind, h.request, h.flags, frameRequest, tt.flags)
			}
			if !maps.Equal(got, want) {
				t.Errorf("environ\n%q, want\n%q", got, want)
			}
			if body != tt.body {
				t.Errorf("body %q, want %q", body, tt.body)
			}
		})
	}
}

// TestAppendRequestTrailers: what came after a chunked body is not a field.
func TestAppendRequestTrailers(t *testing.T) {
	ctx := contextOf(t, plainConn, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
	if err := ctx.Request.ReadBody(bufio.NewReader(strings.NewReader("1\r\na\r\n0\r\n")), -1, 100); err != nil {
		t.Fatal(err)
	}
	if err := ctx.Request.Header.ReadTrailer(bufio.NewReader(strings.NewReader("X-Evil: 1\r\n\r\n"))); err != nil {
		t.Fatal(err)
	}
	_, environ, _ := decodeEnviron(t, appendRequest(nil, 1, ctx, &Request{Path: []byte("/")}, new(fieldList)))
	if value, ok := environ["HTTP_X_EVIL"]; ok {
		t.Errorf("a trailer became HTTP_X_EVIL = %q", value)
	}
}
