package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"overlay/pybridge"

	"github.com/rogpeppe/go-internal/testscript"
)

// scriptTimeout is far beyond what any step of a script takes.
const scriptTimeout = 60 * time.Second

// TestMain lets this test binary be the program, too: in a script, the command
// overlay runs main in a process of its own.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"overlay": main})
}

// TestScripts runs the specification, tests/scripts. Besides the commands of
// testscript, a script has
//
//	refuse STATUS ARG...        run overlay ARG..., which must exit with STATUS and
//	                            write nothing but an error and a hint, a line each
//	serve [-name NAME] ARG...   start overlay --port 0 ARG... in the background;
//	                            $URL (and $HTTPS_URL) is where it serves, $PORT the port.
//	                            serve share ARG... is overlay share --https-port 0 ARG...
//	get [-X METHOD] [-H 'NAME: VALUE']... [-d BODY|-d @FILE] [-o FILE] [-tls|-metrics] [-cert NAME]
//	    [-later NAME] [-until STATUS] PATH
//	                            send a request as written; stdout is the status, the
//	                            fields sorted, an empty line and the body. $ETAG and
//	                            $LAST_MODIFIED are those of the response. -cert shows
//	                            the client certificate NAME.crt, NAME.key, -metrics asks
//	                            the listener of --metrics-listen. With -later
//	                            the script goes on at once; with ! before get, the
//	                            response must be missing or cut short; with -until, it
//	                            is sent again until the status is the one wanted
//	answer NAME                 wait for what get -later NAME gets
//	await FILE                  wait until there is FILE
//	signal [-name NAME] TERM|INT|HUP
//	ended [-name NAME]          wait for the end of a server, which must exit with 0;
//	                            stdout and stderr are what it wrote in its life
//	quit [-name NAME]           signal TERM, then ended
//	certificate PREFIX          write PREFIX.crt and PREFIX.key
//
// and the conditions [python]: there is a python3, and [embedded]: this program
// can host it.
func TestScripts(t *testing.T) {
	overlay, err := exec.LookPath("overlay")
	if err != nil {
		t.Fatal(err)
	}
	python := findTestPython()
	testscript.Run(t, testscript.Params{
		Dir:                filepath.Join("..", "..", "tests", "scripts"),
		RequireUniqueNames: true,
		Setup: func(env *testscript.Env) error {
			if python != "" { // not through a pyenv shim, which needs the user's HOME
				env.Setenv("PATH", filepath.Dir(python)+string(filepath.ListSeparator)+env.Getenv("PATH"))
			}
			// testscript's /no-home is one folder for all tests, and stays, if root runs them.
			env.Setenv("HOME", filepath.Join(env.WorkDir, ".home"))
			env.Setenv("BIN", filepath.Dir(overlay)) // a PATH without any Python
			env.Setenv("COLUMNS", "80")
			env.Setenv("ESC", "\x1b")
			env.Values[scriptServers{}] = map[string]*scriptServer{}
			env.Values[scriptAnswers{}] = map[string]chan scriptResponse{}
			return nil
		},
		Condition: func(name string) (bool, error) {
			switch name {
			case "python":
				return python != "", nil
			case "embedded":
				return python != "" && embeddable(python), nil
			}
			return false, fmt.Errorf("unknown condition %q", name)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"refuse": scriptRefuse, "serve": scriptServe, "get": scriptGet, "answer": scriptAnswer,
			"await": scriptAwait, "signal": scriptSignal, "ended": scriptEnded, "quit": scriptQuit,
			"certificate": scriptCertificate,
		},
	})
}

// embeddable reports whether this build has embedded mode, and python a library.
func embeddable(python string) bool {
	_, err := pybridge.Library(context.Background(), python)
	return pybridge.EmbeddedAvailable && err == nil
}

// findTestPython returns the python3 on PATH, "" if there is none that runs.
func findTestPython() string {
	out, err := exec.Command("python3", "-c", "import sys; print(sys.executable)").Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// scriptServers is the key of a script's servers, by name.
type scriptServers struct{}

type scriptServer struct {
	cmd            *exec.Cmd
	stdout, stderr *sharedBuffer
	done           chan struct{} // closed when the process is gone
	err            error         // of Wait, once done is closed
}

// sharedBuffer is written by a process while the test reads it.
type sharedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *sharedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *sharedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// takeOption takes "-name VALUE" from the start of args.
func takeOption(args []string, name string) (value string, rest []string, ok bool) {
	if len(args) >= 2 && args[0] == name {
		return args[1], args[2:], true
	}
	return "", args, false
}

func scriptRefuse(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: refuse STATUS ARG...")
	}
	err := ts.Exec("overlay", args[1:]...)
	status := "0"
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		status = strconv.Itoa(exit.ExitCode())
	}
	stdout, stderr := ts.ReadFile("stdout"), ts.ReadFile("stderr")
	if status != args[0] {
		ts.Fatalf("got exit status %s, want %s", status, args[0])
	}
	if stdout != "" {
		ts.Fatalf("got %q on stdout, want nothing", stdout)
	}
	if !regexp.MustCompile(`\Aoverlay: .+\noverlay: hint: .+\n\z`).MatchString(stderr) {
		ts.Fatalf("got %q on stderr, want an error and a hint", stderr)
	}
}

func scriptServe(ts *testscript.TestScript, neg bool, args []string) {
	name, args, _ := takeOption(args, "-name")
	servers := ts.Value(scriptServers{}).(map[string]*scriptServer)
	if neg || servers[name] != nil {
		ts.Fatalf("usage: serve [-name NAME] ARG..., once per name")
	}
	path, err := exec.LookPath("overlay")
	ts.Check(err)
	s := &scriptServer{stdout: &sharedBuffer{}, stderr: &sharedBuffer{}, done: make(chan struct{})}
	all, scheme := append([]string{"--port", "0"}, args...), "http"
	if len(args) > 0 && args[0] == "share" {
		all, scheme = append([]string{"share", "--https-port", "0"}, args[1:]...), "https"
	}
	s.cmd = exec.Command(path, all...)
	s.cmd.Dir = ts.MkAbs(".")
	for _, v := range []string{"PATH", "HOME", "TMPDIR", "VIRTUAL_ENV", "LANG"} {
		s.cmd.Env = append(s.cmd.Env, v+"="+ts.Getenv(v))
	}
	s.cmd.Stdout, s.cmd.Stderr = s.stdout, s.stderr
	ts.Check(s.cmd.Start())
	go func() {
		s.err = s.cmd.Wait()
		close(s.done)
	}()
	servers[name] = s
	ts.Defer(func() {
		_ = s.cmd.Process.Kill() // gone already in the usual course
		<-s.done
	})
	for deadline := time.Now().Add(scriptTimeout); ; time.Sleep(5 * time.Millisecond) {
		if urls := bannerURLs(s.stderr.String()); urls[scheme] != "" {
			if scheme == "https" { // where there is no plain HTTP, it is tried on the port of HTTPS
				urls["http"] = "http" + strings.TrimPrefix(urls["https"], "https")
			}
			ts.Setenv("URL", urls["http"])
			ts.Setenv("HTTPS_URL", urls["https"])
			ts.Setenv("METRICS_URL", urls["metrics"])
			ts.Setenv("PORT", urls[scheme][strings.LastIndexByte(urls[scheme], ':')+1:len(urls[scheme])-1])
			return
		}
		select {
		case <-s.done:
			ts.Fatalf("overlay did not serve: %v\n%s", s.err, s.stderr.String())
		default:
		}
		if time.Now().After(deadline) {
			ts.Fatalf("no banner within %v\n%s", scriptTimeout, s.stderr.String())
		}
	}
}

// bannerURLs returns the first URL of each scheme in a banner, and that of the
// metrics, once it is there as a whole.
func bannerURLs(stderr string) map[string]string {
	urls := map[string]string{}
	text := regexp.MustCompile(`(?ms)^overlay \S.*? serves$.*?^  limits .*?$|"msg":"serving".*?\n`).FindString(stderr)
	for _, u := range slices.Backward(regexp.MustCompile(`https?://[^\s"]*`).FindAllString(text, -1)) {
		scheme, _, _ := strings.Cut(u, ":")
		if strings.HasSuffix(u, metricsPath) {
			scheme = "metrics"
		}
		urls[scheme] = u
	}
	return urls
}

// takeServer returns the server that args name, and the rest of args.
func takeServer(ts *testscript.TestScript, args []string) (*scriptServer, []string) {
	name, args, _ := takeOption(args, "-name")
	s := ts.Value(scriptServers{}).(map[string]*scriptServer)[name]
	if s == nil {
		ts.Fatalf("there was no serve -name %q", name)
	}
	return s, args
}

func scriptSignal(ts *testscript.TestScript, neg bool, args []string) {
	s, args := takeServer(ts, args)
	signals := map[string]os.Signal{"TERM": syscall.SIGTERM, "INT": syscall.SIGINT, "HUP": syscall.SIGHUP}
	if neg || len(args) != 1 || signals[args[0]] == nil {
		ts.Fatalf("usage: signal [-name NAME] TERM|INT|HUP")
	}
	ts.Check(s.cmd.Process.Signal(signals[args[0]]))
}

func scriptEnded(ts *testscript.TestScript, neg bool, args []string) {
	s, args := takeServer(ts, args)
	if neg || len(args) > 0 {
		ts.Fatalf("usage: ended [-name NAME]")
	}
	select {
	case <-s.done:
	case <-time.After(scriptTimeout):
		ts.Fatalf("overlay has not stopped within %v\n%s", scriptTimeout, s.stderr.String())
	}
	_, _ = io.WriteString(ts.Stdout(), s.stdout.String())
	_, _ = io.WriteString(ts.Stderr(), s.stderr.String())
	if s.err != nil {
		ts.Fatalf("overlay stopped with %v\n%s", s.err, s.stderr.String())
	}
}

func scriptQuit(ts *testscript.TestScript, neg bool, args []string) {
	scriptSignal(ts, neg, append(slices.Clone(args), "TERM"))
	scriptEnded(ts, neg, args)
}

// scriptAwait waits for something that a worker process does.
func scriptAwait(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: await FILE")
	}
	for deadline := time.Now().Add(scriptTimeout); ; time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(ts.MkAbs(args[0])); err == nil {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("no file %s within %v", args[0], scriptTimeout)
		}
	}
}

// scriptCertificate writes PREFIX.crt and PREFIX.key, a certificate for localhost.
func scriptCertificate(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: certificate PREFIX")
	}
	ts.Check(writeCertificate(ts.MkAbs(args[0])))
}

func writeCertificate(prefix string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	keyBytes, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	for name, block := range map[string]*pem.Block{
		prefix + ".crt": {Type: "CERTIFICATE", Bytes: cert},
		prefix + ".key": {Type: "PRIVATE KEY", Bytes: keyBytes},
	} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			return err
		}
	}
	return nil
}
