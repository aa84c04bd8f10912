package http2

import (
	"fmt"
	"strings"
	"testing"
)

// What is a request, and what is malformed (RFC 9113 sections 8.1 to 8.3).
func TestRequests(t *testing.T) {
	const malformed = "reset"
	plain := getFields("/a?b")
	with := func(more ...string) []string { return append(getFields("/"), more...) }
	for _, row := range []struct {
		name   string
		fields []string
		body   bool
		want   string
	}{
		{"plain", plain, false, `GET https h /a?b -1 false []`},
		{"fields", with("a", "1", "a", "2", "cookie", "c"), false, `GET https h / -1 false [a=1 a=2 cookie=c]`},
		{"a body", with("content-length", "2"), true, `GET https h / 2 true []`},
		{"a body of unknown length", plain, true, `GET https h /a?b -1 true []`},
		{"CONNECT", []string{":method", "CONNECT", ":authority", "h:1"}, false, `CONNECT  h:1  -1 false []`},
		{"CONNECT with a path", []string{":method", "CONNECT", ":authority", "h:1", ":path", "/"}, false, malformed},
		{"OPTIONS *", []string{":method", "OPTIONS", ":scheme", "https", ":path", "*", ":authority", "h"}, false, `OPTIONS https h * -1 false []`},
		{"GET *", []string{":method", "GET", ":scheme", "https", ":path", "*"}, false, malformed},
		{"no authority", []string{":method", "GET", ":scheme", "https", ":path", "/", "host", "h"}, false, `GET https  / -1 false [host=h]`},
		{"no method", []string{":scheme", "https", ":path", "/"}, false, malformed},
		{"no scheme", []string{":method", "GET", ":path", "/"}, false, malformed},
		{"another scheme", []string{":method", "GET", ":scheme", "ftp", ":path", "/"}, false, malformed},
		{"no path", []string{":method", "GET", ":scheme", "https"}, false, malformed},
		{"an empty path", []string{":method", "GET", ":scheme", "https", ":path", ""}, false, malformed},
		{"a path without a slash", []string{":method", "GET", ":scheme", "https", ":path", "a"}, false, malformed},
		{"an absolute path", []string{":method", "GET", ":scheme", "https", ":path", "https://h/"}, false, malformed},
		{"a pseudo-field twice", append([]string{":path", "/x"}, plain...), false, malformed},
		{"an empty one twice", append([]string{":authority", ""}, plain...), false, malformed},
		{"an unknown one", append([]string{":what", "/x"}, plain...), false, malformed},
		{"one of responses", append([]string{":status", "200"}, plain...), false, malformed},
		{"one behind a field", append([]string{"a", "1"}, plain...), false, malformed},
		{"upper case", with("A", "1"), false, malformed},
		{"a space in a name", with("a b", "1"), false, malformed},
		{"a name without a byte", with("", "1"), false, malformed},
		{"a colon in a name", with("a:", "1"), false, malformed},
		{"CR", with("a", "1\r2"), false, malformed},
		{"LF", with("a", "1\n2"), false, malformed},
		{"NUL", with("a", "1\x002"), false, malformed},
		{"bytes beyond ASCII", with("a", "\xe4"), false, "GET https h / -1 false [a=\xe4]"},
		{"connection", with("connection", "close"), false, malformed},
		{"keep-alive", with("keep-alive", "1"), false, malformed},
		{"proxy-connection", with("proxy-connection", "close"), false, malformed},
		{"transfer-encoding", with("transfer-encoding", "chunked"), true, malformed},
		{"upgrade", with("upgrade", "h2c"), false, malformed},
		{"te: trailers", with("te", "trailers"), false, `GET https h / -1 false [te=trailers]`},
		{"te: gzip", with("te", "gzip"), false, malformed},
		{"a length without a body", with("content-length", "1"), false, malformed},
		{"no length and no body", with("content-length", "0"), false, `GET https h / 0 false []`},
		{"two lengths", with("content-length", "2", "content-length", "3"), true, malformed},
		{"the same length twice", with("content-length", "2", "content-length", "2"), true, malformed},
		{"a length that is none", with("content-length", "+2"), true, malformed},
		{"a length beyond numbers", with("content-length", "9223372036854775808"), true, malformed},
		{"less than the length", with("content-length", "3"), true, malformed},
		{"more than the length", with("content-length", "1"), true, malformed},
		{"100-continue", with("expect", "100-Continue"), true, `GET https h / -1 true [expect=100-Continue]`},
		{"another expectation", with("expect", "x"), false, `GET https h / -1 false [expect=x]`},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			p := connect(t, Options{Handler: func(st *Stream) {
				var fields []string
				for _, f := range st.Fields {
					fields = append(fields, f.Name+"="+f.Value)
				}
				buffer := make([]byte, 10)
				for st.HasBody {
					if _, err := st.Read(buffer); err != nil {
						break
					}
				}
				_ = st.WriteHead(200, nil, false)
				fmt.Fprintf(st, "%s %s %s %s %d %v %v", st.Method, st.Scheme, st.Authority, st.Path, st.ContentLength, st.HasBody, fields)
				_ = st.End()
			}})
			p.begin()
			flags := uint8(flagEndHeaders)
			if !row.body {
				flags |= flagEndStream
			}
			p.sendFrame(frameHeaders, flags, 1, p.fields(row.fields...))
			if row.body {
				p.sendFrame(frameData, flagEndStream, 1, []byte("ab"))
			}
			if row.want == malformed {
				if code := p.resetCode(1); code != codeProtocol {
					t.Errorf("RST_STREAM %d", code)
				}
				return
			}
			if _, body := p.ended(1); body != row.want {
				t.Errorf("the handler saw %q, want %q", body, row.want)
			}
		})
	}
}

// A head within the bound is answered, one beyond it gets a 431, and the table that both
// sides keep is the same afterwards: a field that is repeated is counted each time.
func TestHeaderLimit(t *testing.T) {
	for _, row := range []struct {
		name   string
		value  int
		repeat int
		want   string
	}{
		{"within", 1000, 1, "200"},
		{"the most", 2048 - 4*32 - 7 - 3 - 7 - 5 - 5 - 1 - 10 - 1 - 32 - 4, 1, "200"},
		{"a byte more", 2048 - 4*32 - 7 - 3 - 7 - 5 - 5 - 1 - 10 - 1 - 32 - 4 + 1, 1, "431"},
		{"one field", 30000, 1, "431"},
		{"a bomb", 900, 10_000, "431"}, // of a byte for each
	} {
		t.Run(row.name, func(t *testing.T) {
			p := connect(t, Options{MaxHeaderBytes: 2048})
			p.begin()
			fields := getFields("/")
			for range row.repeat {
				fields = append(fields, "name", strings.Repeat("v", row.value))
			}
			p.sendHead(1, flagEndStream, p.fields(fields...))
			if head, _ := p.ended(1); !strings.Contains(head, ":status: "+row.want) {
				t.Errorf("head %q, want %s", head, row.want)
			}
			p.get(3, "/")
			if head, body := p.ended(3); !strings.Contains(head, ":status: 200") || body != "ok" {
				t.Errorf("the next: head %q, body %q", head, body)
			}
		})
	}
}

// sendHead sends a block in as many frames as it takes.
func (p *peer) sendHead(stream uint32, flags uint8, block []byte) {
	kind := frameHeaders
	for {
		n := min(len(block), maxFrameReceived)
		if n == len(block) {
			flags |= flagEndHeaders
		}
		p.sendFrame(kind, flags, stream, block[:n])
		if block = block[n:]; len(block) == 0 {
			return
		}
		kind, flags = frameContinuation, 0
	}
}

// CONTINUATION has an end, in bytes (CVE-2024-27316).
func TestContinuationFlood(t *testing.T) {
	for _, row := range []struct {
		name  string
		bytes int
		ends  bool
	}{{"within", maxBlock - 100, false}, {"beyond", maxBlock + 1, true}} {
		t.Run(row.name, func(t *testing.T) {
			p := connect(t, Options{})
			p.begin()
			block := p.fields(getFields("/")...)
			for len(block) < row.bytes { // literals that nobody has to remember
				n := min(4000, row.bytes-len(block)-7)
				if n < 200 {
					break
				}
				block = appendString(appendName(block, 0, 4, 0, "abc"), []byte(strings.Repeat("v", n)))
			}
			if row.ends {
				block = append(block, appendString(appendName(nil, 0, 4, 0, "abc"), []byte(strings.Repeat("v", 300)))...)
			}
			p.sendHead(1, flagEndStream, block)
			if row.ends {
				if code := p.gone(); code != int(codeEnhanceYourCalm) {
					t.Errorf("GOAWAY %d", code)
				}
				return
			}
			if head, _ := p.ended(1); !strings.Contains(head, ":status: 431") {
				t.Errorf("head %q", head)
			}
		})
	}
}
