package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestServersShareTickets: with --embedded-mode --processes 2, a TLS session that one
// server process began is resumed by the other.
func TestServersShareTickets(t *testing.T) {
	python := findTestPython()
	if python == "" || !embeddable(python) {
		t.Skip("no libpython, or a build without cgo")
	}
	overlay, err := exec.LookPath("overlay")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	const app = `
import os
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode() + b" " + environ["SSL_SESSION_RESUMED"].encode()]
`
	if err := os.WriteFile(filepath.Join(dir, "app.wsgi"), []byte(app), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := writeCertificate(filepath.Join(dir, "localhost")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(overlay, "--port", "0", "--https-port", "0", "--ssl-certificate", "localhost", "--python", python,
		"--embedded-mode", "--processes", "2", "app.wsgi")
	stderr := &sharedBuffer{}
	cmd.Dir, cmd.Stderr = dir, stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	}()
	deadline := time.Now().Add(scriptTimeout)
	poll := func(what string, done func() bool) {
		t.Helper()
		for !done() {
			if time.Now().After(deadline) {
				t.Fatalf("waited %v for %s\n%s", scriptTimeout, what, stderr.String())
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	address := ""
	poll("the banner", func() bool {
		address = strings.TrimSuffix(strings.TrimPrefix(bannerURLs(stderr.String())["https"], "https://"), "/")
		return address != ""
	})
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		config := &tls.Config{InsecureSkipVerify: true, ServerName: "localhost", MaxVersion: version, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
		first := ask(t, address, config)
		pids := map[string]bool{strings.Fields(first)[0]: true}
		poll("an answer of the other process", func() bool {
			answer := strings.Fields(ask(t, address, config))
			if answer[1] != "Resumed" {
				t.Fatalf("%s: process %s does not resume the session of process %s", tls.VersionName(version), answer[0], first)
			}
			pids[answer[0]] = true
			return len(pids) == 2
		})
	}
}

// ask sends a request on a connection of its own and returns the body.
func ask(t *testing.T, address string, config *tls.Config) string {
	t.Helper()
	inner, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer inner.Close()
	conn := tls.Client(inner, config)
	if _, err := fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil || len(body) == 0 {
		t.Fatalf("%s: %v", response.Status, err)
	}
	return string(body)
}
