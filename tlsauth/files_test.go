package tlsauth_test

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"overlay/tlsauth"
	"overlay/tlsauth/tlstest"
)

var criticalUnknown = pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}, Critical: true, Value: []byte{5, 0}}

// What is refused at start-up, and what it says.
func TestAnchorAndListErrors(t *testing.T) {
	f := newFixture(t)
	stranger := tlstest.NewCA(t)
	list := func(changes ...func(*x509.RevocationList)) []byte { return f.ca.Revoke(t, nil, changes...) }
	for _, row := range []struct {
		name              string
		anchors, revoked  []byte
		change            func(*tlsauth.Options)
		want              error
		text              string
		anchorFileMissing bool
	}{
		{name: "good"},
		{name: "list in PEM", revoked: pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: list()})},
		{name: "anchors missing", anchorFileMissing: true, want: fs.ErrNotExist, text: "load trust anchors: open "},
		{name: "anchors empty", anchors: []byte("\n"), want: tlsauth.ErrNoAnchors, text: "ca.pem"},
		{name: "anchors of a key alone", anchors: f.server.KeyPEM, want: tlsauth.ErrNoAnchors, text: "ca.pem"},
		{name: "a certificate that is no authority", anchors: f.server.CertificatePEM, want: tlsauth.ErrNotAnchor, text: "CN=localhost"},
		{name: "one broken certificate among good ones", anchors: append(f.ca.PEM(), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"...), text: "certificate 2"},
		{name: "list empty", revoked: []byte{}, want: tlsauth.ErrNoRevocationList, text: "ca.crl"},
		{name: "list is a certificate", revoked: f.ca.PEM(), want: tlsauth.ErrNoRevocationList, text: "ca.crl"},
		{name: "list cut short", revoked: list()[:60], want: tlsauth.ErrNoRevocationList, text: "ca.crl"},
		{name: "list of another with the same name", revoked: stranger.Revoke(t, nil), text: "by CN=overlay test authority"},
		{name: "list of an unknown authority", revoked: stranger.NewCA(t, "unknown").Revoke(t, nil), text: "not among the trust anchors"},
		{name: "delta list", revoked: list(func(l *x509.RevocationList) {
			l.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 27}, Critical: true, Value: []byte{2, 1, 1}}}
		}), want: tlsauth.ErrPartialList},
		{name: "unknown critical extension", revoked: list(func(l *x509.RevocationList) { l.ExtraExtensions = []pkix.Extension{criticalUnknown} }), want: tlsauth.ErrPartialList},
		{name: "rules without anchors", change: func(o *tlsauth.Options) { o.AnchorFile = "" }, want: tlsauth.ErrNoAnchorFile},
		{name: "no certificate", change: func(o *tlsauth.Options) { o.CertificateFile = "" }, want: tlsauth.ErrNothingToShow},
		{name: "rule without a slash", change: func(o *tlsauth.Options) { o.Rules = []tlsauth.Rule{{Path: "private"}} }, want: tlsauth.ErrRulePath},
		{name: "rule that no path has", change: func(o *tlsauth.Options) { o.Rules = []tlsauth.Rule{{Path: "/a/../b"}} }, want: tlsauth.ErrRulePath},
		{name: "rules that differ in case", change: func(o *tlsauth.Options) { o.Rules = []tlsauth.Rule{{Path: "/a"}, {Path: "/A"}} }, want: tlsauth.ErrRuleTwice},
		{name: "bad pattern", change: func(o *tlsauth.Options) { o.Rules = []tlsauth.Rule{{Path: "/", Allow: []string{"alice"}}} }, want: tlsauth.ErrPattern, text: "alice"},
		{name: "highest version below the lowest", change: func(o *tlsauth.Options) { o.MinVersion, o.MaxVersion = tls.VersionTLS13, tls.VersionTLS12 }, want: tlsauth.ErrMinVersion},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := &fixture{dir: t.TempDir(), server: f.server, log: f.log, ca: f.ca}
			f.anchors, f.revoked = filepath.Join(f.dir, "ca.pem"), filepath.Join(f.dir, "ca.crl")
			if row.anchors == nil {
				row.anchors = f.ca.PEM()
			}
			if row.revoked == nil {
				row.revoked = list()
			}
			f.write(t, f.anchors, row.anchors)
			f.write(t, f.revoked, row.revoked)
			if row.anchorFileMissing {
				if err := os.Remove(f.anchors); err != nil {
					t.Fatal(err)
				}
			}
			options := f.options(t)
			if row.change != nil {
				row.change(&options)
			}
			s, err := tlsauth.New(options)
			if wantErr := row.want != nil || row.text != ""; (err != nil) != wantErr {
				t.Fatalf("New = %v, %v", s, err)
			}
			if row.want != nil && !errors.Is(err, row.want) {
				t.Errorf("error %v, want %v", err, row.want)
			}
			if err != nil && !strings.Contains(err.Error(), row.text) {
				t.Errorf("error %q, want %q in it", err, row.text)
			}
		})
	}
}

// Files that change are read again; a broken one changes nothing, and is named.
func TestWatchReloads(t *testing.T) {
	f := newFixture(t)
	options := f.options(t)
	list := filepath.Join(f.dir, "allowed")
	alice, bob := f.ca.Issue(t, named("alice")), f.ca.Issue(t, named("bob"))
	f.write(t, list, []byte("# friends\n\ncn=alice\n"))
	options.Rules = []tlsauth.Rule{{Path: "/", AllowFiles: []string{list}}}
	s := newServer(t, options)
	watch(t, s, nil)
	a, b := f.clientOf(t, s, f.clientConfig(alice.TLS(t))), f.clientOf(t, s, f.clientConfig(bob.TLS(t)))
	want := func(when string, wantA, wantB tlsauth.Verdict) {
		t.Helper()
		pollUntil(t, when, func() bool {
			return s.Decide(a, []byte("/x")) == wantA && s.Decide(b, []byte("/x")) == wantB
		})
	}
	want("the start", tlsauth.Passed, tlsauth.NotListed)
	f.write(t, list, []byte("cn=bob\n"))
	want("the list to change", tlsauth.NotListed, tlsauth.Passed)
	f.write(t, f.revoked, f.ca.Revoke(t, []*tlstest.Leaf{bob}))
	want("bob to be revoked", tlsauth.NotListed, tlsauth.Revoked)
	before := s.Generation()
	f.write(t, list, []byte("bob is welcome\n"))
	pollUntil(t, "a complaint", func() bool { return f.log.contains("allowed:1") })
	if s.Generation() != before {
		t.Error("a broken file was taken")
	}
	f.write(t, list, nil)
	f.write(t, f.revoked, f.ca.Revoke(t, nil))
	want("the empty list to lock everybody out", tlsauth.NotListed, tlsauth.NotListed)

	// A new certificate of the server: both files change, neither order matters.
	next := f.serverCA.Issue(t)
	f.write(t, options.KeyFile, next.KeyPEM)
	f.write(t, options.CertificateFile, next.CertificatePEM)
	pollUntil(t, "the new certificate", func() bool {
		state, _, err := connect(t, s, f.clientConfig())
		return err == nil && state.PeerCertificates[0].Equal(next.Certificate)
	})
}

// SIGHUP reads again what looks unchanged.
func TestHangup(t *testing.T) {
	f := newFixture(t)
	s := newServer(t, f.options(t))
	hangup := make(chan os.Signal)
	watch(t, s, hangup)
	before := s.Generation()
	hangup <- syscall.SIGHUP
	pollUntil(t, "a new generation", func() bool { return s.Generation() != before })
}

// The certificate follows the name that a client asks for.
func TestServerNames(t *testing.T) {
	f := newFixture(t)
	options := f.options(t)
	host := func(name string) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.DNSNames, c.Subject.CommonName = []string{name}, name }
	}
	for _, name := range []string{"a.example", "*.b.example"} {
		certificate, key := f.serverCA.Issue(t, host(name)).Files(t)
		options.Certificates = append(options.Certificates, tlsauth.Certificate{File: certificate, KeyFile: key})
	}
	s := newServer(t, options)
	for name, want := range map[string]string{
		"a.example": "a.example", "A.Example": "a.example", "x.b.example": "*.b.example", "b.example": "localhost", "unknown": "localhost", "": "localhost",
	} {
		config := f.clientConfig()
		config.ServerName, config.InsecureSkipVerify = name, true
		state, _, err := connect(t, s, config)
		if err != nil {
			t.Fatal(err)
		}
		if got := state.PeerCertificates[0].Subject.CommonName; got != want {
			t.Errorf("%q: got the certificate of %s, want %s", name, got, want)
		}
	}
}

// Intermediates of a file of their own reach the client.
func TestChainFile(t *testing.T) {
	f := newFixture(t)
	lower := f.serverCA.NewCA(t, "lower")
	certificate, key := lower.Issue(t).Files(t)
	chain := filepath.Join(f.dir, "chain.pem")
	f.write(t, chain, lower.PEM())
	options := tlsauth.Options{Certificates: []tlsauth.Certificate{{File: certificate, KeyFile: key, ChainFile: chain}}}
	if _, _, err := connect(t, newServer(t, options), f.clientConfig()); err != nil {
		t.Errorf("with the chain: %v", err)
	}
	options.Certificates[0].ChainFile = ""
	if _, _, err := connect(t, newServer(t, options), f.clientConfig()); err == nil {
		t.Error("without the chain the client believes the server all the same")
	}
	f.write(t, chain, f.server.KeyPEM)
	options.Certificates[0].ChainFile = chain
	if _, err := tlsauth.New(options); !errors.Is(err, tlsauth.ErrNoCertificate) {
		t.Errorf("a key as chain: %v", err)
	}
}

func TestWarnings(t *testing.T) {
	f := newFixture(t)
	start := time.Now()
	now := start
	options := f.options(t)
	options.Now = func() time.Time { return now }
	s := newServer(t, options)
	if got := strings.Join(s.Warnings(), "\n"); !strings.Contains(got, "the revocation list of CN=overlay test authority is good until") ||
		!strings.Contains(got, "the trust anchor CN=overlay test authority expires at") {
		t.Errorf("warnings %q", got)
	}
	now = start.Add(2 * time.Hour)
	if got := strings.Join(s.Warnings(), "\n"); !strings.Contains(got, "is out of date since") || !strings.Contains(got, "has expired at") {
		t.Errorf("warnings %q", got)
	}
	other := tlstest.NewCA(t)
	f.write(t, f.anchors, append(f.ca.PEM(), other.NewCA(t, "other").PEM()...))
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(s.Warnings(), "\n"); !strings.Contains(got, "no revocation list of the trust anchor CN=other") {
		t.Errorf("warnings %q", got)
	}
	if got, want := s.Expiry(), f.server.Certificate.NotAfter; !got.Equal(want) {
		t.Errorf("Expiry = %v, want %v", got, want)
	}
}
