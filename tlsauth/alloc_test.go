//go:build !race

package tlsauth_test

import (
	"crypto/x509"
	"testing"

	"overlay/tlsauth"
)

// What is asked for each request allocates nothing.
func TestRequestsAllocateNothing(t *testing.T) {
	f := newFixture(t)
	options := f.options(t)
	options.Rules = []tlsauth.Rule{{Path: "/private"}, {Path: "/private/alice", Allow: []string{"cn=alice"}}}
	file, key := f.serverCA.Issue(t, func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = []string{"localhost", "also.test"}, nil }).Files(t)
	options.Certificates = []tlsauth.Certificate{{File: file, KeyFile: key}}
	s := newServer(t, options)
	client := f.clientOf(t, s, f.clientConfig(f.ca.Issue(t, named("alice")).TLS(t)))
	hosts := [][]byte{[]byte("Localhost"), []byte("also.test")}
	for _, path := range []string{"/", "/private/a", "/private/alice/b", "//private", "/\u00e9t\u00e9"} {
		path := []byte(path)
		if n := testing.AllocsPerRun(1000, func() {
			_ = s.Decide(client, path)
			_ = client.Environ()
			for _, host := range hosts {
				if s.Misdirected(client, host) {
					t.Error("misdirected")
				}
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", path, n)
		}
	}
}

func BenchmarkDecide(b *testing.B) {
	f := newFixture(b)
	options := f.options(b)
	options.Rules = []tlsauth.Rule{{Path: "/private"}, {Path: "/private/alice", Allow: []string{"cn=alice"}}}
	s := newServer(b, options)
	client := f.clientOf(b, s, f.clientConfig(f.ca.Issue(b, named("alice")).TLS(b)))
	path := []byte("/private/alice/photo.jpg")
	b.ReportAllocs()
	for b.Loop() {
		if s.Decide(client, path) != tlsauth.Passed {
			b.Fatal("refused")
		}
	}
}
