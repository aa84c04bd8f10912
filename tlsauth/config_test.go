package tlsauth_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"overlay/tlsauth"
	"overlay/tlsauth/tlstest"
)

func TestConfigErrors(t *testing.T) {
	ca := tlstest.NewCA(t)
	one, other := ca.Issue(t), ca.Issue(t)
	certificate, key := one.Files(t)
	_, otherKey := other.Files(t)
	missing := filepath.Join(t.TempDir(), "missing.pem")
	write := func(text string) string {
		name := filepath.Join(t.TempDir(), "file.pem")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	for _, row := range []struct {
		name    string
		options tlsauth.Options
		want    error
		text    string // some part of the message
	}{
		{"certificate missing", tlsauth.Options{CertificateFile: missing, KeyFile: key}, fs.ErrNotExist, "load certificate: open " + missing},
		{"key missing", tlsauth.Options{CertificateFile: certificate, KeyFile: missing}, fs.ErrNotExist, "load private key: open " + missing},
		{"certificate empty", tlsauth.Options{CertificateFile: write(""), KeyFile: key}, tlsauth.ErrNoCertificate, "file.pem"},
		{"files swapped", tlsauth.Options{CertificateFile: key, KeyFile: certificate}, tlsauth.ErrNoCertificate, key},
		{"certificate given as key", tlsauth.Options{CertificateFile: certificate, KeyFile: certificate}, tlsauth.ErrNoKey, certificate},
		{"no key file and none within", tlsauth.Options{CertificateFile: certificate}, tlsauth.ErrNoKey, certificate},
		{"key of another", tlsauth.Options{CertificateFile: certificate, KeyFile: otherKey}, tlsauth.ErrKeyMismatch, otherKey},
		{"key encrypted", tlsauth.Options{CertificateFile: certificate,
			KeyFile: write("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n")}, tlsauth.ErrEncryptedKey, "passphrase"},
		{"key encrypted the old way", tlsauth.Options{CertificateFile: certificate,
			KeyFile: write("-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA\n-----END EC PRIVATE KEY-----\n")}, tlsauth.ErrEncryptedKey, "passphrase"},
		{"key garbled", tlsauth.Options{CertificateFile: certificate,
			KeyFile: write("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")}, nil, "load certificate"},
		{"version too old", tlsauth.Options{CertificateFile: certificate, KeyFile: key, MinVersion: tls.VersionTLS11}, tlsauth.ErrMinVersion, "TLS 1.1"},
	} {
		t.Run(row.name, func(t *testing.T) {
			config, _, err := row.options.Config()
			if err == nil || config != nil {
				t.Fatalf("Config = %v, %v, want an error", config, err)
			}
			if row.want != nil && !errors.Is(err, row.want) {
				t.Errorf("error %v, want %v", err, row.want)
			}
			if !strings.Contains(err.Error(), row.text) {
				t.Errorf("error %q, want %q in it", err, row.text)
			}
		})
	}
}

func TestConfigWarnings(t *testing.T) {
	ca := tlstest.NewCA(t)
	leaf := ca.Issue(t, func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Unix(1_000_000, 0), time.Unix(10_000_000, 0)
	})
	nameless := ca.Issue(t, func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = leaf.Certificate.NotBefore, leaf.Certificate.NotAfter
		c.DNSNames, c.IPAddresses = nil, nil
	})
	const fortnight = 14 * 24 * 3600
	for _, row := range []struct {
		name string
		leaf *tlstest.Leaf
		now  int64
		want string // part of the one warning, "" for none
	}{
		{"not yet valid", leaf, 999_999, "not valid before 1970-01-12"},
		{"first second", leaf, 1_000_000, ""},
		{"a fortnight before the end", leaf, 10_000_000 - fortnight, ""},
		{"less than a fortnight before the end", leaf, 10_000_000 - fortnight + 1, "expires at 1970-04-26"},
		{"last second", leaf, 10_000_000, "expires at 1970-04-26"},
		{"expired", leaf, 10_000_001, "has expired at 1970-04-26"},
		{"no name", nameless, 2_000_000, "names no host"},
	} {
		t.Run(row.name, func(t *testing.T) {
			certificate, key := row.leaf.Files(t)
			options := tlsauth.Options{CertificateFile: certificate, KeyFile: key, Now: func() time.Time { return time.Unix(row.now, 0) }}
			config, warnings, err := options.Config()
			if err != nil || config == nil {
				t.Fatalf("Config: %v", err)
			}
			if got := strings.Join(warnings, "; "); !strings.Contains(got, row.want) || (got == "") != (row.want == "") {
				t.Errorf("warnings %q, want %q", got, row.want)
			}
		})
	}
}

// What a client gets: the version asked for at least, HTTP/1.1, the certificate.
func TestConfigHandshake(t *testing.T) {
	ca := tlstest.NewCA(t)
	leaf := ca.Issue(t)
	certificate, key := leaf.Files(t)
	both := filepath.Join(t.TempDir(), "both.pem")
	if err := os.WriteFile(both, append(append([]byte{}, leaf.KeyPEM...), leaf.CertificatePEM...), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name    string
		options tlsauth.Options
		max     uint16 // of the client
		want    uint16 // 0: the handshake fails
	}{
		{"newest", tlsauth.Options{CertificateFile: certificate, KeyFile: key}, tls.VersionTLS13, tls.VersionTLS13},
		{"key and certificate in one file", tlsauth.Options{CertificateFile: both}, tls.VersionTLS13, tls.VersionTLS13},
		{"TLS 1.2 by default", tlsauth.Options{CertificateFile: certificate, KeyFile: key}, tls.VersionTLS12, tls.VersionTLS12},
		{"TLS 1.1 never", tlsauth.Options{CertificateFile: certificate, KeyFile: key}, tls.VersionTLS11, 0},
		{"TLS 1.2 where 1.3 is asked for", tlsauth.Options{CertificateFile: certificate, KeyFile: key, MinVersion: tls.VersionTLS13}, tls.VersionTLS12, 0},
		{"TLS 1.3 where 1.3 is asked for", tlsauth.Options{CertificateFile: certificate, KeyFile: key, MinVersion: tls.VersionTLS13}, tls.VersionTLS13, tls.VersionTLS13},
	} {
		t.Run(row.name, func(t *testing.T) {
			config, _, err := row.options.Config()
			if err != nil {
				t.Fatal(err)
			}
			clientSide, serverSide := net.Pipe()
			defer clientSide.Close()
			go func() {
				defer serverSide.Close()
				_ = tls.Server(serverSide, config).Handshake()
			}()
			client := tls.Client(clientSide, &tls.Config{
				RootCAs: ca.Pool(), ServerName: "localhost", NextProtos: []string{"h2", "http/1.1"},
				MinVersion: tls.VersionTLS10, MaxVersion: row.max,
			})
			err = client.Handshake()
			state := client.ConnectionState()
			switch {
			case row.want == 0 && err == nil:
				t.Errorf("handshake with %s went through", tls.VersionName(state.Version))
			case row.want == 0:
			case err != nil:
				t.Errorf("handshake: %v", err)
			case state.Version != row.want || state.NegotiatedProtocol != "http/1.1":
				t.Errorf("got %s, %q; want %s, http/1.1", tls.VersionName(state.Version), state.NegotiatedProtocol, tls.VersionName(row.want))
			}
		})
	}
}
