package tls

import (
	"bytes"
	"crypto/rand"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"overlay/tests/e2e/program"
)

// overlay is built once, by TestMain.
var overlay *program.Program

func TestMain(m *testing.M) { os.Exit(program.Main(m, &overlay, nil)) }

// patience bounds what must happen soon; reaching it is a failure.
const patience = time.Minute

// site is a running overlay with files, and the folder of its authority.
type site struct {
	t      *testing.T
	server *program.Server
	dir    string // with docs and certs
	url    string // https://localhost:port
	port   string
	big    []byte // content of /big.bin
}

// startSite makes an authority with certificates for the server and for laptop and
// phone, and serves some files to those who have one.
func startSite(t *testing.T, args ...string) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir(), big: make([]byte, 3<<20)}
	_, _ = rand.Read(s.big)
	if err := os.Mkdir(filepath.Join(s.dir, "docs"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"a.txt": []byte("hello\n"), "big.bin": s.big, "download.html": []byte(downloadPage)} {
		if err := os.WriteFile(filepath.Join(s.dir, "docs", name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s.overlay("cert", "init")
	s.overlay("cert", "server", "localhost", "127.0.0.1")
	s.overlay("cert", "client", "laptop", "phone")
	s.start(append([]string{
		"--document-root", "docs", "--directory-listing", "--https-port", "0", "--https-only", "--ssl-certificate", "certs/localhost",
		"--ssl-ca-certificate-file", "certs/ca.crt", "--ssl-crl-file", "certs/ca.crl", "--access-log"}, args...)...)
	return s
}

// start starts overlay in the folder of the site.
func (s *site) start(args ...string) {
	s.t.Helper()
	s.server = overlay.Start(s.t, program.Config{Dir: s.dir, Args: args, Env: s.env()})
	line := regexp.MustCompile(`https://127\.0\.0\.1:([0-9]+)/`)
	s.await("the banner", func() bool { return line.MatchString(s.server.Log()) })
	s.port = line.FindStringSubmatch(s.server.Log())[1]
	s.url = "https://localhost:" + s.port
}

// overlay runs a command of the program in the folder of the site.
func (s *site) overlay(args ...string) string {
	s.t.Helper()
	code, stdout, stderr := overlay.Run(s.t, program.Config{Dir: s.dir, Args: args, Env: s.env()})
	if code != 0 {
		s.t.Fatalf("overlay %s: exit %d: %s", strings.Join(args, " "), code, stderr)
	}
	return stdout
}

// env keeps an authority away that whoever runs the tests has at home.
func (s *site) env() []string {
	return []string{"HOME=" + filepath.Join(s.dir, "home"), "XDG_DATA_HOME="}
}

// file returns the name of a file of the authority.
func (s *site) file(name string) string { return filepath.Join(s.dir, "certs", name) }

// read returns the content of a file of the authority, without white space around it.
func (s *site) read(name string) string {
	s.t.Helper()
	text, err := os.ReadFile(s.file(name))
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

func (s *site) await(what string, done func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("waited %v for %s", patience, what)
		}
	}
}

// tool returns a program of the machine, or skips the test by its name.
func tool(t *testing.T, name, debian string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		message := name + " is missing; Debian's package is " + debian
		if os.Getenv("OVERLAY_TEST_REQUIRED") != "" {
			t.Fatal(message)
		}
		t.Skip(message)
	}
	return path
}

// run runs a program to its end, however that is, and returns what it wrote.
func (s *site) run(input string, env []string, name string, args ...string) (stdout, stderr string, err error) {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), name, args...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdin = strings.NewReader(input)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	kill := time.AfterFunc(2*patience, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	err = cmd.Run()
	return out.String(), errs.String(), err
}
