package tlsauth_test

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"testing"

	"overlay/tlsauth"
	"overlay/tlsauth/tlstest"
)

// An authority that was taken back takes all that it issued with it.
func TestRevokedIntermediate(t *testing.T) {
	f := newFixture(t)
	lower := f.ca.NewCA(t, "lower authority")
	client := lower.Issue(t)
	s := newServer(t, f.options(t))
	c := f.clientOf(t, s, f.clientConfig(client.TLS(t, lower)))
	if got := s.Decide(c, []byte("/")); got != tlsauth.Passed {
		t.Fatalf("at first: %v", got)
	}
	f.write(t, f.revoked, f.ca.Revoke(t, []*tlstest.Leaf{{Certificate: lower.Certificate}}))
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	if got := s.Decide(c, []byte("/")); got != tlsauth.Revoked {
		t.Errorf("with the authority in between revoked: %v", got)
	}
}

// Lists that do not speak of all certificates of their issuer are refused, whether or
// not they say that it matters (RFC 5280 sections 5.2.5 and 5.3.3).
func TestPartialLists(t *testing.T) {
	f := newFixture(t)
	revoked := []*tlstest.Leaf{f.ca.Issue(t)}
	for _, row := range []struct {
		name   string
		change func(*x509.RevocationList)
		want   error
	}{
		{"complete", func(*x509.RevocationList) {}, nil},
		{"for a part of the certificates", func(l *x509.RevocationList) {
			l.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 28}, Value: []byte{0x30, 0x03, 0x81, 0x01, 0xff}}}
		}, tlsauth.ErrPartialList},
		{"a delta that is not critical", func(l *x509.RevocationList) {
			l.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 27}, Value: []byte{2, 1, 1}}}
		}, tlsauth.ErrPartialList},
		{"an entry of another issuer", func(l *x509.RevocationList) {
			l.RevokedCertificateEntries[0].ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 29}, Critical: true, Value: []byte{0x30, 0}}}
		}, tlsauth.ErrPartialList},
		{"an entry with a reason", func(l *x509.RevocationList) { l.RevokedCertificateEntries[0].ReasonCode = 1 }, nil},
	} {
		f.write(t, f.revoked, f.ca.Revoke(t, revoked, row.change))
		if _, err := tlsauth.New(f.options(t)); !errors.Is(err, row.want) || (err == nil) != (row.want == nil) {
			t.Errorf("%s: %v, want %v", row.name, err, row.want)
		}
	}
}

// The authority of ACME has no client certificate, and is not asked for one; who comes
// by its protocol passes no gate.
func TestACMEChallenge(t *testing.T) {
	f := newFixture(t)
	options := f.options(t)
	options.Verify = tlsauth.Required
	challenge := f.server.TLS(t)
	options.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &challenge, nil }
	s := newServer(t, options)
	for _, row := range []struct {
		protocols []string
		served    bool
	}{{[]string{"acme-tls/1"}, true}, {[]string{"acme-tls/1", "http/1.1"}, false}, {[]string{"http/1.1"}, false}, {nil, false}} {
		config := f.clientConfig()
		config.NextProtos = row.protocols
		_, state, err := connect(t, s, config)
		if (err == nil) != row.served {
			t.Errorf("%q: %v, want served: %v", row.protocols, err, row.served)
		}
		if row.served {
			if got := s.Decide(s.Client(state), []byte("/")); got != tlsauth.NoneSent {
				t.Errorf("%q: Decide = %v", row.protocols, got)
			}
		}
	}
}
