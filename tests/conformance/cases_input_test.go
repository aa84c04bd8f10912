package conformance

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// digest is what the views input/ say of a body.
type digest struct {
	Length int
	SHA256 string
	Lines  int
}

func (d digest) check(t *testing.T, data []byte) {
	t.Helper()
	sum := sha256.Sum256(data)
	if d.Length != len(data) || d.SHA256 != hex.EncodeToString(sum[:]) {
		t.Errorf("the application got %d bytes with SHA-256 %s, want %d with %x", d.Length, d.SHA256, len(data), sum)
	}
}

// pattern returns bytes of all values with lines of different lengths.
func pattern(size int) []byte {
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(i * i >> 3)
	}
	return data
}

var inputGroup = group{"input", "Input and Error Streams", append(readCases(), []testCase{
	{"large", must, "a large body comes unchanged", 0, func(t *testing.T, s *server) {
		data := pattern(5 << 20)
		r := into[struct{ Results []digest }](t, s.do(t, request{method: "POST", target: "/input/ops?ops=digest", body: data}))
		r.Results[0].check(t, data)
	}},
	{"large-by-lines", must, "a large body comes unchanged by lines", 0, func(t *testing.T, s *server) {
		data := pattern(1 << 20)
		r := into[digest](t, s.do(t, request{method: "PUT", target: "/input/lines", body: data}))
		r.check(t, data)
		if want := bytes.Count(data, []byte("\n")) + 1; r.Lines != want {
			t.Errorf("got %d lines, want %d", r.Lines, want)
		}
	}},
	{"large-chunked", must, "a large chunked body comes unchanged", 0, func(t *testing.T, s *server) {
		data := pattern(5 << 20)
		var chunks []string
		for rest := data; len(rest) > 0; {
			n := min(len(rest), 10007)
			chunks, rest = append(chunks, string(rest[:n])), rest[n:]
		}
		r := into[struct{ Results []digest }](t, s.do(t, request{method: "POST", target: "/input/ops?ops=digest:7000", chunks: chunks}))
		r.Results[0].check(t, data)
	}},
	{"chunked-length", must, "CONTENT_LENGTH, if it is there, is the length of the body", 0, func(t *testing.T, s *server) {
		r := into[struct{ Length *string }](t, s.do(t, request{method: "POST", target: "/input/ops?ops=read", chunks: []string{"abc", "defg"}}))
		if r.Length != nil && *r.Length != "" && *r.Length != "7" {
			t.Errorf("CONTENT_LENGTH is %q", *r.Length)
		}
	}},
	{"boundaries", must, "bodies of every size around a server's buffers come unchanged", 0, func(t *testing.T, s *server) {
		c := s.dial(t)
		for _, around := range []int{4096, 8192, 65536, 131072} {
			for size := around - 1; size <= around+1; size++ {
				data := pattern(size)
				r := into[struct{ Results []digest }](t, c.roundTrip(request{method: "POST", target: "/input/ops?ops=digest:1000", body: data}))
				r.Results[0].check(t, data)
			}
		}
	}},
	{"unread", must, "an application need not read the body; the connection survives that, or is closed", 0, func(t *testing.T, s *server) {
		for _, size := range []int{1, 1000, 100000, 1 << 20} {
			c := s.dial(t)
			r := c.roundTrip(request{method: "POST", target: "/input/ignore", body: pattern(size)})
			complete(t, r)
			if r.status != 200 || string(r.body) != "ignored\n" {
				t.Fatalf("body of %d: got %d %q", size, r.status, r.body)
			}
			if r.value("Connection") != "close" {
				c.mustBeReusable()
			}
		}
	}},
	{"half-read", must, "what is left of a body is not the next request", 0, func(t *testing.T, s *server) {
		for _, size := range []int{1000, 1 << 20} {
			c := s.dial(t)
			r := c.roundTrip(request{method: "POST", target: "/input/ops?ops=read:10", body: pattern(size)})
			into[any](t, r)
			if r.value("Connection") != "close" {
				c.mustBeReusable()
			}
		}
	}},
	{"read-while-answering", must, "the body can be read while the response is under way", 0, func(t *testing.T, s *server) {
		data := pattern(300000)
		r := s.do(t, request{method: "POST", target: "/input/echo", body: data})
		complete(t, r)
		if !bytes.Equal(r.body, data) {
			t.Errorf("got %d bytes back, want the %d sent", len(r.body), len(data))
		}
	}},
	{"returned", must, "the input stream is an iterable, and a response may be one", 0, func(t *testing.T, s *server) {
		echoes(t, s, "/input/returned", 0)
	}},
	{"wrapped", must, "the input stream is a file-like object, and wsgi.file_wrapper takes one", 0, func(t *testing.T, s *server) {
		echoes(t, s, "/input/wrapped", 0)
	}},
	{"wrapped-in-part", must, "wsgi.file_wrapper begins where the input stream is", 0, func(t *testing.T, s *server) {
		echoes(t, s, "/input/wrapped?skip=777", 777)
	}},
	{"expect-continue", must, "servers that implement HTTP/1.1 must provide transparent support for expect/continue", 0, func(t *testing.T, s *server) {
		c := s.dial(t)
		data := pattern(100000)
		head := fmt.Sprintf("POST %s/input/ops?ops=digest HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", s.mount, len(data))
		if _, err := c.Write([]byte(head)); err != nil {
			t.Fatal(err)
		}
		first, err := c.oneHead()
		if err != nil || first.status != 100 {
			t.Fatalf("got %+v (%v), want 100 before the body is sent", first, err)
		}
		if _, err := c.Write(data); err != nil {
			t.Fatal(err)
		}
		r := c.head("POST")
		c.finish(r)
		into[struct{ Results []digest }](t, r).Results[0].check(t, data)
	}},
	{"pipelined", must, "requests that come together are answered in order, each with its body", 0, func(t *testing.T, s *server) {
		c := s.dial(t)
		var all []byte
		for i := range 5 {
			all = append(all, request{method: "POST", target: "/input/ops?ops=read", body: fmt.Appendf(nil, "body %d", i)}.bytes(s)...)
		}
		if _, err := c.Write(all); err != nil {
			t.Fatal(err)
		}
		for i := range 5 {
			r := c.head("POST")
			c.finish(r)
			if got := into[struct{ Results []string }](t, r).Results[0]; got != fmt.Sprintf("body %d", i) {
				t.Errorf("answer %d is about %q", i, got)
			}
		}
	}},
}...)}

// echoes sends bodies of several sizes to a view that returns them from skip on.
func echoes(t *testing.T, s *server, target string, skip int) {
	t.Helper()
	for _, size := range []int{1000, 65537, 1 << 20} {
		data := pattern(size)
		c := s.dial(t)
		r := c.roundTrip(request{method: "POST", target: target, body: data})
		complete(t, r)
		if r.status != 200 || !bytes.Equal(r.body, data[skip:]) {
			t.Errorf("got %d and %d bytes back, want the last %d of %d", r.status, len(r.body), size-skip, size)
		}
		if r.value("Connection") != "close" {
			c.mustBeReusable()
		}
	}
}

// readCases are operations on wsgi.input and what each has to return.
func readCases() []testCase {
	const lines = "one\ntwo\r\n\nfour"
	rows := []struct {
		name  string
		level level
		body  string
		ops   string
		want  string // JSON
	}{
		{"read", must, "abcdef", "read", `["abcdef"]`},
		{"read-size", must, "abcdef", "read:2,read:3", `["ab","cde"]`},
		{"read-beyond", must, "abcdef", "read:100,read:100", `["abcdef",""]`},
		{"read-exactly", must, "abcdef", "read:6,read:1", `["abcdef",""]`},
		{"read-zero", must, "abcdef", "read:0,read:1,read:0,read", `["","a","","bcdef"]`},
		{"read-minus-one", must, "abcdef", "read:1,read:-1,read", `["a","bcdef",""]`},
		{"read-none", should, "abcdef", "read:1,read:None,read", `["a","bcdef",""]`},
		{"read-end", must, "abc", "read,read,read:5,readline,readlines,iter,read:-1,next", `["abc","","","",[],[],"",{"type":"NoneType"}]`},
		{"readline", must, lines, "readline,readline,readline,readline,readline", `["one\n","two\r\n","\n","four",""]`},
		{"readline-size", must, lines, "readline:2,readline:2,readline:2,readline:100", `["on","e\n","tw","o\r\n"]`},
		{"readline-size-exact", must, lines, "readline:4,readline:5,readline:1,readline:4,readline:4", `["one\n","two\r\n","\n","four",""]`},
		{"readline-zero", must, lines, "readline:0,readline", `["","one\n"]`},
		{"readline-minus-one", must, lines, "readline:-1,readline", `["one\n","two\r\n"]`},
		{"readlines", must, lines, "readlines,readlines", `[["one\n","two\r\n","\n","four"],[]]`},
		{"readlines-zero", should, lines, "readlines:0", `[["one\n","two\r\n","\n","four"]]`},
		{"readlines-large-hint", must, lines, "readlines:1000,read", `[["one\n","two\r\n","\n","four"],""]`},
		{"iteration", must, lines, "iter,iter", `[["one\n","two\r\n","\n","four"],[]]`},
		{"next", must, lines, "next,next,read", `["one\n","two\r\n","\nfour"]`},
		{"mixed", must, lines, "read:1,readline,next,read:1,readlines,read", `["o","ne\n","two\r\n","\n",["four"],""]`},
		{"trailing-newline", must, "a\n", "readline,readline", `["a\n",""]`},
		{"only-newlines", must, "\n\n", "iter", `[["\n","\n"]]`},
		{"carriage-return", must, "a\rb\n", "readlines", `[["a\rb\n"]]`},
		{"bytes", must, "\x00\xff\x80\r\n", "read", `["\u0000\u00ff\u0080\r\n"]`},
		{"empty", must, "", "read,read,read:5,readline,readlines,iter", `["","","","",[],[]]`},
	}
	const says = "the methods of wsgi.input behave as the Python Library Reference says, and the end of the body is the end of the file"
	var cases []testCase
	for _, row := range rows {
		var want any
		if err := json.Unmarshal([]byte(row.want), &want); err != nil {
			panic(row.name) // a mistake in the table
		}
		check := func(t *testing.T, s *server, r request) {
			t.Helper()
			r.method, r.target = "POST", "/input/ops?ops="+row.ops
			if got := into[struct{ Results any }](t, s.do(t, r)).Results; !reflect.DeepEqual(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		}
		cases = append(cases,
			testCase{row.name, row.level, says, 0, func(t *testing.T, s *server) {
				check(t, s, request{body: []byte(row.body)})
			}},
			testCase{row.name + "-chunked", row.level, says + ", chunked or not", 0, func(t *testing.T, s *server) {
				chunks := strings.SplitAfter(row.body, "o")
				if last := len(chunks) - 1; chunks[last] == "" {
					chunks = chunks[:last] // an empty chunk would be the last
				}
				check(t, s, request{chunks: chunks})
			}},
		)
		// The same body behind so much more that a server keeps it in a file.
		if row.name == "mixed" || row.name == "read-end" || row.name == "readline-size" {
			cases = append(cases, testCase{row.name + "-spooled", row.level, says + ", wherever it was kept", 0, func(t *testing.T, s *server) {
				filler := strings.Repeat("f", 199999) + "\n"
				r := request{method: "POST", target: "/input/ops?ops=readline," + row.ops, body: []byte(filler + row.body)}
				got := into[struct{ Results []any }](t, s.do(t, r)).Results
				if len(got) == 0 || got[0] != filler || !reflect.DeepEqual(any(got[1:]), want) {
					t.Errorf("got %.300q, want the filler and %q", got, want)
				}
			}})
		}
	}
	return append(cases, testCase{"readlines-hint", should, "the hint of readlines is optional to obey; lines stay whole and in order", 0, func(t *testing.T, s *server) {
		r := into[struct{ Results []any }](t, s.do(t, request{method: "POST", target: "/input/ops?ops=readlines:3,read", body: []byte(lines)}))
		var all string
		list, _ := r.Results[0].([]any)
		for _, line := range list {
			all += line.(string)
			if !strings.HasSuffix(all, "\n") && all != lines {
				t.Errorf("line %q is not whole", line)
			}
		}
		if len(list) == 0 || all+r.Results[1].(string) != lines {
			t.Errorf("got %q, want all of %q", r.Results, lines)
		}
	}}, testCase{"no-body", must, "a request without a body has an input stream at its end", 0, func(t *testing.T, s *server) {
		got := into[struct{ Results any }](t, s.get(t, "/input/ops?ops=read,readline,readlines,iter,read:1")).Results
		if !reflect.DeepEqual(got, []any{"", "", []any{}, []any{}, ""}) {
			t.Errorf("got %q", got)
		}
	}})
}
