package tls

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"overlay/tests/e2e/program"
)

// h2specModule is the conformance suite of HTTP/2, in the version whose 145 cases
// are counted here.
const h2specModule = "github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible"

// knownFailures are the cases that net/http does not pass, and what it does.
var knownFailures = map[string]string{
	"Sends a large size HEADERS frame that exceeds the SETTINGS_MAX_FRAME_SIZE":                    "its frames may be larger than the suite sends; it answers 431",
	"Sends multiple values of SETTINGS_INITIAL_WINDOW_SIZE":                                        "it refuses a frame that sets one thing twice, which RFC 9113 allows and no client does",
	"Sends a HEADERS frame that contains the connection-specific header field":                     "it answers 400 instead of resetting the stream",
	`Sends a HEADERS frame that contains the TE header field with any value other than "trailers"`: "it answers 400 instead of resetting the stream",
}

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
	counts := regexp.MustCompile(`(\d+) tests, (\d+) passed, (\d+) skipped, (\d+) failed`).FindStringSubmatch(out)
	if counts == nil {
		t.Fatalf("h2spec says nothing that counts:\n%s%s", out, stderr)
	}
	if passed, _ := strconv.Atoi(counts[2]); passed < 141 || counts[1] != "145" {
		t.Errorf("%s, want 141 of 145 at least", counts[0])
	}
	_, failures, _ := strings.Cut(out, "Failures:")
	for _, failed := range regexp.MustCompile(`(?m)× \d+: (.*)$`).FindAllStringSubmatch(failures, -1) {
		if knownFailures[strings.TrimSpace(failed[1])] == "" {
			t.Errorf("failed, and not known to: %s", failed[1])
		}
	}
}
