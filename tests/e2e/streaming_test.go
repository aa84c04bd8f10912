package e2e

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"overlay/tests/e2e/program"
	"overlay/tlsauth/tlstest"
)

// streamedBody is what /up/digest says of a body.
type streamedBody struct {
	Length   int
	SHA256   string
	Declared *string
}

// sameAs checks it against the body that was sent, with a length or in chunks.
func (b streamedBody) sameAs(t *testing.T, data []byte, chunked bool) {
	t.Helper()
	sum := sha256.Sum256(data)
	if b.Length != len(data) || b.SHA256 != hex.EncodeToString(sum[:]) {
		t.Errorf("the application read %d bytes that are not the %d sent", b.Length, len(data))
	}
	if chunked != (b.Declared == nil) || !chunked && *b.Declared != fmt.Sprint(len(data)) {
		t.Errorf("CONTENT_LENGTH is %v", b.Declared)
	}
}

// streamedSite is a running overlay that streams the bodies below /up.
type streamedSite struct {
	*program.Server
	https string // https://localhost:port
	trust *tls.Config
}

// eachStreamed runs test with each interpreter, in worker processes and inside the
// server process.
func eachStreamed(t *testing.T, test func(t *testing.T, s *streamedSite)) {
	ca := tlstest.NewCA(t)
	certificate, key := ca.Issue(t).Files(t)
	args := []string{
		"--application-type", "module", "--python-path", app(""), "--stream-request-body", "/up/*", "--limit-request-body", "40M", "--access-log",
		"--socket-timeout", "20", "--https-port", "0", "--ssl-certificate-file", certificate, "--ssl-certificate-key-file", key,
	}
	start := func(t *testing.T, p *program.Program, python interpreter, more ...string) {
		s := &streamedSite{trust: &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost"}}
		s.Server = p.Start(t, program.Config{Args: program.Patient(append(append(args, "--python", python.file), append(more, "arriving")...)...)})
		found := regexp.MustCompile(`https://[^:]+:([0-9]+)/`).FindStringSubmatch(s.Log())
		if found == nil {
			t.Fatalf("no address for HTTPS: %s", s.Log())
		}
		s.https = "https://127.0.0.1:" + found[1]
		test(t, s)
	}
	eachInterpreter(t, func(t *testing.T, python interpreter) {
		t.Run("worker", func(t *testing.T) { start(t, overlay, python) })
		if overlayCgo != nil && strings.HasPrefix(python.name, "cpython") {
			t.Run("embedded", func(t *testing.T) { start(t, overlayCgo, python, "--embedded-mode") })
		}
	})
}

// dialStreamed connects to the server; what the connection does fails after a minute.
func (s *streamedSite) dial(t *testing.T) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	return conn, bufio.NewReader(conn)
}

// clients are ways to reach the site; each has connections of its own.
func (s *streamedSite) clients(t *testing.T) map[string]*http.Client {
	plain := &http.Transport{}
	h1 := &http.Transport{TLSClientConfig: s.trust.Clone()}
	h2 := &http.Transport{TLSClientConfig: s.trust.Clone(), ForceAttemptHTTP2: true}
	t.Cleanup(func() {
		for _, transport := range []*http.Transport{plain, h1, h2} {
			transport.CloseIdleConnections()
		}
	})
	return map[string]*http.Client{"plain": {Transport: plain}, "TLS": {Transport: h1}, "HTTP/2": {Transport: h2}}
}

func (s *streamedSite) url(name, path string) string {
	if name == "plain" {
		return "http://" + s.Addr + path
	}
	return s.https + path
}

// awaitLog polls until the log of s has text so many times.
func (s *streamedSite) awaitLog(t *testing.T, text string, times int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); strings.Count(s.Log(), text) < times; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited a minute for %q in the log, %d times", text, times)
		}
	}
}

// TestStreamedBodies: bodies that the application reads as they arrive, over each
// protocol.
func TestStreamedBodies(t *testing.T) {
	large := make([]byte, 3<<20)
	for i := range large {
		large[i] = byte(i * i >> 7)
	}
	eachStreamed(t, func(t *testing.T, s *streamedSite) {
		for name, client := range s.clients(t) {
			for _, data := range [][]byte{nil, []byte("a"), large} {
				for _, chunked := range []bool{false, true} {
					t.Run(fmt.Sprintf("%s, %d bytes, chunked %v", name, len(data), chunked), func(t *testing.T) {
						request, _ := http.NewRequestWithContext(t.Context(), "POST", s.url(name, "/up/digest"), bytes.NewReader(data))
						if chunked {
							request.Body, request.ContentLength = io.NopCloser(bytes.NewReader(data)), -1
						}
						response, err := client.Do(request)
						if err != nil {
							t.Fatal(err)
						}
						defer response.Body.Close()
						var got streamedBody
						if err := json.NewDecoder(response.Body).Decode(&got); err != nil {
							t.Fatal(err)
						}
						if len(data) > 0 || !chunked { // the client sends no empty chunked body
							got.sameAs(t, data, chunked)
						}
					})
				}
			}
			t.Run(name+", line by line", func(t *testing.T) {
				// Each line is answered before the next one is sent.
				body, lines := io.Pipe()
				request, _ := http.NewRequestWithContext(t.Context(), "POST", s.url(name, "/up/lines"), body)
				done := make(chan *http.Response, 1)
				go func() {
					defer close(done)
					response, err := client.Do(request)
					if err != nil {
						t.Error(err)
						return
					}
					done <- response
				}()
				var reader *bufio.Reader
				for i := range 5 {
					line := fmt.Sprintf("line %d\n", i)
					if _, err := io.WriteString(lines, line); err != nil {
						t.Fatal(err)
					}
					if i == 0 {
						response, ok := <-done
						if !ok {
							return
						}
						defer response.Body.Close()
						reader = bufio.NewReader(response.Body)
					}
					if got, err := reader.ReadString('\n'); err != nil || got != "got "+line {
						t.Fatalf("got %q, %v, want the answer to %q", got, err, line)
					}
				}
				_ = lines.Close()
				if got, err := io.ReadAll(reader); err != nil || string(got) != "end\n" {
					t.Errorf("at the end: %q, %v", got, err)
				}
			})
			t.Run(name+", the client leaves", func(t *testing.T) {
				before := strings.Count(s.Log(), " 499 ")
				body, data := io.Pipe()
				ctx, leave := context.WithCancel(t.Context())
				request, _ := http.NewRequestWithContext(ctx, "POST", s.url(name, "/up/digest"), body)
				request.ContentLength = 1 << 20
				done := make(chan struct{})
				go func() {
					defer close(done)
					response, err := client.Do(request)
					if err != nil {
						return
					}
					// The client may be so slow to leave that it reads what nobody was to read.
					if response.StatusCode != 499 {
						t.Errorf("got an answer, %s", response.Status)
					}
					_ = response.Body.Close()
				}()
				_, _ = data.Write(bytes.Repeat([]byte("x"), 100_000))
				leave()
				// Over HTTP/1 the client waits until it has read what it was sending.
				_ = data.CloseWithError(context.Canceled)
				<-done
				s.awaitLog(t, " 499 ", before+1)
			})
		}
		s.awaitLog(t, "read ended with ConnectionResetError", 3)
		noComplaint(t, s.Server)
	})
}

// TestStreamedByteByByte: what a client sees on its connection when it sends a body that
// is streamed.
func TestStreamedByteByByte(t *testing.T) {
	const head = "POST %s HTTP/1.1\r\nHost: h\r\n%s\r\n\r\n"
	eachStreamed(t, func(t *testing.T, s *streamedSite) {
		for _, row := range []struct {
			name, path, fields string
			body               string // sent once the first response is there, if that is 100
			statuses           []int
			closed             bool
			text               string // in the last answer
		}{
			{"read", "/up/digest", "Expect: 100-continue\r\nContent-Length: 3", "abc", []int{100, 200}, false, `"length": 3`},
			{"chunked, read", "/up/digest", "Expect: 100-continue\r\nTransfer-Encoding: chunked", "3\r\nabc\r\n0\r\n\r\n", []int{100, 200}, false, `"length": 3`},
			{"not read", "/up/deaf", "Expect: 100-continue\r\nContent-Length: 3", "", []int{200}, true, "answered"},
			{"small and not read", "/up/deaf", "Content-Length: 3\r\n\r\nabc", "", []int{200}, false, "answered"},
			{"read in part", "/up/part", "Content-Length: 100\r\n\r\n" + strings.Repeat("a", 50), "", []int{200}, true, "answered"},
			{"over the limit in chunks", "/up/digest", "Transfer-Encoding: chunked", chunks(41<<20, 1<<20), []int{413}, true, ""},
			{"malformed chunk", "/up/digest", "Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n", "", []int{400}, true, ""},
			{"received whole elsewhere", "/whole/digest", "Content-Length: 3\r\n\r\nabc", "", []int{200}, false, `"length": 3`},
		} {
			t.Run(row.name, func(t *testing.T) {
				conn, reader := s.dial(t)
				request := fmt.Sprintf(head, row.path, row.fields)
				if strings.Contains(row.fields, "\r\n\r\n") {
					request = strings.TrimSuffix(request, "\r\n\r\n")
				}
				if _, err := io.WriteString(conn, request); err != nil {
					t.Fatal(err)
				}
				if row.statuses[0] != 100 && row.body != "" {
					go func() { _, _ = io.WriteString(conn, row.body) }()
				}
				var text []byte
				for _, want := range row.statuses {
					response, err := http.ReadResponse(reader, nil)
					if err != nil {
						t.Fatal(err)
					}
					if response.StatusCode != want {
						t.Fatalf("status %d, want %v", response.StatusCode, row.statuses)
					}
					if want == 100 {
						if _, err := io.WriteString(conn, row.body); err != nil {
							t.Fatal(err)
						}
						continue
					}
					text, err = io.ReadAll(response.Body)
					if err != nil {
						t.Errorf("the answer is cut: %v", err)
					}
				}
				if !strings.Contains(string(text), row.text) {
					t.Errorf("got %q, want %q in it", text, row.text)
				}
				if row.closed {
					if n, err := io.Copy(io.Discard, reader); n > 0 || err != nil && !strings.Contains(err.Error(), "reset") {
						t.Errorf("behind the answer: %d bytes, %v", n, err)
					}
					return
				}
				if _, err := io.WriteString(conn, "GET /open?x HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
					t.Fatal(err)
				}
				if response, err := http.ReadResponse(reader, nil); err != nil || response.StatusCode != 200 {
					t.Errorf("the next request: %v, %v", response, err)
				}
			})
		}
	})
}

// TestStreamedTooLate: a body that is asked for behind the beginning of the answer was not
// invited, and nobody waits for it: the answer is cut.
func TestStreamedTooLate(t *testing.T) {
	eachStreamed(t, func(t *testing.T, s *streamedSite) {
		conn, reader := s.dial(t)
		if _, err := io.WriteString(conn, "POST /up/late?late HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(reader, nil)
		if err != nil || response.StatusCode != 200 {
			t.Fatal(response, err)
		}
		body := bufio.NewReader(response.Body)
		if line, err := body.ReadString('\n'); err != nil || line != "begun\n" {
			t.Fatalf("got %q, %v", line, err)
		}
		if response, err := http.Get("http://" + s.Addr + "/open?late"); err != nil {
			t.Fatal(err)
		} else {
			_ = response.Body.Close()
		}
		if rest, err := io.ReadAll(body); err == nil {
			t.Errorf("the answer is complete, with %q", rest)
		}
	})
}

// TestStreamedTimeouts: a client that is silent or too slow while the application reads gets
// 408, one that keeps to its rate but takes longer than the application may gets 504; the one
// thread is free again each time.
func TestStreamedTimeouts(t *testing.T) {
	hosts := map[string]*program.Program{"worker": overlay}
	if overlayCgo != nil {
		hosts["embedded"] = overlayCgo
	}
	for name, p := range hosts {
		args := []string{"--python", anInterpreter(t).file, "--application-type", "module", "--python-path", app(""),
			"--stream-request-body", "/up/*", "--access-log", "--threads", "1", "--socket-timeout", "2", "--request-timeout", "6", "--body-timeout", "1"}
		if name == "embedded" {
			args = append(args, "--embedded-mode")
		}
		t.Run(name, func(t *testing.T) {
			s := &streamedSite{Server: p.Start(t, program.Config{Args: program.Patient(append(args, "arriving")...)})}
			for _, row := range []struct {
				name   string
				each   int // bytes sent each tenth of a second
				status int
			}{
				{"silent", 0, 408},
				{"too slow", 1, 408},
				{"too long", 1000, 504},
			} {
				t.Run(row.name, func(t *testing.T) {
					conn, reader := s.dial(t)
					if _, err := io.WriteString(conn, "POST /up/digest HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n"); err != nil {
						t.Fatal(err)
					}
					answered := make(chan struct{})
					go func() {
						for {
							select {
							case <-answered:
								return
							case <-time.After(100 * time.Millisecond):
								_, _ = conn.Write(make([]byte, row.each))
							}
						}
					}()
					response, err := http.ReadResponse(reader, nil)
					close(answered)
					if err != nil || response.StatusCode != row.status {
						t.Fatalf("got %v, %v, want %d", response, err, row.status)
					}
					s.awaitLog(t, fmt.Sprintf(`"POST /up/digest HTTP/1.1" %d `, row.status), 1)
					next, err := http.Post("http://"+s.Addr+"/up/digest", "text/plain", strings.NewReader("next"))
					if err != nil || next.StatusCode != 200 {
						t.Fatalf("the next request: %v, %v", next, err)
					}
					_ = next.Body.Close()
				})
			}
		})
	}
}

// chunks returns a chunked body of size bytes, without its end.
func chunks(size, each int) string {
	one := fmt.Sprintf("%x\r\n%s\r\n", each, strings.Repeat("c", each))
	return strings.Repeat(one, size/each)
}

// TestStreamedBackPressure: what the application does not read stays with the client.
func TestStreamedBackPressure(t *testing.T) {
	const size = 36 << 20
	data := bytes.Repeat([]byte("0123456789abcdef"), size/16)
	eachStreamed(t, func(t *testing.T, s *streamedSite) {
		conn, reader := s.dial(t)
		if err := conn.(*net.TCPConn).SetWriteBuffer(64 << 10); err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fprintf(conn, "POST /up/gate?pressure HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", size); err != nil {
			t.Fatal(err)
		}
		s.awaitLog(t, "waiting at pressure", 1)
		// It waits, and reads nothing: writing must come to an end.
		sent := 0
		for {
			_ = conn.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
			n, err := conn.Write(data[sent:min(sent+64<<10, size)])
			if sent += n; err != nil {
				break
			}
			if sent == size {
				t.Fatal("the server took all of a body that nobody reads")
			}
		}
		// The buffers of the kernel are larger than ours.
		if sent > 16<<20 {
			t.Errorf("the server and the kernel hold %d bytes", sent)
		}
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		if response, err := http.Get("http://" + s.Addr + "/open?pressure"); err != nil {
			t.Fatal(err)
		} else {
			_ = response.Body.Close()
		}
		if _, err := conn.Write(data[sent:]); err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatal(err)
		}
		var got streamedBody
		if err := json.NewDecoder(response.Body).Decode(&got); err != nil {
			t.Fatal(err)
		}
		got.sameAs(t, data, false)
	})
}
