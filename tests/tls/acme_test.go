package tls

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"overlay/tlsauth/tlstest"
)

// pebbleModule is the test server of ACME, with a DNS server for its names.
const pebbleModule = "github.com/letsencrypt/pebble/v2/cmd/"

const pebbleVersion = "@v2.10.1"

// install returns a program of a Go module, which it installs into .cache if need
// be; where that cannot be, the test is skipped.
func install(t *testing.T, module string) string {
	t.Helper()
	path, version, _ := strings.Cut(module, "@")
	bin, err := filepath.Abs(filepath.Join("../../.cache", "bin-"+version)) // go install takes no relative one
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(bin, filepath.Base(path))
	if _, err := os.Stat(file); err == nil {
		return file
	}
	cmd := exec.CommandContext(t.Context(), "go", "install", module)
	cmd.Env = append(os.Environ(), "GOBIN="+bin, "GOFLAGS=")
	cmd.Dir = t.TempDir()
	if out, err := cmd.CombinedOutput(); err != nil {
		if os.Getenv("OVERLAY_TEST_REQUIRED") != "" {
			t.Fatalf("install %s: %v\n%s", module, err, out)
		}
		t.Skipf("%s is missing and cannot be installed: %v", module, err)
	}
	return file
}

// freePort returns a port of loopback that nobody listens on at this moment.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// background runs a program until stop is called or the test ends.
func background(t *testing.T, dir string, env []string, name string, args ...string) (stop func()) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	t.Cleanup(func() {
		stop()
		if text, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("log of %s:\n%s", filepath.Base(name), text)
		}
	})
	return stop
}

// A certificate comes from an ACME authority by tls-alpn-01 and by http-01, is kept
// for the next start, and clients get it though they must show one of their own.
func TestACME(t *testing.T) {
	for _, challenge := range []string{"tls-alpn-01", "http-01"} {
		t.Run(challenge, func(t *testing.T) {
			pebble, dns := install(t, pebbleModule+"pebble"+pebbleVersion), install(t, pebbleModule+"pebble-challtestsrv"+pebbleVersion)
			s := &site{t: t, dir: t.TempDir()}
			ports := map[string]int{}
			for _, name := range []string{"acme", "management", "dns", "dnsManagement", "https", "http", "nobody"} {
				ports[name] = freePort(t)
			}
			// Of the two ways only one is open.
			tlsPort, httpPort := ports["https"], ports["nobody"]
			if challenge == "http-01" {
				tlsPort, httpPort = ports["nobody"], ports["http"]
			}
			ca := tlstest.NewCA(t)
			certificate, key := ca.Issue(t).Files(t)
			config := map[string]any{"pebble": map[string]any{
				"listenAddress": fmt.Sprint("127.0.0.1:", ports["acme"]), "managementListenAddress": fmt.Sprint("127.0.0.1:", ports["management"]),
				"certificate": certificate, "privateKey": key, "httpPort": httpPort, "tlsPort": tlsPort, "keyAlgorithm": "ecdsa",
				"retryAfter": map[string]int{"authz": 1, "order": 1},
				"profiles":   map[string]any{"default": map[string]any{"description": "default", "validityPeriod": 7776000}},
			}}
			text, err := json.Marshal(config)
			if err != nil {
				t.Fatal(err)
			}
			for name, content := range map[string][]byte{"pebble.json": text, "anchor.pem": ca.PEM(), "a.txt": []byte("hello\n")} {
				if err := os.WriteFile(filepath.Join(s.dir, name), content, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			background(t, s.dir, nil, dns, "-dnsserver", fmt.Sprint("127.0.0.1:", ports["dns"]), "-management", fmt.Sprint("127.0.0.1:", ports["dnsManagement"]),
				"-defaultIPv6", "", "-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", "")
			background(t, s.dir, []string{"PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0", "PEBBLE_AUTHZREUSE=0"},
				pebble, "-config", filepath.Join(s.dir, "pebble.json"), "-dnsserver", fmt.Sprint("127.0.0.1:", ports["dns"]))
			trusting := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool()}}}
			directory := fmt.Sprintf("https://localhost:%d/dir", ports["acme"])
			s.await("pebble", func() bool {
				response, err := trusting.Get(directory)
				if err == nil {
					_ = response.Body.Close()
				}
				return err == nil
			})
			roots := x509.NewCertPool()
			for _, name := range []string{"roots/0", "intermediates/0"} {
				response, err := trusting.Get(fmt.Sprintf("https://localhost:%d/%s", ports["management"], name))
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(response.Body)
				_ = response.Body.Close()
				if err != nil || !roots.AppendCertsFromPEM(body) {
					t.Fatalf("pebble's %s: %v %q", name, err, body)
				}
			}
			s.overlay("cert", "init")
			s.overlay("cert", "client", "laptop")
			start := func() (stop func(), leaf *x509.Certificate) {
				t.Helper()
				stop = background(t, s.dir, []string{"SSL_CERT_FILE=" + filepath.Join(s.dir, "anchor.pem")}, overlay.File,
					"--document-root", ".", "--port", fmt.Sprint(ports["http"]), "--https-port", fmt.Sprint(ports["https"]), "--https-only",
					"--acme-domain", "site.test.example", "--acme-directory", directory, "--acme-email", "me@example.org", "--acme-cache", "cache",
					"--ssl-ca-certificate-file", "certs/ca.crt", "--ssl-verify", "required")
				laptop, err := tls.LoadX509KeyPair(s.file("laptop.crt"), s.file("laptop.key"))
				if err != nil {
					t.Fatal(err)
				}
				s.await("a certificate of pebble", func() bool {
					c, err := tls.Dial("tcp", fmt.Sprint("127.0.0.1:", ports["https"]), &tls.Config{RootCAs: roots, ServerName: "site.test.example", Certificates: []tls.Certificate{laptop}})
					if err != nil {
						return false
					}
					defer c.Close()
					leaf = c.ConnectionState().PeerCertificates[0]
					return true
				})
				return stop, leaf
			}
			stop, first := start()
			if err := first.VerifyHostname("site.test.example"); err != nil {
				t.Error(err)
			}
			// Another name gets nothing, and the challenge protocol opens no gate.
			if _, err := tls.Dial("tcp", fmt.Sprint("127.0.0.1:", ports["https"]), &tls.Config{InsecureSkipVerify: true, ServerName: "other.example"}); err == nil {
				t.Error("another name was served")
			}
			c, err := tls.Dial("tcp", fmt.Sprint("127.0.0.1:", ports["https"]), &tls.Config{InsecureSkipVerify: true, ServerName: "site.test.example", NextProtos: []string{"acme-tls/1"}})
			if err == nil {
				fmt.Fprint(c, "GET /a.txt HTTP/1.1\r\nHost: site.test.example\r\nConnection: close\r\n\r\n")
				answer, _ := io.ReadAll(c)
				if len(answer) < 12 || string(answer[9:12]) != "403" {
					t.Errorf("by way of acme-tls/1: %q", answer)
				}
				_ = c.Close()
			}
			stop()
			if _, again := start(); !again.Equal(first) {
				t.Error("the certificate was not kept")
			}
		})
	}
}
