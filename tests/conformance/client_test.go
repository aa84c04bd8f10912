package conformance

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

// request is what a case sends. The zero value is GET of the mount point.
type request struct {
	method   string // "" means GET
	target   string // below the mount point; "" means the mount point itself
	absolute bool   // target is sent as it is
	proto    string // "" means HTTP/1.1
	fields   []string
	body     []byte
	chunks   []string // sent chunked instead of body when not nil
	trailers []string
}

// bytes returns the request as it goes over the wire.
func (r request) bytes(s *server) []byte {
	var b bytes.Buffer
	method, target, proto := orElse(r.method, "GET"), r.target, orElse(r.proto, "HTTP/1.1")
	if !r.absolute {
		target = orElse(s.mount+target, "/")
	}
	fmt.Fprintf(&b, "%s %s %s\r\n", method, target, proto)
	if !hasField(r.fields, "Host") {
		fmt.Fprintf(&b, "Host: %s\r\n", s.addr)
	}
	for _, f := range r.fields {
		fmt.Fprintf(&b, "%s\r\n", f)
	}
	switch {
	case r.chunks != nil:
		b.WriteString("Transfer-Encoding: chunked\r\n\r\n")
		for _, chunk := range r.chunks {
			fmt.Fprintf(&b, "%x\r\n%s\r\n", len(chunk), chunk)
		}
		b.WriteString("0\r\n")
		for _, f := range r.trailers {
			fmt.Fprintf(&b, "%s\r\n", f)
		}
		b.WriteString("\r\n")
	case r.body != nil:
		fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n", len(r.body))
		b.Write(r.body)
	default:
		b.WriteString("\r\n")
	}
	return b.Bytes()
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func hasField(fields []string, name string) bool {
	for _, f := range fields {
		if n, _, _ := strings.Cut(f, ":"); strings.EqualFold(n, name) {
			return true
		}
	}
	return false
}

// Where the end of a body is (RFC 9112 §6.3).
const (
	byNothing = "no body"
	byLength  = "Content-Length"
	byChunks  = "chunked"
	byClose   = "end of connection"
)

// response is what came back, byte for byte as it was sent.
type response struct {
	proto   string
	status  int
	reason  string
	fields  [][2]string // names as sent, values without the space around
	interim []int       // statuses of the 1xx responses before it
	framing string
	length  int64 // of Content-Length, or -1
	body    []byte
	cut     error // why the body is not complete; nil when it is
}

// values returns the values of all fields of that name.
func (r *response) values(name string) (values []string) {
	for _, f := range r.fields {
		if strings.EqualFold(f[0], name) {
			values = append(values, f[1])
		}
	}
	return values
}

// value returns the values of the fields of that name, joined.
func (r *response) value(name string) string { return strings.Join(r.values(name), ", ") }

// conn is a connection to the server. Its errors end the test.
type conn struct {
	net.Conn
	t    *testing.T
	s    *server
	r    *bufio.Reader
	body io.Reader // of the response whose head was read last
}

func (s *server) dial(t *testing.T) *conn {
	t.Helper()
	c, err := net.DialTimeout("tcp", s.addr, *flagPatience)
	if err != nil {
		t.Fatalf("the server is gone: %v", err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(*flagPatience)); err != nil {
		t.Fatal(err)
	}
	return &conn{Conn: c, t: t, s: s, r: bufio.NewReader(c)}
}

// send sends the request. An error is not one yet: a server may answer before
// it has read everything.
func (c *conn) send(r request) {
	_, _ = c.Write(r.bytes(c.s))
}

// roundTrip sends the request and reads the whole response.
func (c *conn) roundTrip(r request) *response {
	c.t.Helper()
	c.send(r)
	answer := c.head(r.method)
	c.finish(answer)
	return answer
}

// head reads the head of the response to a request with that method.
func (c *conn) head(method string) *response {
	c.t.Helper()
	answer, err := c.tryHead(method)
	if err != nil {
		c.t.Fatalf("no response: %v", err)
	}
	return answer
}

// tryHead is head for cases where the connection may end instead.
func (c *conn) tryHead(method string) (*response, error) {
	var interim []int
	for {
		r, err := c.oneHead()
		if err != nil {
			return nil, err
		}
		if r.status >= 200 || r.status == 101 {
			r.interim = interim
			return r, c.frame(r, method)
		}
		interim = append(interim, r.status)
	}
}

func (c *conn) oneHead() (*response, error) {
	line, err := c.line()
	if err != nil {
		return nil, err
	}
	r := &response{length: -1}
	proto, rest, ok := strings.Cut(line, " ")
	code, reason, _ := strings.Cut(rest, " ")
	r.proto, r.reason = proto, reason
	if r.status, err = strconv.Atoi(code); err != nil || !ok || len(code) != 3 || !strings.HasPrefix(proto, "HTTP/1.") {
		return nil, fmt.Errorf("status line %.200q", line)
	}
	for {
		if line, err = c.line(); err != nil || line == "" {
			return r, err
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || name == "" || strings.ContainsAny(name, " \t") {
			return nil, fmt.Errorf("field line %.200q", line)
		}
		r.fields = append(r.fields, [2]string{name, strings.Trim(value, " \t")})
	}
}

// line reads a line that ends in CRLF, as every line of a head has to.
func (c *conn) line() (string, error) {
	line, err := c.r.ReadString('\n')
	if err != nil {
		return "", err
	}
	text, ok := strings.CutSuffix(line, "\r\n")
	if !ok || strings.ContainsAny(text, "\r\x00") {
		return "", fmt.Errorf("line %.200q of a head", line)
	}
	return text, nil
}

// frame finds where the body of r ends, and refuses what is ambiguous.
func (c *conn) frame(r *response, method string) error {
	lengths, codings := r.values("Content-Length"), r.values("Transfer-Encoding")
	switch {
	case len(lengths) > 1 || len(codings) > 1 || len(lengths)+len(codings) > 1:
		return fmt.Errorf("ambiguous framing: Content-Length %q, Transfer-Encoding %q", lengths, codings)
	case len(lengths) == 1:
		n, err := strconv.ParseUint(lengths[0], 10, 62)
		if err != nil {
			return fmt.Errorf("Content-Length %q", lengths[0])
		}
		r.length = int64(n)
	case len(codings) == 1 && codings[0] != "chunked":
		return fmt.Errorf("Transfer-Encoding %q", codings[0])
	}
	switch {
	case method == "HEAD" || r.status == 204 || r.status == 304:
		r.framing, c.body = byNothing, strings.NewReader("")
	case len(codings) == 1:
		r.framing, c.body = byChunks, &chunkReader{c: c}
	case r.length >= 0:
		r.framing, c.body = byLength, &lengthReader{c.r, r.length}
	default:
		r.framing, c.body = byClose, c.r
	}
	return nil
}

// finish reads the rest of the body.
func (c *conn) finish(r *response) {
	rest, err := io.ReadAll(c.body)
	r.body = append(r.body, rest...)
	r.cut = err
}

// expect reads exactly the body bytes of want, and no more.
func (c *conn) expect(want string) {
	c.t.Helper()
	got := make([]byte, len(want))
	n, err := io.ReadFull(c.body, got)
	if err != nil || string(got) != want {
		c.t.Fatalf("got body %q (%v), want %q", got[:n], err, want)
	}
}

// mustBeReusable sends another request on the same connection: whatever was
// left over from the response before would be taken for its head.
func (c *conn) mustBeReusable() {
	c.t.Helper()
	r := c.roundTrip(request{target: "/process/pid"})
	if r.status != 200 || r.cut != nil {
		c.t.Fatalf("next request on the connection: got %d %q, %v", r.status, r.body, r.cut)
	}
	if _, err := strconv.Atoi(string(r.body)); err != nil {
		c.t.Fatalf("next response on the connection: got body %q, want a number", r.body)
	}
}

// lengthReader reads a body of left bytes; their lack is an error.
type lengthReader struct {
	r    io.Reader
	left int64
}

func (b *lengthReader) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	if errors.Is(err, io.EOF) && b.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// chunkReader reads a chunked body (RFC 9112 §7.1), strictly.
type chunkReader struct {
	c    *conn
	left int64
	ends bool
}

func (b *chunkReader) Read(p []byte) (int, error) {
	if b.ends {
		return 0, io.EOF
	}
	if b.left == 0 {
		line, err := b.c.line()
		if err != nil {
			return 0, unexpected(err)
		}
		size, err := strconv.ParseUint(line, 16, 62)
		if err != nil {
			return 0, fmt.Errorf("chunk size %.100q", line)
		}
		if size == 0 {
			b.ends = true
			for line, err = b.c.line(); err == nil && line != ""; line, err = b.c.line() {
			}
			if err == nil {
				err = io.EOF
			} else {
				err = unexpected(err)
			}
			return 0, err
		}
		b.left = int64(size)
	}
	n, err := b.c.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	if err == nil && b.left == 0 {
		var line string
		if line, err = b.c.line(); err == nil && line != "" {
			err = fmt.Errorf("%.100q after a chunk", line)
		}
	}
	return n, unexpected(err)
}

// unexpected turns the end of the connection into the error that it is here.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
