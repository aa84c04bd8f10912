package static

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// testServer is a Handler behind a real listener, as cmd/overlay runs it.
type testServer struct {
	t    *testing.T
	addr string
	h    *Handler
}

func serve(t *testing.T, o Options) *testServer {
	t.Helper()
	h, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return &testServer{t, serveHandler(t, h.Handle, h), h}
}

func serveHandler(t *testing.T, handle fasthttp.RequestHandler, h *Handler) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &fasthttp.Server{Handler: handle, StreamRequestBody: true, DisablePreParseMultipartForm: true,
		CloseOnShutdown: true, Logger: quiet{}}
	done := make(chan error, 1)
	go func() { done <- s.Serve(ln) }()
	t.Cleanup(func() {
		s.Shutdown()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if h != nil {
			h.Close()
		}
	})
	return ln.Addr().String()
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}

// answer is a response as it came, its body read to the end.
type answer struct {
	status int
	header http.Header
	body   string
	err    error // of the body, when it was cut short
}

// do sends one request whose target is sent as it stands. Each further string is a
// header line.
func (s *testServer) do(method, target string, lines ...string) answer {
	s.t.Helper()
	return roundTrip(s.t, s.addr, method, target, lines...)
}

func (s *testServer) get(target string, lines ...string) answer {
	s.t.Helper()
	return s.do("GET", target, lines...)
}

func roundTrip(t testing.TB, addr, method, target string, lines ...string) answer {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	fmt.Fprintf(c, "%s %s HTTP/1.1\r\nHost: test\r\nConnection: close\r\n%s\r\n", method, target,
		strings.Join(append(lines, ""), "\r\n"))
	resp, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(body), err}
}

// write makes a file with its directories, and gives it an age, so that no test
// depends on the clock.
func write(t testing.TB, dir, name, content string) string {
	t.Helper()
	p := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(p, old, old); err != nil {
		t.Fatal(err)
	}
	return p
}

// next answers for the application in tests.
func next(ctx *fasthttp.RequestCtx) {
	ctx.SetStatusCode(299)
	ctx.SetBodyString("application " + string(Path(ctx)))
}

func testRoot(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "index.html", "<p>home")
	write(t, dir, "a.txt", "0123456789")
	write(t, dir, "empty.txt", "")
	write(t, dir, "with/index.html", "<p>with")
	write(t, dir, "without/x.txt", "x")
	write(t, dir, "été & co/100%.txt", "names")
	write(t, dir, ".env", "SECRET=1")
	write(t, dir, ".well-known/security.txt", "contact")
	write(t, dir, "m.pyc", "code")
	write(t, dir, "app.py", "source")
	write(t, dir, "big.bin", strings.Repeat("0123456789abcdef", 100<<10/16*10))
	if err := syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	socket, err := net.ListenUnix("unix", &net.UnixAddr{Name: shortName(t), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	socket.SetUnlinkOnClose(false)
	t.Cleanup(func() { socket.Close() })
	if err := os.Rename(socket.Addr().String(), filepath.Join(dir, "socket")); err != nil {
		t.Fatal(err)
	}
	outside := t.TempDir()
	write(t, outside, "secret.txt", "outside")
	for link, target := range map[string]string{
		"out.txt":        filepath.Join(outside, "secret.txt"),
		"out":            outside,
		"in.txt":         "a.txt",
		"in":             "with",
		"absolute.txt":   filepath.Join(dir, "a.txt"),
		"loop":           "loop",
		"device":         "/dev/null",
		"without/up.txt": "../a.txt",
	} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// shortName returns the name of a file that does not exist, of no more letters than the
// address of a socket has.
func shortName(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

var script = strings.Repeat("function answer(x) { return x + 42; }\n", 200)

// believeAges makes h take even a file of this moment for old, so that a test need not
// wait for what depends on age.
func (h *Handler) believeAges() { h.youngAge = math.MinInt64 / 2 }

// prose is text that an encoder has to work for.
func prose(size int) string {
	r := rand.New(rand.NewPCG(7, 7))
	words := strings.Fields("the a of file document root served request answer coding level under over with fallthrough path")
	var b strings.Builder
	for b.Len() < size {
		fmt.Fprintf(&b, "%s %d ", words[r.IntN(len(words))], r.IntN(1000))
	}
	return b.String()
}
