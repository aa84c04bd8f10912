package pybridge

import (
	"bufio"
	"bytes"
	"errors"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

func TestApplyHead(t *testing.T) {
	tests := []struct {
		name   string
		head   string
		length int
		want   string // status line and fields as sent, Date and Server apart; "" for an error
	}{
		{"status alone", "200 OK", -1, "HTTP/1.1 200 OK|"},
		{"reason of the application", "404 Nothing Here", -1, "HTTP/1.1 404 Nothing Here|"},
		{"no reason: the usual one", "200 ", -1, "HTTP/1.1 200 OK|"},
		{"a status that nobody knows", "299 Fine", -1, "HTTP/1.1 299 Fine|"},
		{"spelling is kept", "200 OK\nETag\n\"x\"\nX-FOO-bar\ny", -1, "HTTP/1.1 200 OK|ETag: \"x\"|X-FOO-bar: y|"},
		{"length", "200 OK\nContent-Length\n5", 5, "HTTP/1.1 200 OK|Content-Length: 5|"},
		{"length, other spelling", "200 OK\ncontent-LENGTH\n5", 5, "HTTP/1.1 200 OK|Content-Length: 5|"},
		{"length zero", "200 OK\nContent-Length\n0", 0, "HTTP/1.1 200 OK|Content-Length: 0|"},
		{"no content type of our own", "200 OK\nContent-Length\n2\nX\ny", 2, "HTTP/1.1 200 OK|Content-Length: 2|X: y|"},
		{"two of a name", "200 OK\nVary\na\nVary\nb", -1, "HTTP/1.1 200 OK|Vary: a|Vary: b|"},
		{"cookies", "200 OK\nSet-Cookie\na=1; Path=/\nSet-Cookie\na=2; Path=/x", -1, "HTTP/1.1 200 OK|Set-Cookie: a=1; Path=/|Set-Cookie: a=2; Path=/x|"},
		{"empty value", "200 OK\nX-Empty\n\nY\nz", -1, "HTTP/1.1 200 OK|X-Empty: |Y: z|"},
		{"empty value at the end", "200 OK\nX-Empty\n", -1, "HTTP/1.1 200 OK|X-Empty: |"},
		{"high bytes", "200 Tr\xe8s bien\nX\n\xe9", -1, "HTTP/1.1 200 Tr\xe8s bien|X: \xe9|"},
		{"204 has no length", "204 No Content\nContent-Length\n5", 5, "HTTP/1.1 204 No Content|"},
		{"server of the application", "200 OK\nServer\nmine", -1, "HTTP/1.1 200 OK|"},

		{"nothing", "", 0, ""},
		{"no number", "OK", 0, ""},
		{"two digits", "20 OK", 0, ""},
		{"no space", "200OK", 0, ""},
		{"informational", "100 Continue", 0, ""},
		{"switching protocols", "101 Switching Protocols", 0, ""},
		{"name without a value", "200 OK\nX", 0, ""},
		{"no name", "200 OK\n\nvalue", 0, ""},
		{"length is no number", "200 OK\nContent-Length\nfive", 0, ""},
		{"length below zero", "200 OK\nContent-Length\n-1", 0, ""},
		{"length with a sign", "200 OK\nContent-Length\n+5", 0, ""},
		{"empty length", "200 OK\nContent-Length\n", 0, ""},
		{"length beyond 62 bits", "200 OK\nContent-Length\n9223372036854775807", 0, ""},
		{"transfer-encoding", "200 OK\nTransfer-Encoding\nchunked", 0, ""},
		{"transfer-encoding, other spelling", "200 OK\ntRANSFER-eNCODING\nchunked", 0, ""},
		{"connection", "200 OK\nConnection\nclose", 0, ""},
		{"keep-alive", "200 OK\nKeep-Alive\ntimeout=5", 0, ""},
		{"upgrade", "200 OK\nUpgrade\nh2c", 0, ""},
		{"trailer", "200 OK\nTrailer\nX", 0, ""},
		{"a colon in a name", "200 OK\nTransfer-Encoding: chunked, X\ny", 0, ""},
		{"a space after a name", "200 OK\nTransfer-Encoding \nchunked", 0, ""},
		{"a carriage return in a name", "200 OK\nX\rTransfer-Encoding\nchunked", 0, ""},
		{"a carriage return in a value", "200 OK\nX\ny\rTransfer-Encoding: chunked", 0, ""},
		{"NUL in a value", "200 OK\nX\ny\x00z", 0, ""},
		{"a carriage return in the reason", "200 OK\rX: y", 0, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var resp fasthttp.Response
			length, err := applyHead(&resp, []byte(tt.head))
			if tt.want == "" {
				if !errors.Is(err, ErrApplication) {
					t.Errorf("applyHead(%q) = %v, want ErrApplication; it sends %q", tt.head, err, resp.Header.String())
				}
				return
			}
			if err != nil || length != tt.length {
				t.Fatalf("applyHead(%q) = %d, %v, want %d", tt.head, length, err, tt.length)
			}
			if got := sentHead(&resp); got != tt.want {
				t.Errorf("applyHead(%q) sends\n%q, want\n%q", tt.head, got, tt.want)
			}
		})
	}
}

// sentHead returns the head of resp as it is sent, | for the line ends. The
// fields that fasthttp adds by itself, and the final empty line, are left out.
func sentHead(resp *fasthttp.Response) string {
	if resp.Header.ContentLength() == 0 && !resp.Header.ConnectionClose() && len(resp.Header.Peek("Content-Length")) == 0 {
		resp.Header.SetContentLength(-2) // as it is before a body is known
	}
	var b strings.Builder
	for line := range strings.SplitSeq(strings.TrimSuffix(resp.Header.String(), "\r\n\r\n"), "\r\n") {
		name, _, _ := strings.Cut(line, ":")
		switch name {
		case "Date", "Server", "Connection":
		default:
			b.WriteString(line + "|")
		}
	}
	return b.String()
}

// TestApplyHeadLeavesNothing: a response that is used again has no trace of the
// application's head after Reset.
func TestApplyHeadLeavesNothing(t *testing.T) {
	var resp fasthttp.Response
	if _, err := applyHead(&resp, []byte("404 Odd\nX\ny\nContent-Length\n7")); err != nil {
		t.Fatal(err)
	}
	resp.Reset()
	var fresh fasthttp.Response
	if got, want := resp.Header.String(), fresh.Header.String(); got != want {
		t.Errorf("after Reset %q, a fresh one %q", got, want)
	}
}

// FuzzApplyHead: whatever a worker process sends for a head, what a client
// reads of it has the same status and the same fields in the same order of
// values, and nothing more: no field, no framing, no second response.
func FuzzApplyHead(f *testing.F) {
	for _, seed := range []string{
		"200 OK\nContent-Type\ntext/plain\nContent-Length\n5", "204 No Content\nContent-Length\n5", "304 Not Modified\nETag\n\"x\"",
		"200 OK\nTransfer-Encoding: x\nchunked", "200 OK\nX\ny\r\nTransfer-Encoding: chunked", "200 OK\r\nX: y\nA\nb",
		"200 OK\nSet-Cookie\na\nSet-Cookie\nb\nVary\nx\nVary\ny", "200 OK\nX\n\r\n\r\nHTTP/1.1 200 OK", "999 \n:\n:", "200 OK\nServer\nx\nDate\ny\nContent-Encoding\ngzip",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, head []byte) {
		var resp fasthttp.Response
		length, err := applyHead(&resp, head)
		if err != nil {
			return
		}
		if status := resp.StatusCode(); length < 0 && status != 204 && status != 304 {
			resp.Header.SetContentLength(0)
		}
		wire := append([]byte(nil), resp.Header.Header()...)
		reader := bufio.NewReader(bytes.NewReader(wire))
		got, err := http.ReadResponse(reader, &http.Request{Method: "HEAD"})
		if err != nil {
			t.Fatalf("%q is sent as %q, which net/http does not read: %v", head, wire, err)
		}
		if n := reader.Buffered(); n != 0 {
			t.Fatalf("%q is sent as %q: %d bytes follow the head", head, wire, n)
		}
		lines := strings.Split(string(head), "\n")
		_, reason, _ := strings.Cut(lines[0], " ")
		if want := "HTTP/1.1 " + lines[0]; reason != "" && got.Proto+" "+got.Status != want {
			t.Fatalf("status %q, want %q", got.Status, lines[0])
		}
		if got.TransferEncoding != nil || got.Close || len(got.Trailer) > 0 {
			t.Fatalf("%q changes the framing: %q", head, wire)
		}
		want := http.Header{}
		for i := 1; i+1 < len(lines); i += 2 {
			name := textproto.CanonicalMIMEHeaderKey(lines[i])
			want[name] = append(want[name], textproto.TrimString(lines[i+1]))
		}
		for _, name := range []string{"Date", "Server", "Content-Length", "Connection"} { // the server's own, or checked above
			delete(want, name)
			delete(got.Header, name)
		}
		for _, name := range []string{"Content-Type", "Content-Encoding"} { // fasthttp has room for one: the last
			if n := len(want[name]); n > 0 {
				want[name] = want[name][n-1:]
				if want[name][0] == "" {
					delete(want, name)
					delete(got.Header, name)
				}
			}
		}
		for name, values := range want {
			if !slices.Equal(got.Header[name], values) {
				t.Fatalf("%q is sent as %q: %s = %q, want %q", head, wire, name, got.Header[name], values)
			}
			delete(got.Header, name)
		}
		if len(got.Header) > 0 {
			t.Fatalf("%q is sent as %q: fields %v come from nowhere", head, wire, got.Header)
		}
	})
}
