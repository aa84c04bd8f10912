package conformance

import (
	"fmt"
	"slices"
	"testing"
)

// fileContent is what the view file/wrapped sends of a file: byte i is i modulo 251.
func fileContent(from, to int) []byte {
	data := make([]byte, max(to-from, 0))
	for i := range data {
		data[i] = byte((from + i) % 251)
	}
	return data
}

var fileGroup = group{"file", "Optional Platform-Specific File Handling", slices.Concat(fileKindCases(), []testCase{
	fileCase("size-0", "size=0", 0, 0),
	fileCase("size-1", "size=1", 0, 1),
	fileCase("size-8191", "size=8191", 0, 8191),
	fileCase("size-65535", "size=65535", 0, 65535),
	fileCase("size-65536", "size=65536", 0, 65536),
	fileCase("size-65537", "size=65537", 0, 65537),
	fileCase("size-131073", "size=131073", 0, 131073),
	fileCase("size-20000000", "size=20000000", 0, 20000000),
	fileCase("read-first", "size=300000&read=1234", 1234, 300000),
	fileCase("read-first-small", "size=3000&read=1234", 1234, 3000),
	fileCase("seek", "size=300000&seek=299000", 299000, 300000),
	fileCase("seek-to-end", "size=300000&seek=300000", 300000, 300000),
	fileCase("seek-past-end", "size=300000&seek=400000", 300000, 300000),
	fileCase("read-and-seek-back", "size=300000&read=5000&seek=10", 10, 300000),
	fileCase("declared", "size=300000&length=300000", 0, 300000),
	fileCase("declared-part", "size=300000&length=200000", 0, 200000),
	fileCase("declared-part-small", "size=3000&length=20", 0, 20),
	fileCase("declared-range", "size=300000&seek=1000&length=200000", 1000, 201000),
	fileCase("declared-range-206", "size=300000&seek=1000&length=2000&status=206+Partial", 1000, 3000),
	fileCase("declared-zero", "size=300000&length=0", 0, 0),
	fileCase("unbuffered-read-first", "kind=unbuffered&size=300000&read=100", 100, 300000),
	fileCase("read-write-read-first", "kind=read-write&size=300000&read=100", 100, 300000),
	fileCase("temporary-seek", "kind=temporary&size=300000&seek=100", 100, 300000),
	fileCase("bytesio-seek", "kind=bytesio&size=300000&seek=100", 100, 300000),
	fileCase("gzip-read-first", "kind=gzip&size=300000&read=100", 100, 300000),
	fileCase("gzip-declared", "kind=gzip&size=300000&length=300000", 0, 300000),
	fileCase("block-1", "size=300&block=1", 0, 300),
	fileCase("block-8192", "size=300000&block=8192", 0, 300000),
	fileCase("block-1000000", "size=300000&block=1000000", 0, 300000),
	fileCase("bare-block", "kind=bare&size=300000&block=777", 0, 300000),
	{"declared-too-much", must, "a file shorter than Content-Length must not look complete", 0, func(t *testing.T, s *server) {
		for _, size := range []int{3000, 300000} {
			r := s.attempt(t, request{target: fmt.Sprintf("/file/wrapped?size=%d&length=%d", size, size+1)})
			if r.status == 500 {
				plainError(t, r, 500)
				continue
			}
			isCut(t, r)
		}
	}},
	{"length", extra, "the length of a regular file is known", 0, func(t *testing.T, s *server) {
		for _, size := range []int{1000, 300000} {
			r := s.ok(t, fmt.Sprintf("/file/wrapped?size=%d&read=10", size))
			if r.length != int64(size-10) {
				t.Errorf("got Content-Length %d, want %d", r.length, size-10)
			}
		}
	}},
	{"huge-head", must, "a length of more than 32 bits", 0, func(t *testing.T, s *server) {
		c := s.dial(t)
		r := c.roundTrip(request{method: "HEAD", target: "/file/sparse"})
		complete(t, r)
		if r.status != 200 || r.length != 5000000000 {
			t.Errorf("got %d, Content-Length %d", r.status, r.length)
		}
		c.mustBeReusable()
	}},
	{"huge-end", must, "a position of more than 32 bits", 0, func(t *testing.T, s *server) {
		r := s.ok(t, "/file/sparse?from=4999900000")
		if len(r.body) != 100000 || string(r.body[99990:]) != "\x00\x00\x00\x00\x00\x00tail" {
			t.Errorf("got %d bytes (...%q)", len(r.body), r.body[max(len(r.body)-10, 0):])
		}
	}},
	{"huge-begin", must, "the beginning of a file that the client does not want to its end", 0, func(t *testing.T, s *server) {
		c := s.dial(t)
		c.send(request{target: "/file/sparse"})
		if r := c.head("GET"); r.length != 5000000000 {
			t.Errorf("got Content-Length %d", r.length)
		}
		c.expect(string(make([]byte, 1<<20)))
	}},
	{"iterated", must, "the wrapper is an iterable, for middleware that iterates it", 0, func(t *testing.T, s *server) {
		fileIs(t, s.ok(t, "/file/iterated"), 0, 100000)
	}},
	{"block-size", must, "the wrapper yields blocks of the size asked for", 0, func(t *testing.T, s *server) {
		if got := into[[]int](t, s.ok(t, "/file/sizes")); !slices.Equal(got, []int{1000, 1000, 500}) {
			t.Errorf("got %v", got)
		}
	}},
	{"after-write", must, "write() and then a file, in that order", 0, func(t *testing.T, s *server) {
		for _, size := range []int{1000, 300000} {
			r := s.ok(t, fmt.Sprintf("/file/after-write?size=%d", size))
			want := append([]byte("written, "), fileContent(0, size)...)
			if !slices.Equal(r.body, want) {
				t.Errorf("got %d bytes, want %d", len(r.body), len(want))
			}
		}
	}},
	{"partly-iterated", must, "the file is sent from its position at the time when sending begins", 0, func(t *testing.T, s *server) {
		for _, size := range []int{30000, 300000} {
			fileIs(t, s.ok(t, fmt.Sprintf("/file/partly-iterated?size=%d&note=%s", size, newNote())), 1000, size)
		}
	}},
	{"wrapper-close", must, "close() of the wrapper is the file's", 0, func(t *testing.T, s *server) {
		if got := into[struct{ Closed int }](t, s.ok(t, "/file/close")); got.Closed != 1 {
			t.Errorf("the file was closed %d times", got.Closed)
		}
	}},
	{"head", must, "HEAD of a file", 0, func(t *testing.T, s *server) {
		for _, query := range []string{"size=300000", "size=300000&length=300000", "size=100&length=100", "kind=gzip&size=300000"} {
			c := s.dial(t)
			name := newNote()
			r := c.roundTrip(request{method: "HEAD", target: "/file/wrapped?note=" + name + "&" + query})
			complete(t, r)
			if r.status != 200 || r.length >= 0 && r.length != 300000 && r.length != 100 {
				t.Errorf("%s: got %d, Content-Length %d", query, r.status, r.length)
			}
			s.awaitNote(t, name)
			c.mustBeReusable()
		}
	}},
	{"client-gone", must, "the file is closed when the client disconnects", needHere, func(t *testing.T, s *server) {
		name := newNote()
		c := s.dial(t)
		c.send(request{target: "/file/wrapped?size=50000000&note=" + name})
		c.head("GET")
		_ = c.Close()
		s.awaitNote(t, name)
	}},
	{"http-1.0", must, "a file for an HTTP/1.0 client", 0, func(t *testing.T, s *server) {
		for _, kind := range []string{"disk", "gzip", "pipe"} {
			size := 300000
			if kind == "pipe" {
				size = 4096
			}
			r := s.do(t, request{target: fmt.Sprintf("/file/wrapped?kind=%s&size=%d", kind, size), proto: "HTTP/1.0"})
			fileIs(t, r, 0, size)
		}
	}},
})}

// fileKindCases send small and large files of every kind, and look at close().
func fileKindCases() (cases []testCase) {
	for _, row := range []struct{ kind, says string }{
		{"disk", "a file opened for reading"},
		{"unbuffered", "a raw file"},
		{"read-write", "a file opened for both"},
		{"temporary", "a temporary file"},
		{"temporary-unbuffered", "a raw temporary file"},
		{"named", "tempfile.NamedTemporaryFile"},
		{"spooled-memory", "tempfile.SpooledTemporaryFile that is in memory"},
		{"spooled-disk", "tempfile.SpooledTemporaryFile that is on disk"},
		{"bytesio", "a file without a descriptor"},
		{"bare", "an object that has read() and nothing else"},
		{"gzip", "a GzipFile, whose descriptor is that of the compressed bytes"},
		{"lying", "an object with the descriptor of another file"},
	} {
		says := row.says + ": the result must be that of read()"
		for _, size := range []int{0, 1000, 300000} {
			cases = append(cases, testCase{fmt.Sprintf("%s-%d", row.kind, size), must, says, 0, func(t *testing.T, s *server) {
				c := s.dial(t)
				fileIs(t, c.roundTrip(request{target: fmt.Sprintf("/file/wrapped?kind=%s&size=%d", row.kind, size)}), 0, size)
				c.mustBeReusable()
			}})
		}
		cases = append(cases, testCase{row.kind + "-close", must, row.says + ": close() must be called", 0, func(t *testing.T, s *server) {
			name := newNote()
			if row.kind == "bare" {
				t.Skip("it has no close()")
			}
			fileIs(t, s.ok(t, "/file/wrapped?size=300000&kind="+row.kind+"&note="+name), 0, 300000)
			s.awaitNote(t, name)
		}})
	}
	return append(cases,
		testCase{"changed", must, "a subclass with a read() of its own: the result must be that of read()", 0, func(t *testing.T, s *server) {
			for _, size := range []int{1000, 300000} {
				r := s.ok(t, fmt.Sprintf("/file/wrapped?kind=changed&size=%d", size))
				want := fileContent(0, size)
				for i, b := range want {
					if b == 1 {
						want[i] = 2
					}
				}
				if !slices.Equal(r.body, want) {
					t.Errorf("got the bytes of the file behind it (%d)", len(r.body))
				}
			}
		}},
		testCase{"unflushed", must, "what was written and is still buffered belongs to the file", 0, func(t *testing.T, s *server) {
			for _, size := range []int{1000, 300000} {
				r := s.ok(t, fmt.Sprintf("/file/wrapped?kind=unflushed&size=%d", size))
				if want := append(fileContent(0, size), "tail"...); !slices.Equal(r.body, want) {
					t.Errorf("got %d bytes, want %d", len(r.body), len(want))
				}
			}
		}},
		testCase{"pipe", must, "a pipe has a descriptor, but is no regular file", 0, func(t *testing.T, s *server) {
			fileIs(t, s.ok(t, "/file/wrapped?kind=pipe&size=4096"), 0, 4096)
		}},
	)
}

// fileCase gets a file; want is its bytes from there to there.
func fileCase(name, query string, from, to int) testCase {
	return testCase{name, must, "the file is sent from its position on, as far as Content-Length allows", 0, func(t *testing.T, s *server) {
		c := s.dial(t)
		fileIs(t, c.roundTrip(request{target: "/file/wrapped?" + query}), from, to)
		c.mustBeReusable()
	}}
}

func fileIs(t *testing.T, r *response, from, to int) {
	t.Helper()
	complete(t, r)
	want := fileContent(from, to)
	if r.status/100 != 2 || !slices.Equal(r.body, want) {
		t.Errorf("got %d and %d bytes (%.40q), want 2xx and %d (%.40q)", r.status, len(r.body), r.body, len(want), want)
	}
}
