package tls

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"overlay/tests/e2e/program"
)

// h2specModule is the conformance suite of HTTP/2, in the version whose 145 cases
// are counted here.
const h2specModule = "github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible"

func TestH2spec(t *testing.T) {
	if testing.Short() {
		t.Skip("the suite waits for timeouts")
	}
	h2spec := install(t, h2specModule)
	s := &site{t: t, dir: t.TempDir()}
	// More than the window of a connection: some cases write to a stream that must not
	// have ended by then.
	content := bytes.Repeat([]byte("hello\n"), 20_000)
	if err := os.WriteFile(filepath.Join(s.dir, "a.txt"), content, 0o644); err != nil {
		t.Fatal(err)
	}
	s.overlay("cert", "init")
	s.server = overlay.Start(t, program.Config{Dir: s.dir, Args: []string{"--document-root", ".", "--https-port", "0"}, Env: s.env()})
	line := regexp.MustCompile(`https://127\.0\.0\.1:([0-9]+)/`)
	s.await("the banner", func() bool { return line.MatchString(s.server.Log()) })
	port := line.FindStringSubmatch(s.server.Log())[1]
	out, stderr, _ := s.run("", nil, h2spec, "-t", "-k", "-h", "127.0.0.1", "-p", port, "-P", "/a.txt")
	counts := regexp.MustCompile(`(\d+) tests, (\d+) passed, (\d+) skipped, (\d+) failed`).FindString(out)
	if counts == "" {
		t.Fatalf("h2spec says nothing that counts:\n%s%s", out, stderr)
	}
	if counts != "145 tests, 145 passed, 0 skipped, 0 failed" {
		_, failures, _ := strings.Cut(out, "Failures:")
		t.Errorf("%s; failed: %s", counts, failures)
	}
}
