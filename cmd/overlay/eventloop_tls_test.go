//go:build linux

package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"overlay/eventloop"
	"overlay/tlsauth"
	"overlay/tlsauth/tlstest"
)

// gatedLoops is a site that serves files to clients with certificates of ca.
type gatedLoops struct {
	*site
	address  string // of plain HTTP
	serverCA *tlstest.CA
	ca       *tlstest.CA
	list     string // file of the revocation list
}

func newGatedLoops(t *testing.T, files map[string]string, args ...string) *gatedLoops {
	t.Helper()
	g := &gatedLoops{serverCA: tlstest.NewCA(t), ca: tlstest.NewCA(t)}
	dir := t.TempDir()
	anchors := filepath.Join(dir, "ca.crt")
	if err := os.WriteFile(anchors, g.ca.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	g.list = filepath.Join(dir, "ca.crl")
	g.revoke(t)
	certificate, key := g.serverCA.Issue(t).Files(t)
	g.site, g.address = loopSite(t, files, append([]string{
		"--https-port", "0", "--ssl-certificate-file", certificate, "--ssl-certificate-key-file", key,
		"--ssl-ca-certificate-file", anchors, "--ssl-crl-file", g.list, "--ssl-verify-client", "/a", "--allow-plain-http",
	}, args...)...)
	return g
}

// revoke writes a list of leaves.
func (g *gatedLoops) revoke(t *testing.T, leaves ...*tlstest.Leaf) {
	t.Helper()
	if err := os.WriteFile(g.list, g.ca.Revoke(t, leaves), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (g *gatedLoops) dial(t *testing.T, leaf *tlstest.Leaf) *loopClient {
	t.Helper()
	config := &tls.Config{RootCAs: g.serverCA.Pool(), ServerName: "localhost"}
	if leaf != nil {
		config.Certificates = []tls.Certificate{leaf.TLS(t)}
	}
	plain := dialLoop(t, g.https.Addr().String())
	c := tls.Client(plain.Conn, config)
	return &loopClient{c, bufio.NewReader(c)}
}

const askA = "GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n"

// toLoop asks for /a until a loop has the connection, and answers itself.
func (g *gatedLoops) toLoop(t *testing.T, c *loopClient) {
	t.Helper()
	before := g.keeper.Connections()
	pollUntil(t, "the connection to go to a loop", func() bool {
		c.mustAnswer(t, askA, "200")
		return g.keeper.Connections() > before
	})
	pollUntil(t, "answers of the loop", func() bool {
		c.mustAnswer(t, askA, "200")
		return g.serving.Load() == 0
	})
}

func (c *loopClient) mustAnswer(t *testing.T, request, status string) (head, body string) {
	t.Helper()
	head, body, err := c.exchange(request)
	if err != nil || !strings.HasPrefix(head, "HTTP/1.1 "+status) {
		t.Fatalf("%.60q: %v\n%s\nwant %s", request, err, head, status)
	}
	return head, body
}

// TestLoopGate: a loop answers those alone whom the gate lets pass, at each request.
func TestLoopGate(t *testing.T) {
	g := newGatedLoops(t, map[string]string{"a": "secret", "pub/a": "open"})
	friend, former := g.ca.Issue(t), g.ca.Issue(t)
	trusted := g.dial(t, friend)
	g.toLoop(t, trusted)
	revoked := g.dial(t, former)
	g.toLoop(t, revoked)
	before := g.keeper.Connections()

	const askPub = "GET /pub/a HTTP/1.1\r\nHost: localhost\r\n\r\n"
	plain := dialLoop(t, g.address)
	pollUntil(t, "an answer of the loop over plain HTTP", func() bool {
		_, body := plain.mustAnswer(t, askPub, "200")
		return body == "open" && g.loops.Connections() == 1
	})
	_, page := plain.mustAnswer(t, askA, "403")
	if strings.Contains(page, "secret") {
		t.Errorf("plain HTTP gets %q", page)
	}
	stranger := g.dial(t, nil)
	pollUntil(t, "the open file over HTTPS", func() bool {
		stranger.mustAnswer(t, askPub, "200")
		return g.keeper.Connections() == before+1
	})
	if _, page = stranger.mustAnswer(t, askA, "403"); strings.Contains(page, "secret") {
		t.Errorf("who has no certificate gets %q", page)
	}

	g.revoke(t, former)
	if err := g.tls.Reload(); err != nil {
		t.Fatal(err)
	}
	if _, page = revoked.mustAnswer(t, askA, "403"); strings.Contains(page, "secret") {
		t.Errorf("who was revoked gets %q", page)
	}
	if _, err := revoked.in.ReadByte(); err != io.EOF {
		t.Errorf("the connection of the revoked one goes on: %v", err)
	}
	if _, body := trusted.mustAnswer(t, askA, "200"); body != "secret" {
		t.Errorf("body %q", body)
	}
}

// TestLoopGateExpiry: who has a certificate that expires meanwhile gets nothing from a loop any more.
func TestLoopGateExpiry(t *testing.T) {
	g := newGatedLoops(t, map[string]string{"a": "secret"})
	c := g.dial(t, g.ca.Issue(t, func(leaf *x509.Certificate) { leaf.NotAfter = time.Now().Add(4 * time.Second) }))
	pollUntil(t, "the end of the certificate", func() bool {
		head, _, err := c.exchange(askA)
		if err != nil {
			t.Fatal(err)
		}
		return strings.HasPrefix(head, "HTTP/1.1 403")
	})
}

// TestPassesTable: what a loop may answer without asking the server.
func TestPassesTable(t *testing.T) {
	g := newGatedLoops(t, map[string]string{"a": "a"})
	for _, row := range []struct {
		name   string
		change func(*clientGate)
		layer  eventloop.Layer
		target string
		want   bool
	}{
		{"open, plain", nil, nil, "/b", true},
		{"gated, plain", nil, nil, "/a", false},
		{"below what is gated", nil, nil, "/a/b", false},
		{"another spelling", nil, nil, "//a", false},
		{"redirected to HTTPS", func(g *clientGate) { g.httpsOnly = true }, nil, "/b", false},
		{"challenge", func(g *clientGate) { g.acme = new(acmeClient) }, nil, "/.well-known/acme-challenge/x", false},
		{"no challenge", func(g *clientGate) { g.acme = new(acmeClient) }, nil, "/.well-known/x", true},
		{"no request has passed so far", nil, new(tlsLayer), "/b", false},
		{"open, TLS", nil, &tlsLayer{client: new(tlsauth.Client)}, "/b", true},
	} {
		gate := *g.gate
		if row.change != nil {
			row.change(&gate)
		}
		if got := gate.passes(row.layer, &eventloop.Head{Target: []byte(row.target), Host: []byte("localhost")}); got != row.want {
			t.Errorf("%s: passes = %v, want %v", row.name, got, row.want)
		}
	}
}

// TestLoopAccessLog: the lines of what a loop answers over TLS say who has asked, as those of the server do.
func TestLoopAccessLog(t *testing.T) {
	g := newGatedLoops(t, map[string]string{"a": "secret"})
	var lines bytes.Buffer
	log, err := newAccessLog(&lines, "json")
	if err != nil {
		t.Fatal(err)
	}
	client, server := net.Pipe()
	defer client.Close()
	defer server.Close()
	layer := &tlsLayer{Conn: tls.Server(server, &tls.Config{})}
	for _, subject := range []string{"", "someone"} {
		given := &eventloop.Given{Head: []byte(askA), Status: 200, Body: 6, Peer: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}, Time: time.Now()}
		if subject != "" {
			leaf := g.ca.Issue(t)
			layer.client = g.tls.Client(tls.ConnectionState{HandshakeComplete: true, PeerCertificates: []*x509.Certificate{leaf.Certificate}})
			given.Layer, subject = layer, layer.client.Subject()
		}
		log.given(given)
		log.given(&eventloop.Given{Head: given.Head, Status: 404, Peer: given.Peer, Time: given.Time}) // forgets the last one
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
		got := lines.String()
		lines.Reset()
		first, second, _ := strings.Cut(got, "\n")
		if has := strings.Contains(first, "client_subject"); has != (subject != "") || !strings.Contains(first, subject) || strings.Contains(second, "client_subject") {
			t.Errorf("lines\n%s\nwant subject %q in the first", got, subject)
		}
		if log, err = newAccessLog(&lines, "json"); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLoopHTTPSFields: what HTTPS answers is not what HTTP answers, though both are of the same file.
func TestLoopHTTPSFields(t *testing.T) {
	both := func(args ...string) (s *site, plain, encrypted *loopClient) {
		s, address := loopSite(t, map[string]string{"a": "a"}, append(args, "--https-port", "0")...)
		return s, dialLoop(t, address), dialLoopTLS(t, s.https.Addr().String())
	}
	_, plain, encrypted := both("--https-only", "--hsts-policy", "max-age=60")
	for range 20 {
		plain.mustAnswer(t, askA, "308")
		if head, _ := encrypted.mustAnswer(t, askA, "200"); !strings.Contains(head, "\r\nStrict-Transport-Security: max-age=60") {
			t.Fatalf("no Strict-Transport-Security in\n%s", head)
		}
	}
	s, plain, encrypted := both()
	for range 20 {
		plain.mustAnswer(t, askA, "200")
		encrypted.mustAnswer(t, askA, "200")
	}
	if n, _ := s.answers.Stats(); n != 2 {
		t.Errorf("%d answers are kept, want 2", n)
	}
}
