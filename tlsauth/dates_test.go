package tlsauth_test

import (
	"crypto/x509"
	"testing"
	"time"

	"overlay/tlsauth"
	"overlay/tlsauth/tlstest"
)

// Dates follow the files, and tell of each where it is from.
func TestDates(t *testing.T) {
	f := newFixture(t)
	s := newServer(t, f.options(t))
	find := func(kind tlsauth.DateKind) tlsauth.Date {
		t.Helper()
		var found []tlsauth.Date
		for _, d := range s.Dates() {
			if d.Kind == kind {
				found = append(found, d)
			}
		}
		if len(found) != 1 {
			t.Fatalf("%d dates of kind %s, want 1", len(found), kind)
		}
		return found[0]
	}
	if d := find(tlsauth.DateCertificate); d.Name != "CN=localhost" || d.File == "" || d.Serial == "" || !d.End.Equal(f.server.Certificate.NotAfter) {
		t.Errorf("certificate: %+v", d)
	}
	if d := find(tlsauth.DateTrustAnchor); d.Name != "CN=overlay test authority" || d.File != f.anchors || !d.End.Equal(f.ca.Certificate.NotAfter) {
		t.Errorf("trust anchor: %+v", d)
	}
	later := time.Now().Add(5 * time.Hour).Truncate(time.Second)
	f.write(t, f.revoked, f.ca.Revoke(t, nil, func(l *x509.RevocationList) { l.NextUpdate = later }))
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	if d := find(tlsauth.DateRevocationList); d.Name != "CN=overlay test authority" || !d.End.Equal(later) {
		t.Errorf("revocation list: %+v", d)
	}
	// A certificate that is replaced takes its date with it.
	options := f.options(t)
	next := f.serverCA.Issue(t, func(c *x509.Certificate) { c.NotAfter = later })
	s = newServer(t, options)
	f.write(t, options.CertificateFile, next.CertificatePEM)
	f.write(t, options.KeyFile, next.KeyPEM)
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	if d := find(tlsauth.DateCertificate); !d.End.Equal(later) {
		t.Errorf("after a reload: %+v", d)
	}
	// Without trust anchors there is the certificate alone.
	certificate, key := tlstest.NewCA(t).Issue(t).Files(t)
	s = newServer(t, tlsauth.Options{CertificateFile: certificate, KeyFile: key})
	if n := len(s.Dates()); n != 1 {
		t.Errorf("%d dates, want 1", n)
	}
}
