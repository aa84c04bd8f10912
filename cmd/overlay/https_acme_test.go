package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"overlay/tlsauth/tlstest"
)

// autocert renews a month before the end and is silent when it cannot: what ends within
// a fortnight is in the log, on every day, and the metrics have the date.
func TestACMEExpiryIsWatched(t *testing.T) {
	const domain = "site.test.example"
	for _, row := range []struct {
		name  string
		left  time.Duration
		first bool
		want  string // in the log
	}{
		{"fresh, at the start", 80 * 24 * time.Hour, true, "level=INFO msg=\"certificate from the ACME authority\" domain=site.test.example expiry="},
		{"fresh, on another day", 80 * 24 * time.Hour, false, ""},
		{"just not soon", 14*24*time.Hour + time.Hour, false, ""},
		{"soon, at the start", 14*24*time.Hour - time.Hour, true, "level=WARN msg=\"the certificate from the ACME authority expires soon, and could not be renewed\" domain=site.test.example expiry="},
		{"soon, on another day", 14*24*time.Hour - time.Hour, false, "level=WARN"},
	} {
		cache := t.TempDir()
		leaf := tlstest.NewCA(t).Issue(t, func(c *x509.Certificate) {
			c.DNSNames, c.IPAddresses, c.NotAfter = []string{domain}, nil, time.Now().Add(row.left)
		})
		// As autocert keeps it. Nobody is at the authority's address.
		if err := os.WriteFile(filepath.Join(cache, domain), append(leaf.KeyPEM, leaf.CertificatePEM...), 0o600); err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		a := newACMEClient(acmeConfig{Domains: []string{domain}, Directory: "https://127.0.0.1:1/dir", Cache: cache}, slog.New(slog.NewTextHandler(&log, nil)))
		a.look(context.Background(), domain, row.first)
		if got := log.String(); (got == "") != (row.want == "") || !strings.Contains(got, row.want) {
			t.Errorf("%s: log %q, want %q", row.name, got, row.want)
		}
		if ends, ok := a.expiry.Load(domain); !ok || !ends.(time.Time).Equal(leaf.Certificate.NotAfter) {
			t.Errorf("%s: the metrics have %v, want %v", row.name, ends, leaf.Certificate.NotAfter)
		}
	}
	// Without a certificate, and without an authority, that is said.
	var log bytes.Buffer
	a := newACMEClient(acmeConfig{Domains: []string{domain}, Directory: "https://127.0.0.1:1/dir", Cache: t.TempDir()}, slog.New(slog.NewTextHandler(&log, nil)))
	a.look(context.Background(), domain, true)
	if got := log.String(); !strings.Contains(got, "level=WARN msg=\"no certificate from the ACME authority") {
		t.Errorf("log %q", got)
	}
}

// A certificate is asked for by the names of the site alone, whatever a client says.
func TestACMEDomains(t *testing.T) {
	a := newACMEClient(acmeConfig{Domains: []string{"site.test.example", "www.test.example"}, Directory: "https://127.0.0.1:1/dir", Cache: t.TempDir()}, slog.New(slog.DiscardHandler))
	for host, want := range map[string]bool{
		"site.test.example": true, "WWW.test.example": true, "site.test.example:80": true, "other.test.example": false, "test.example": false, "": false, "site.test.example.evil.example": false,
	} {
		if err := a.allowed(context.Background(), host); (err == nil) != want {
			t.Errorf("%q: %v, want allowed: %v", host, err, want)
		}
		if want || host == "" { // who names no host gets the certificate of the first domain
			continue
		}
		if certificate, err := a.getCertificate(&tls.ClientHelloInfo{ServerName: host}); certificate != nil || err != nil {
			t.Errorf("%q: certificate %v, %v, want none from here", host, certificate != nil, err)
		}
	}
}
