package tlsauth_test

import (
	"crypto/tls"
	"crypto/x509"
	"testing"

	"overlay/tlsauth"
)

// Which hosts may be asked for on a connection that was made for a name.
func TestMisdirected(t *testing.T) {
	f := newFixture(t)
	certificate := func(names ...string) tlsauth.Certificate {
		file, key := f.serverCA.Issue(t, func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = names, nil }).Files(t)
		return tlsauth.Certificate{File: file, KeyFile: key}
	}
	several := []tlsauth.Certificate{certificate("a.test", "also-a.test"), certificate("b.test"), certificate("*.b.test"), certificate("c.test", "b.test")}
	one := several[:1]
	for _, row := range []struct {
		name         string
		certificates []tlsauth.Certificate
		elsewhere    []string // with certificates that come from an ACME authority
		sni, host    string
		want         bool
	}{
		{"the name asked for", several, nil, "a.test", "a.test", false},
		{"in other letters", several, nil, "a.test", "A.TEST", false},
		{"with a dot behind it", several, nil, "a.test", "a.test.", false},
		{"another name of the certificate", several, nil, "a.test", "also-a.test", false},
		{"the other way round", several, nil, "also-a.test", "a.test", false},
		{"a name with a certificate of its own", several, nil, "a.test", "b.test", true},
		{"the same in other letters", several, nil, "a.test", "B.test", true},
		{"back from there", several, nil, "b.test", "a.test", true},
		{"a name of a wildcard", several, nil, "b.test", "www.b.test", true},
		{"two names of a wildcard", several, nil, "www.b.test", "img.b.test", false},
		{"one of two certificates holds for both", several, nil, "b.test", "c.test", false},
		{"a name without a certificate", several, nil, "a.test", "nobody.test", false},
		{"the default certificate, another name without one", several, nil, "nobody.test", "no-one.test", false},
		{"the default certificate, a name that has one", several, nil, "nobody.test", "b.test", true},
		{"an address", several, nil, "a.test", "192.0.2.7", false},
		{"an IPv6 address", several, nil, "a.test", "[::1]", false},
		{"no host", several, nil, "a.test", "", false},
		{"no name asked for", several, nil, "", "b.test", false},
		{"one certificate", one, nil, "a.test", "b.test", false},
		{"from the authority", one, []string{"x.test", "y.test"}, "x.test", "x.test", false},
		{"two from the authority", one, []string{"x.test", "y.test"}, "x.test", "y.test", true},
		{"from a file, then from the authority", one, []string{"x.test"}, "a.test", "x.test", true},
		{"from the authority, then from a file", one, []string{"x.test"}, "x.test", "a.test", true},
		{"two of a file beside the authority", one, []string{"x.test"}, "a.test", "also-a.test", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			options := tlsauth.Options{Certificates: row.certificates, Names: row.elsewhere}
			s := newServer(t, options)
			client := s.Client(tls.ConnectionState{ServerName: row.sni})
			for range 2 { // the second answer is the one that is remembered
				if got := s.Misdirected(client, []byte(row.host)); got != row.want {
					t.Errorf("SNI %q, Host %q: %v, want %v", row.sni, row.host, got, row.want)
				}
			}
		})
	}
	s := newServer(t, tlsauth.Options{Certificates: several})
	if s.Misdirected(nil, []byte("b.test")) {
		t.Error("without TLS")
	}
	// What is remembered is of the host asked for last.
	client := s.Client(tls.ConnectionState{ServerName: "a.test"})
	for range 2 {
		if s.Misdirected(client, []byte("also-a.test")) || !s.Misdirected(client, []byte("b.test")) {
			t.Error("the answer for one host is given for another")
		}
	}
}
