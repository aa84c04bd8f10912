package rawsocket

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"overlay/tests/e2e/program"
)

// overlay is built once, by TestMain.
var overlay *program.Program

func TestMain(m *testing.M) { os.Exit(program.Main(m, &overlay, nil)) }

// patience bounds every wait for the server; it decides how soon a broken test
// fails, never whether a test passes.
const patience = 30 * time.Second

// bodyLimit is the --limit-request-body of every server here, in bytes.
const bodyLimit = 100_000

// site is a running server with one file, /file.txt, and testdata/echo.wsgi.
type site struct {
	*program.Server
	record string // file
}

func start(t *testing.T, args ...string) *site {
	t.Helper()
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "file.txt"), []byte("a file\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	record := filepath.Join(t.TempDir(), "record")
	args = append([]string{
		"--document-root", root, "--python", python(t), "--setenv", "RECORD", record,
		"--limit-request-body", fmt.Sprint(bodyLimit),
	}, args...)
	return &site{overlay.Start(t, program.Config{Args: program.Patient(append(args, "testdata/echo.wsgi")...)}), record}
}

// python returns an interpreter that ./test has prepared. Without any, the test is
// skipped, and fails when OVERLAY_TEST_REQUIRED is set.
func python(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob("../../.cache/python/cpython-*/bin/python")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		const message = "no interpreter is prepared: run ./test prepare"
		if os.Getenv("OVERLAY_TEST_REQUIRED") != "" {
			t.Fatal(message)
		}
		t.Skip(message)
	}
	file, err := filepath.Abs(files[0])
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// executed returns the lines of the record that name a path below prefix.
func (s *site) executed(t *testing.T, prefix string) (lines []string) {
	t.Helper()
	text, err := os.ReadFile(s.record)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if _, path, _ := strings.Cut(line, " "); strings.HasPrefix(path, prefix) {
			lines = append(lines, strings.TrimSuffix(line, "\n"))
		}
	}
	return lines
}

// client is one connection.
type client struct {
	*net.TCPConn
	t      *testing.T
	reader *bufio.Reader
}

func (s *site) dial(t *testing.T) *client {
	t.Helper()
	c, err := net.Dial("tcp", s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return &client{TCPConn: c.(*net.TCPConn), t: t, reader: bufio.NewReader(c)}
}

// send sends text. That the server has closed already is no error: what it said
// before is there to be read.
func (c *client) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
		c.t.Fatal(err)
	}
}

// answer is one response.
type answer struct {
	*http.Response
	body string
}

// read reads the next response, interim ones included; nil at the end of the
// connection, by a reset too. method is that of the request.
func (c *client) read(method string) *answer {
	c.t.Helper()
	if _, err := c.reader.Peek(1); err == io.EOF || errors.Is(err, syscall.ECONNRESET) {
		return nil
	}
	response, err := http.ReadResponse(c.reader, &http.Request{Method: method})
	if err != nil {
		c.t.Fatalf("read a response: %v", err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		c.t.Fatalf("read the body of a response with status %d: %v", response.StatusCode, err)
	}
	return &answer{response, string(body)}
}

// statuses reads responses to the end of the connection.
func (c *client) statuses() (statuses []int) {
	c.t.Helper()
	for {
		a := c.read(http.MethodGet)
		if a == nil {
			return statuses
		}
		statuses = append(statuses, a.StatusCode)
	}
}

// echo returns what the application saw.
func (a *answer) echo(t *testing.T) (seen map[string]string) {
	t.Helper()
	if a == nil {
		t.Fatal("the connection ended before the response")
	}
	if err := json.Unmarshal([]byte(a.body), &seen); err != nil {
		t.Fatalf("status %d, not from the application: %q", a.StatusCode, a.body)
	}
	return seen
}
