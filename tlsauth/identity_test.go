package tlsauth_test

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"net/url"
	"strings"
	"testing"

	"overlay/tlsauth"
)

// richName gives a certificate something of everything.
func richName(c *x509.Certificate) {
	c.Subject = pkix.Name{CommonName: "Alice Example", OrganizationalUnit: []string{"Staff", "Night"}, Organization: []string{"Example, Ltd"}, Country: []string{"AQ"}}
	c.EmailAddresses = []string{"Alice@example.org"}
	c.DNSNames = []string{"laptop.example.org", "phone.example.org"}
	c.URIs = []*url.URL{{Scheme: "urn", Opaque: "example:alice"}}
	c.IPAddresses = nil
}

// variables takes an Environ apart.
func variables(t testing.TB, e tlsauth.Environ) map[string]string {
	t.Helper()
	names, values := strings.Split(string(e.Names), "\x00"), strings.Split(string(e.Values), "\x00")
	if len(names) != len(values) {
		t.Fatalf("%d names and %d values", len(names), len(values))
	}
	all := map[string]string{}
	for i, name := range names {
		if _, twice := all[name]; twice {
			t.Errorf("%s is there twice", name)
		}
		if values[i] == "" {
			t.Errorf("%s is empty, want it absent", name)
		}
		all[name] = values[i]
	}
	return all
}

func TestEnviron(t *testing.T) {
	f := newFixture(t)
	options := f.options(t)
	options.UserName = "SSL_CLIENT_S_DN_CN"
	s := newServer(t, options)
	rich := f.ca.Issue(t, richName)
	nameless := f.ca.Issue(t, func(c *x509.Certificate) { c.Subject = pkix.Name{} })
	hostile := f.ca.Issue(t, named("x\x00\nSSL_CLIENT_VERIFY=SUCCESS"))
	for _, row := range []struct {
		name    string
		config  *tls.Config
		version uint16
		want    map[string]string // "" means absent
	}{
		{"no certificate", f.clientConfig(), tls.VersionTLS13, map[string]string{
			"HTTPS": "on", "SSL_PROTOCOL": "TLSv1.3", "SSL_CIPHER": "TLS_AES_128_GCM_SHA256", "SSL_CIPHER_USEKEYSIZE": "128",
			"SSL_SESSION_RESUMED": "Initial", "SSL_TLS_SNI": "localhost", "SSL_CLIENT_VERIFY": "NONE",
			"SSL_CLIENT_S_DN": "", "SSL_CLIENT_CERT": "", "REMOTE_USER": "", "SSL_SERVER_S_DN": "",
		}},
		{"TLS 1.2", f.clientConfig(), tls.VersionTLS12, map[string]string{"SSL_PROTOCOL": "TLSv1.2", "SSL_CIPHER": "ECDHE-ECDSA-AES128-GCM-SHA256"}},
		{"a certificate that says much", f.clientConfig(rich.TLS(t)), tls.VersionTLS13, map[string]string{
			"SSL_CLIENT_VERIFY":       "SUCCESS",
			"SSL_CLIENT_S_DN":         `CN=Alice Example,OU=Night+OU=Staff,O=Example\, Ltd,C=AQ`,
			"SSL_CLIENT_S_DN_CN":      "Alice Example",
			"SSL_CLIENT_S_DN_OU":      "Night",
			"SSL_CLIENT_S_DN_OU_0":    "Night",
			"SSL_CLIENT_S_DN_OU_1":    "Staff",
			"SSL_CLIENT_S_DN_O":       "Example, Ltd",
			"SSL_CLIENT_S_DN_C":       "AQ",
			"SSL_CLIENT_S_DN_L":       "",
			"SSL_CLIENT_I_DN":         "CN=overlay test authority",
			"SSL_CLIENT_I_DN_CN":      "overlay test authority",
			"SSL_CLIENT_SAN_Email_0":  "Alice@example.org",
			"SSL_CLIENT_SAN_DNS_0":    "laptop.example.org",
			"SSL_CLIENT_SAN_DNS_1":    "phone.example.org",
			"SSL_CLIENT_SAN_URI_0":    "urn:example:alice",
			"SSL_CLIENT_M_VERSION":    "3",
			"SSL_CLIENT_A_SIG":        "ecdsa-with-SHA256",
			"SSL_CLIENT_A_KEY":        "id-ecPublicKey",
			"SSL_CLIENT_V_REMAIN":     "0",
			"SSL_CLIENT_V_END":        rich.Certificate.NotAfter.UTC().Format("Jan _2 15:04:05 2006 GMT"),
			"SSL_CLIENT_CERT":         string(rich.CertificatePEM),
			"SSL_CLIENT_CERT_CHAIN_0": string(f.ca.PEM()),
			"REMOTE_USER":             "Alice Example",
			"AUTH_TYPE":               "ClientCert",
		}},
		{"a certificate without a name", f.clientConfig(nameless.TLS(t)), tls.VersionTLS13, map[string]string{
			"SSL_CLIENT_VERIFY": "SUCCESS", "SSL_CLIENT_S_DN": "", "SSL_CLIENT_S_DN_CN": "", "REMOTE_USER": "", "AUTH_TYPE": "",
		}},
		{"a name with control characters", f.clientConfig(hostile.TLS(t)), tls.VersionTLS13, map[string]string{
			"SSL_CLIENT_VERIFY": "SUCCESS", "SSL_CLIENT_S_DN_CN": `x\00\0ASSL_CLIENT_VERIFY=SUCCESS`,
			"REMOTE_USER": `x\00\0ASSL_CLIENT_VERIFY=SUCCESS`,
		}},
		{"a certificate that does not pass", f.clientConfig(f.server.TLS(t)), tls.VersionTLS13, map[string]string{
			"SSL_CLIENT_VERIFY": "FAILED:certificate is from an unknown authority", "SSL_CLIENT_S_DN": "", "SSL_CLIENT_CERT": "", "REMOTE_USER": "",
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			row.config.MaxVersion = row.version
			got := variables(t, f.clientOf(t, s, row.config).Environ())
			for name, want := range row.want {
				if got[name] != want {
					t.Errorf("%s = %q, want %q", name, got[name], want)
				}
			}
		})
	}
	options.ServerEnviron = true
	got := variables(t, f.clientOf(t, newServer(t, options), f.clientConfig()).Environ())
	if got["SSL_SERVER_S_DN"] != "CN=localhost" || got["SSL_SERVER_CERT"] != string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.server.Certificate.Raw})) {
		t.Errorf("server's variables: %q", got["SSL_SERVER_S_DN"])
	}
}

func TestDistinguishedName(t *testing.T) {
	attribute := func(id asn1.ObjectIdentifier, value any) pkix.AttributeTypeAndValue {
		return pkix.AttributeTypeAndValue{Type: id, Value: value}
	}
	cn, email, odd := asn1.ObjectIdentifier{2, 5, 4, 3}, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}, asn1.ObjectIdentifier{1, 2, 3}
	for _, row := range []struct {
		name string
		in   pkix.RDNSequence
		want string
	}{
		{"empty", nil, ""},
		{"last first", pkix.RDNSequence{{attribute(cn, "a")}, {attribute(email, "b@c")}}, "emailAddress=b@c,CN=a"},
		{"several in one", pkix.RDNSequence{{attribute(cn, "a"), attribute(cn, "b")}}, "CN=a+CN=b"},
		{"special characters", pkix.RDNSequence{{attribute(cn, `#a,b+"c\<>; `)}}, `CN=\#a\,b\+\"c\\\<\>\;\ `},
		{"control characters", pkix.RDNSequence{{attribute(cn, "a\r\nb\x00")}}, `CN=a\0D\0Ab\00`},
		{"not ASCII", pkix.RDNSequence{{attribute(cn, "ü")}}, "CN=ü"},
		{"unknown attribute", pkix.RDNSequence{{attribute(odd, "x")}}, "1.2.3=x"},
		{"no text", pkix.RDNSequence{{attribute(odd, 5)}}, "1.2.3=#020105"},
	} {
		got, err := tlsauth.DistinguishedName(row.in)
		if err != nil || got != row.want {
			t.Errorf("%s: %q, %v, want %q", row.name, got, err, row.want)
		}
	}
}

func TestProtocolsAndCiphers(t *testing.T) {
	for _, row := range []struct {
		names     []string
		low, high uint16
		refused   bool
	}{
		{[]string{"TLSv1.2"}, tls.VersionTLS12, tls.VersionTLS12, false},
		{[]string{"TLSv1.3"}, tls.VersionTLS13, tls.VersionTLS13, false},
		{[]string{"+TLSv1.3", "tlsv1.2"}, tls.VersionTLS12, tls.VersionTLS13, false},
		{[]string{"TLSv1.1"}, 0, 0, true},
		{[]string{"SSLv3"}, 0, 0, true},
		{[]string{"all"}, 0, 0, true},
	} {
		low, high, err := tlsauth.ParseProtocols(row.names)
		if low != row.low || high != row.high || (err != nil) != row.refused {
			t.Errorf("%q: %x, %x, %v", row.names, low, high, err)
		}
	}
	for _, row := range []struct {
		name string
		want uint16 // 0: refused
	}{
		{"ECDHE-ECDSA-AES128-GCM-SHA256", tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256},
		{"ECDHE-RSA-AES256-GCM-SHA384", tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384},
		{"ECDHE-RSA-CHACHA20-POLY1305", tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256},
		{"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384},
		{"AES128-SHA", 0}, {"ECDHE-RSA-AES128-SHA", 0}, {"RC4-SHA", 0}, {"HIGH", 0}, {"", 0}, {"TLS_AES_128_GCM_SHA256", 0},
	} {
		got, err := tlsauth.ParseCiphers([]string{row.name})
		if (err == nil) != (row.want != 0) || err == nil && got[0] != row.want {
			t.Errorf("%q: %x, %v, want %x", row.name, got, err, row.want)
		}
	}
	if _, err := tlsauth.ParseCiphers([]string{"ECDHE-RSA-AES256-GCM-SHA384", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"}); err == nil {
		t.Error("the same suite twice is accepted")
	}
}

// The suites named are those that are served, and no others.
func TestCiphersServed(t *testing.T) {
	f := newFixture(t)
	options := f.options(t)
	options.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384}
	s := newServer(t, options)
	for suite, want := range map[uint16]bool{
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384:       true,
		tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: false,
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA:          false,
	} {
		config := f.clientConfig()
		config.MaxVersion, config.CipherSuites = tls.VersionTLS12, []uint16{suite}
		if _, _, err := connect(t, s, config); (err == nil) != want {
			t.Errorf("%s: %v, want served: %v", tls.CipherSuiteName(suite), err, want)
		}
	}
}
