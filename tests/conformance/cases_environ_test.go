package conformance

import (
	"fmt"
	"maps"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// environ is what the view environ/ shows.
type environ struct {
	ExactDict           bool
	StrangeKeys         []string
	InputMethods        []string
	ErrorMethods        []string
	FileWrapperCallable bool
	URL                 string
	Keys                map[string]value
}

type value struct {
	Type    string
	Builtin bool // the type is Python's own
	Value   any  // nil when JSON has none for it
}

func (e environ) value(key string) any { return e.Keys[key].Value }

// want checks that key has that value; nil means that it is not there.
func (e environ) want(t *testing.T, key string, value any) {
	t.Helper()
	if got, ok := e.Keys[key]; got.Value != value || ok != (value != nil) {
		t.Errorf("environ[%q] is %#v, want %#v", key, got.Value, value)
	}
}

func (s *server) environ(t *testing.T, r request) environ {
	t.Helper()
	r.fields = append(slices.Clone(r.fields), "X-View: /environ/show")
	return into[environ](t, s.do(t, r))
}

// script is SCRIPT_NAME as the application sees it.
func (s *server) script() string { return latin1(s.mount) }

// latin1 decodes percent escapes to one character per byte, as PEP 3333 has it
// (Unicode Issues).
func latin1(escaped string) string {
	raw, err := url.PathUnescape(escaped)
	if err != nil {
		panic(err) // a mistake in a table
	}
	var b strings.Builder
	for i := range len(raw) {
		b.WriteRune(rune(raw[i]))
	}
	return b.String()
}

var serverKey = regexp.MustCompile(`^[a-z_][a-z0-9_]*(\.[a-z0-9_]+)+$`)

var environGroup = group{"environ", "environ Variables", slices.Concat([]testCase{
	{"dict", must, "environ must be a builtin Python dictionary, not a subclass", 0, func(t *testing.T, s *server) {
		if !s.environ(t, request{}).ExactDict {
			t.Error("it is not exactly a dict")
		}
	}},
	{"keys-are-str", must, "keys are native strings", 0, func(t *testing.T, s *server) {
		if e := s.environ(t, request{}); len(e.StrangeKeys) > 0 {
			t.Errorf("keys %q", e.StrangeKeys)
		}
	}},
	{"values-are-str", must, "every CGI-defined variable is a str, and no subclass of it", 0, func(t *testing.T, s *server) {
		for key, v := range s.environ(t, request{target: "/a?b", fields: []string{"X-A: b", "Content-Type: x/y"}, body: []byte("x"), method: "POST"}).Keys {
			if !strings.Contains(key, ".") && strings.ToUpper(key) == key && (v.Type != "str" || !v.Builtin) {
				t.Errorf("environ[%q] is of type %s", key, v.Type)
			}
		}
	}},
	{"values-are-latin-1", must, "strings hold only code points of ISO-8859-1", 0, func(t *testing.T, s *server) {
		e := s.environ(t, request{target: "/%E2%82%AC?%E2%82%AC", fields: []string{"X-Euro: \xe2\x82\xac"}})
		for key, v := range e.Keys {
			text, _ := v.Value.(string)
			for _, r := range text {
				if r > 0xff {
					t.Errorf("environ[%q] is %q, with %U in it", key, text, r)
				}
			}
		}
	}},
	{"positional", must, "the application is called with positional arguments", 0, func(t *testing.T, s *server) {
		s.environ(t, request{}) // suite.py refuses others
	}},
	{"server-keys", should, "server-defined variables are named with lower-case letters, digits, dots and underscores, and a prefix of their own", 0, func(t *testing.T, s *server) {
		for key := range s.environ(t, request{fields: []string{"X-A: b"}}).Keys {
			if strings.ContainsAny(key, ".") && !serverKey.MatchString(key) || !strings.ContainsAny(key, ".") && strings.ToUpper(key) != key {
				t.Errorf("environ has %q", key)
			}
		}
	}},
	{"required", must, "these must be present, and not empty", 0, func(t *testing.T, s *server) {
		e := s.environ(t, request{})
		for _, key := range []string{"REQUEST_METHOD", "SERVER_NAME", "SERVER_PORT", "SERVER_PROTOCOL"} {
			if text, _ := e.value(key).(string); text == "" {
				t.Errorf("environ[%q] is %#v, want a string", key, e.value(key))
			}
		}
		for _, key := range []string{
			"wsgi.version", "wsgi.url_scheme", "wsgi.input", "wsgi.errors", "wsgi.multithread", "wsgi.multiprocess", "wsgi.run_once",
		} {
			if _, ok := e.Keys[key]; !ok {
				t.Errorf("environ has no %q", key)
			}
		}
	}},
	{"version", must, "wsgi.version is the tuple (1, 0)", 0, func(t *testing.T, s *server) {
		v := s.environ(t, request{}).Keys["wsgi.version"]
		if v.Type != "tuple" || !v.Builtin || fmt.Sprint(v.Value) != "[1 0]" {
			t.Errorf("it is %v of type %s", v.Value, v.Type)
		}
	}},
	{"url-scheme", must, "wsgi.url_scheme is http", 0, func(t *testing.T, s *server) {
		s.environ(t, request{}).want(t, "wsgi.url_scheme", "http")
	}},
	{"input-methods", must, "wsgi.input has read, readline, readlines and __iter__", 0, func(t *testing.T, s *server) {
		if got := s.environ(t, request{}).InputMethods; len(got) != 4 {
			t.Errorf("it has %q", got)
		}
	}},
	{"errors-methods", must, "wsgi.errors has flush, write and writelines", 0, func(t *testing.T, s *server) {
		if got := s.environ(t, request{}).ErrorMethods; len(got) != 3 {
			t.Errorf("it has %q", got)
		}
	}},
	{"multithread", must, "true if the application may be run by another thread of the process at the same time", needWorkers, func(t *testing.T, s *server) {
		s.environ(t, request{}).want(t, "wsgi.multithread", s.threads > 1)
	}},
	{"multiprocess", must, "true if an equivalent application may be run by another process at the same time", needWorkers, func(t *testing.T, s *server) {
		s.environ(t, request{}).want(t, "wsgi.multiprocess", s.processes > 1)
	}},
	{"run-once", must, "true only if this process runs the application once", 0, func(t *testing.T, s *server) {
		s.environ(t, request{}).want(t, "wsgi.run_once", false)
	}},
	{"input-terminated", extra, "the input stream ends where the body does", 0, func(t *testing.T, s *server) {
		s.environ(t, request{}).want(t, "wsgi.input_terminated", true)
	}},
	{"file-wrapper", should, "wsgi.file_wrapper, if there, is a callable", 0, func(t *testing.T, s *server) {
		if !s.environ(t, request{}).FileWrapperCallable {
			t.Error("it is not there, or cannot be called")
		}
	}},
	{"method", must, "REQUEST_METHOD is what the client sent", 0, func(t *testing.T, s *server) {
		for _, method := range []string{"GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND", "M-SEARCH"} {
			s.environ(t, request{method: method}).want(t, "REQUEST_METHOD", method)
		}
	}},
	{"method-head", must, "REQUEST_METHOD of a HEAD request is HEAD", 0, func(t *testing.T, s *server) {
		r := s.do(t, request{method: "HEAD", target: "/response/method"})
		if got := r.value("X-Method"); got != "HEAD" {
			t.Errorf("it is %q", got)
		}
	}},
	{"protocol-1.1", must, "SERVER_PROTOCOL is the version that the client used", 0, func(t *testing.T, s *server) {
		s.environ(t, request{}).want(t, "SERVER_PROTOCOL", "HTTP/1.1")
	}},
	{"protocol-1.0", must, "SERVER_PROTOCOL is the version that the client used", 0, func(t *testing.T, s *server) {
		s.environ(t, request{proto: "HTTP/1.0"}).want(t, "SERVER_PROTOCOL", "HTTP/1.0")
	}},
	{"server-port", must, "SERVER_PORT is the port as a string", needHere, func(t *testing.T, s *server) {
		_, port, _ := net.SplitHostPort(s.addr)
		s.environ(t, request{}).want(t, "SERVER_PORT", port)
	}},
	{"server-port-not-from-host", extra, "SERVER_PORT is where the request came in, not what the client says", needHere, func(t *testing.T, s *server) {
		_, port, _ := net.SplitHostPort(s.addr)
		e := s.environ(t, request{fields: []string{"Host: example.com:9"}})
		e.want(t, "SERVER_PORT", port)
		e.want(t, "HTTP_HOST", "example.com:9")
	}},
	{"server-name-ipv6", extra, "SERVER_NAME from an IPv6 Host keeps its colons", needHere, func(t *testing.T, s *server) {
		e := s.environ(t, request{fields: []string{"Host: [::1]:9"}})
		e.want(t, "HTTP_HOST", "[::1]:9")
		if name, _ := e.value("SERVER_NAME").(string); name == "" || strings.HasSuffix(name, ":") || strings.HasSuffix(name, ":9") {
			t.Errorf("SERVER_NAME is %q", name)
		}
	}},
	{"no-host", must, "SERVER_NAME and SERVER_PORT can never be empty strings", 0, func(t *testing.T, s *server) {
		c := s.dial(t)
		if _, err := fmt.Fprintf(c, "GET %s/ HTTP/1.0\r\nX-View: /environ/show\r\n\r\n", s.mount); err != nil {
			t.Fatal(err)
		}
		r := c.head("GET")
		c.finish(r)
		e := into[environ](t, r)
		if name, _ := e.value("SERVER_NAME").(string); name == "" {
			t.Error("SERVER_NAME is empty")
		}
		e.want(t, "HTTP_HOST", nil)
	}},
	{"server-software", extra, "SERVER_SOFTWARE names the server (RFC 3875 §4.1.17)", 0, func(t *testing.T, s *server) {
		if text, _ := s.environ(t, request{}).value("SERVER_SOFTWARE").(string); text == "" {
			t.Error("it is missing")
		}
	}},
	{"remote-addr", extra, "REMOTE_ADDR and REMOTE_PORT are the client's", needHere, func(t *testing.T, s *server) {
		c := s.dial(t)
		local := c.LocalAddr().(*net.TCPAddr)
		e := into[environ](t, c.roundTrip(request{target: "/environ/show"}))
		e.want(t, "REMOTE_ADDR", local.IP.String())
		e.want(t, "REMOTE_PORT", strconv.Itoa(local.Port))
	}},
	{"request-uri", extra, "REQUEST_URI is the target as it was sent", 0, func(t *testing.T, s *server) {
		target := "/environ/a%2Fb//%c3%a9?x=%20&y"
		s.environ(t, request{target: target}).want(t, "REQUEST_URI", s.mount+target)
	}},
	{"request-scheme", extra, "REQUEST_SCHEME is wsgi.url_scheme", 0, func(t *testing.T, s *server) {
		s.environ(t, request{}).want(t, "REQUEST_SCHEME", "http")
	}},
	{"script-filename", extra, "SCRIPT_FILENAME is an absolute path", 0, func(t *testing.T, s *server) {
		if text, _ := s.environ(t, request{}).value("SCRIPT_FILENAME").(string); !strings.HasPrefix(text, "/") {
			t.Errorf("it is %q", text)
		}
	}},
	{"document-root", extra, "DOCUMENT_ROOT is an absolute path", 0, func(t *testing.T, s *server) {
		if text, _ := s.environ(t, request{}).value("DOCUMENT_ROOT").(string); !strings.HasPrefix(text, "/") {
			t.Errorf("it is %q", text)
		}
	}},
	{"set", extra, "variables of --setenv are in the environ", 0, func(t *testing.T, s *server) {
		if !s.overlay {
			t.Skip("an option of overlay")
		}
		s.environ(t, request{}).want(t, "CONFORMANCE_SET", "as it is")
	}},
	{"url-reconstruction", must, "the algorithm of URL Reconstruction gives the URL of the request", 0, func(t *testing.T, s *server) {
		for _, target := range []string{"/environ/a%20b?x=y", "/", "/%C3%A9/%FF"} {
			want := "http://" + s.addr + s.mount + target
			if e := s.environ(t, request{target: target}); e.URL != want {
				t.Errorf("got %q, want %q", e.URL, want)
			}
		}
	}},
	{"no-leak", must, "the application may modify the dictionary in any way; the next request has its own", 0, func(t *testing.T, s *server) {
		for i := range 20 {
			s.ok(t, "/environ/spoil?clear="+[]string{"", "yes"}[i%2])
		}
		for range 20 {
			e := s.environ(t, request{})
			e.want(t, "conformance.leak", nil)
			e.want(t, "HTTP_X_LEAK", nil)
			e.want(t, "REQUEST_METHOD", "GET")
			if fmt.Sprint(e.value("wsgi.version")) != "[1 0]" || e.value("SERVER_NAME") == "leaked" {
				t.Fatal("changes of another request are still there")
			}
		}
	}},
	{"streams-replaced", must, "the application may replace the streams in the dictionary", 0, func(t *testing.T, s *server) {
		for _, size := range []int{10, 1 << 20} { // in memory; spooled
			r := s.do(t, request{method: "POST", target: "/environ/streams", body: make([]byte, size)})
			complete(t, r)
			if r.status != 200 {
				t.Errorf("got %d: %.200q", r.status, r.body)
			}
		}
	}},
}, pathCases(), fieldCases())}

// pathCases are about SCRIPT_NAME, PATH_INFO and QUERY_STRING.
func pathCases() []testCase {
	const says = "SCRIPT_NAME and PATH_INFO are the decoded path; QUERY_STRING what follows ?, as it is"
	rows := []struct {
		name, target string // target is escaped as it goes over the wire
		level        level
		path, query  string // path is escaped
		needs        need
	}{
		{"path-root", "/", must, "/", "", 0},
		{"path-plain", "/environ/x", must, "/environ/x", "", 0},
		{"path-trailing-slash", "/environ/x/", must, "/environ/x/", "", 0},
		{"path-space", "/environ/a%20b", must, "/environ/a%20b", "", 0},
		{"path-plus", "/environ/a+b", must, "/environ/a+b", "", 0},
		{"path-percent", "/environ/a%25b", must, "/environ/a%25b", "", 0},
		{"path-percent-escape", "/environ/a%2541", must, "/environ/a%2541", "", 0},
		{"path-question-mark", "/environ/a%3Fb?c", must, "/environ/a%3Fb", "c", 0},
		{"path-hash", "/environ/a%23b", must, "/environ/a%23b", "", 0},
		{"path-semicolon", "/environ/a;b=c", must, "/environ/a;b=c", "", 0},
		{"path-utf-8", "/environ/%C3%A9%E2%82%AC", must, "/environ/%C3%A9%E2%82%AC", "", 0},
		{"path-invalid-utf-8", "/environ/%FF%FE%80", must, "/environ/%FF%FE%80", "", 0},
		{"path-lower-case-escape", "/environ/%c3%a9", must, "/environ/%C3%A9", "", 0},
		{"path-escaped-letters", "/%65nviron/x", must, "/environ/x", "", 0},
		{"path-escaped-slash", "/environ/a%2Fb", should, "/environ/a/b", "", 0},
		{"path-double-slash", "/environ//x", should, "/environ//x", "", 0},
		{"path-double-slash-end", "/environ/x//", should, "/environ/x//", "", 0},
		{"path-colon", "/environ/http://x", should, "/environ/http://x", "", 0},
		{"path-mount-alone", "", must, "", "", needMount},
		{"path-mount-alone-query", "?a=b", must, "", "a=b", needMount},
		{"path-mount-twice", "/m%C3%A9%20t/x", must, "/m%C3%A9%20t/x", "", needMount},
		{"query-none", "/environ/x", must, "/environ/x", "", 0},
		{"query-empty", "/environ/x?", must, "/environ/x", "", 0},
		{"query-plain", "/environ/x?a=b&c", must, "/environ/x", "a=b&c", 0},
		{"query-not-decoded", "/environ/x?a=%20%2F%c3%a9+b", must, "/environ/x", "a=%20%2F%c3%a9+b", 0},
		{"query-question-mark", "/environ/x?a?b", must, "/environ/x", "a?b", 0},
		{"query-slash", "/environ/x?/a//b/../c", must, "/environ/x", "/a//b/../c", 0},
		{"query-url", "/environ/x?next=http://h:1/", must, "/environ/x", "next=http://h:1/", 0},
		{"query-long", "/environ/x?" + strings.Repeat("q", 4000), should, "/environ/x", strings.Repeat("q", 4000), 0},
	}
	var cases []testCase
	for _, row := range rows {
		cases = append(cases, testCase{row.name, row.level, says, row.needs, func(t *testing.T, s *server) {
			e := s.environ(t, request{target: row.target})
			query := e.Keys["QUERY_STRING"].Value
			if query == nil {
				query = "" // may be left out when it would be empty
			}
			script, _ := e.value("SCRIPT_NAME").(string)
			path, _ := e.value("PATH_INFO").(string)
			if script != s.script() || path != latin1(row.path) || query != row.query {
				t.Errorf("got SCRIPT_NAME %q, PATH_INFO %q, QUERY_STRING %q; want %q, %q, %q",
					script, path, query, s.script(), latin1(row.path), row.query)
			}
		}})
	}
	return append(cases,
		testCase{"path-beside-mount", must, "a path that only begins with the mount point is not below it", needMount, func(t *testing.T, s *server) {
			r := s.do(t, request{target: s.mount + "x/environ/show", absolute: true})
			if r.status != 404 {
				t.Errorf("got %d, want 404", r.status)
			}
		}},
		testCase{"path-absolute-form", should, "a target in absolute form has the same path (RFC 9112 §3.2.2)", 0, func(t *testing.T, s *server) {
			e := s.environ(t, request{target: "http://" + s.addr + s.mount + "/environ/a%20b?c", absolute: true})
			e.want(t, "SCRIPT_NAME", s.script())
			e.want(t, "PATH_INFO", "/environ/a b")
			e.want(t, "QUERY_STRING", "c")
		}},
	)
}

// fieldCases are about the HTTP_ variables.
func fieldCases() []testCase {
	rows := []struct {
		name   string
		level  level
		says   string
		fields []string
		want   map[string]any // nil: not there
	}{
		{"field", must, "HTTP_ variables correspond to the client's fields", []string{"X-Some-Field: a b"}, map[string]any{"HTTP_X_SOME_FIELD": "a b"}},
		{"field-lower-case", must, "field names have no case", []string{"x-some-field: a"}, map[string]any{"HTTP_X_SOME_FIELD": "a"}},
		{"field-space", must, "space around a value is not part of it", []string{"X-A: \t a \t"}, map[string]any{"HTTP_X_A": "a"}},
		{"field-no-space", must, "no space is needed", []string{"X-A:a"}, map[string]any{"HTTP_X_A": "a"}},
		{"field-empty", must, "an empty value is a value", []string{"X-A:"}, map[string]any{"HTTP_X_A": ""}},
		{"field-colon", must, "a value may hold colons", []string{"X-A: a:b: c"}, map[string]any{"HTTP_X_A": "a:b: c"}},
		{"field-latin-1", must, "bytes become code points", []string{"X-A: \xe9\xff\x80"}, map[string]any{"HTTP_X_A": "\u00e9\u00ff\u0080"}},
		{"field-utf-8", must, "bytes become code points, whatever they encode", []string{"X-A: \xe2\x82\xac"}, map[string]any{"HTTP_X_A": "\u00e2\u0082\u00ac"}},
		{"field-repeated", must, "repeated fields are joined with a comma (RFC 3875 §4.1.18)", []string{"X-A: 1", "X-B: x", "x-a: 2, 3", "X-A: 4"}, map[string]any{"HTTP_X_A": "1, 2, 3, 4", "HTTP_X_B": "x"}},
		{"field-cookie", must, "repeated Cookie fields are joined with a semicolon (RFC 9113 §8.2.3)", []string{"Cookie: a=1", "X-B: x", "Cookie: b=2; c=3"}, map[string]any{"HTTP_COOKIE": "a=1; b=2; c=3"}},
		{"field-underscore", extra, "a name with an underscore would pose as one with a hyphen", []string{"X_Real_User: evil"}, map[string]any{"HTTP_X_REAL_USER": nil}},
		{"field-underscore-beside", extra, "a name with an underscore would pose as one with a hyphen", []string{"X-Real-User: good", "X_Real-User: evil"}, map[string]any{"HTTP_X_REAL_USER": "good"}},
		{"field-underscore-length", extra, "Content_Length is not Content-Length", []string{"Content_Length: 99", "Content_Type: evil/x"}, map[string]any{"CONTENT_LENGTH": nil, "HTTP_CONTENT_LENGTH": nil, "CONTENT_TYPE": nil, "HTTP_CONTENT_TYPE": nil}},
		{"field-proxy", extra, "HTTP_PROXY is what libraries take for their proxy (httpoxy)", []string{"Proxy: http://evil/"}, map[string]any{"HTTP_PROXY": nil}},
		{"field-authorization", extra, "Authorization reaches the application", []string{"Authorization: Basic YTpi"}, map[string]any{"HTTP_AUTHORIZATION": "Basic YTpi"}},
		{"field-host", must, "HTTP_HOST is the Host field", []string{"Host: some.name:81"}, map[string]any{"HTTP_HOST": "some.name:81"}},
		{"field-accept", must, "fields that servers know are fields, too", []string{"Accept: */*", "User-Agent: a/1", "Referer: /x", "If-None-Match: \"x\"", "Range: bytes=0-1", "Connection: keep-alive"}, map[string]any{"HTTP_ACCEPT": "*/*", "HTTP_USER_AGENT": "a/1", "HTTP_REFERER": "/x", "HTTP_IF_NONE_MATCH": `"x"`, "HTTP_RANGE": "bytes=0-1"}},
		{"field-large", should, "a large value comes whole", []string{"X-A: " + strings.Repeat("v", 4000)}, map[string]any{"HTTP_X_A": strings.Repeat("v", 4000)}},
		{"content-type-none", must, "CONTENT_TYPE may be empty or absent", nil, map[string]any{"CONTENT_TYPE": nil, "HTTP_CONTENT_TYPE": nil}},
		{"content-type-without-body", must, "CONTENT_TYPE is the Content-Type field", []string{"Content-Type: a/b; c=d"}, map[string]any{"CONTENT_TYPE": "a/b; c=d", "HTTP_CONTENT_TYPE": nil}},
		{"content-length-none", must, "CONTENT_LENGTH may be empty or absent", nil, map[string]any{"CONTENT_LENGTH": nil, "HTTP_CONTENT_LENGTH": nil}},
		{"content-length-zero", must, "CONTENT_LENGTH is the Content-Length field", []string{"Content-Length: 0"}, map[string]any{"CONTENT_LENGTH": "0", "HTTP_CONTENT_LENGTH": nil}},
	}
	var cases []testCase
	for _, row := range rows {
		cases = append(cases, testCase{row.name, row.level, row.says, 0, func(t *testing.T, s *server) {
			e := s.environ(t, request{fields: row.fields})
			for _, key := range slices.Sorted(maps.Keys(row.want)) {
				want := row.want[key]
				if want == nil && e.value(key) == "" && strings.HasPrefix(key, "CONTENT_") {
					continue
				}
				if got, ok := e.value(key).(string); ok && strings.HasPrefix(row.name, "field-repeated") {
					// The space after the comma is optional.
					e.Keys[key] = value{Type: "str", Builtin: true, Value: strings.ReplaceAll(strings.ReplaceAll(got, ", ", ","), ",", ", ")}
				}
				e.want(t, key, want)
			}
		}})
	}
	return append(cases,
		testCase{"content-length", must, "CONTENT_LENGTH is the Content-Length field, CONTENT_TYPE the Content-Type field", 0, func(t *testing.T, s *server) {
			for _, size := range []int{1, 1000, 65536, 65537, 200000} {
				e := s.environ(t, request{method: "POST", fields: []string{"content-type: a/b"}, body: make([]byte, size)})
				e.want(t, "CONTENT_LENGTH", strconv.Itoa(size))
				e.want(t, "CONTENT_TYPE", "a/b")
				e.want(t, "HTTP_CONTENT_TYPE", nil)
				e.want(t, "HTTP_CONTENT_LENGTH", nil)
			}
		}},
		testCase{"transfer-encoding", extra, "the body has been decoded: its coding is not the application's affair", 0, func(t *testing.T, s *server) {
			e := s.environ(t, request{method: "POST", chunks: []string{"abc"}})
			e.want(t, "HTTP_TRANSFER_ENCODING", nil)
		}},
		testCase{"trailers", must, "trailers are not merged into the fields (RFC 9110 §6.5.1)", 0, func(t *testing.T, s *server) {
			e := s.environ(t, request{
				method: "POST", chunks: []string{"abc"}, fields: []string{"X-Good: first"},
				trailers: []string{"X-Evil: yes", "X-Good: second", "X-View: /process/pid"},
			})
			e.want(t, "HTTP_X_EVIL", nil)
			e.want(t, "HTTP_X_GOOD", "first")
		}},
		testCase{"trailers-forbidden", must, "a trailer that changes the meaning of the request is refused, or ignored", 0, func(t *testing.T, s *server) {
			for _, trailer := range []string{"Cookie: evil=1", "Authorization: evil", "Content-Type: evil/x", "Host: evil", "Content-Length: 7", "Transfer-Encoding: chunked"} {
				r := s.do(t, request{
					method: "POST", chunks: []string{"abc"}, trailers: []string{trailer},
					fields: []string{"X-View: /environ/show"},
				})
				if r.status == 400 {
					continue
				}
				e := into[environ](t, r)
				for _, key := range []string{"HTTP_COOKIE", "HTTP_AUTHORIZATION", "CONTENT_TYPE"} {
					e.want(t, key, nil)
				}
				e.want(t, "HTTP_HOST", s.addr)
			}
		}},
	)
}
