package tlsauth_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"overlay/tlsauth"
)

var (
	oidUPN = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 20, 2, 3}
	oidSRV = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 8, 7}
)

// otherName makes an otherName with a value in DER.
func otherName(t testing.TB, oid asn1.ObjectIdentifier, value asn1.RawValue) asn1.RawValue {
	t.Helper()
	inner, err := asn1.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	form, err := asn1.Marshal(oid)
	if err != nil {
		t.Fatal(err)
	}
	wrapped, err := asn1.Marshal(asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: inner})
	if err != nil {
		t.Fatal(err)
	}
	return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: append(form, wrapped...)}
}

func text(tag int, text string) asn1.RawValue { return asn1.RawValue{Tag: tag, Bytes: []byte(text)} }

// alternativeNames makes the extension.
func alternativeNames(t testing.TB, names ...asn1.RawValue) []byte {
	t.Helper()
	der, err := asn1.Marshal(names)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestOtherNames(t *testing.T) {
	dns := asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 2, Bytes: []byte("a.example")}
	upn := func(value string) asn1.RawValue { return otherName(t, oidUPN, text(asn1.TagUTF8String, value)) }
	for _, row := range []struct {
		name string
		der  []byte
		want []string
	}{
		{"one", alternativeNames(t, upn("alice@corp.example")), []string{"alice@corp.example"}},
		{"two among others", alternativeNames(t, upn("a@x"), dns, upn("b@x")), []string{"a@x", "b@x"}},
		{"ISO 646", alternativeNames(t, otherName(t, oidUPN, text(asn1.TagIA5String, "a@x"))), []string{"a@x"}},
		{"of another form", alternativeNames(t, otherName(t, oidSRV, text(asn1.TagIA5String, "_http.x"))), nil},
		{"a number", alternativeNames(t, otherName(t, oidUPN, text(asn1.TagInteger, "\x01"))), nil},
		{"bytes that are no text", alternativeNames(t, upn("\xff")), nil},
		{"none", alternativeNames(t, dns), nil},
		{"empty", alternativeNames(t), nil},
		{"no extension", nil, nil},
		{"cut short", alternativeNames(t, upn("alice@corp.example"))[:20], nil},
		{"bytes behind it", append(alternativeNames(t, upn("a@x")), 0), nil},
		{"not a sequence", []byte{2, 1, 1}, nil},
	} {
		if got := tlsauth.OtherNames(row.der); !slices.Equal(got, row.want) {
			t.Errorf("%s: got %q, want %q", row.name, got, row.want)
		}
	}
}

// Names are text, whatever the extension is.
func FuzzOtherNames(f *testing.F) {
	f.Add(alternativeNames(f, otherName(f, oidUPN, text(asn1.TagUTF8String, "alice@corp.example"))))
	f.Add([]byte{0x30, 0x80})
	f.Fuzz(func(t *testing.T, der []byte) {
		for _, name := range tlsauth.OtherNames(der) {
			if !utf8.ValidString(name) || !strings.Contains(string(der), name) {
				t.Errorf("%x: %q", der, name)
			}
		}
	})
}

// What the application sees of such names; control characters end no line of a log.
func TestOtherNamesInEnviron(t *testing.T) {
	f := newFixture(t)
	extension := func(names ...asn1.RawValue) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			localhost := asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 2, Bytes: []byte("localhost")}
			c.DNSNames, c.IPAddresses = nil, nil
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: alternativeNames(t, append(names, localhost)...)}}
		}
	}
	f.server = f.serverCA.Issue(t, extension(otherName(t, oidSRV, text(asn1.TagIA5String, "_https.localhost"))))
	options := f.options(t)
	options.ServerEnviron, options.UserName = true, "SSL_CLIENT_SAN_OTHER_msUPN_0"
	s := newServer(t, options)
	upn := func(value string) asn1.RawValue { return otherName(t, oidUPN, text(asn1.TagUTF8String, value)) }
	client := f.ca.Issue(t, extension(upn("alice@corp.example"), upn("a\nb")))
	got := variables(t, f.clientOf(t, s, f.clientConfig(client.TLS(t))).Environ())
	for name, want := range map[string]string{
		"SSL_CLIENT_SAN_OTHER_msUPN_0": "alice@corp.example", "SSL_CLIENT_SAN_OTHER_msUPN_1": `a\0Ab`, "SSL_CLIENT_SAN_OTHER_msUPN_2": "",
		"SSL_CLIENT_SAN_DNS_0": "localhost", "SSL_SERVER_SAN_OTHER_dnsSRV_0": "_https.localhost", "SSL_SERVER_SAN_DNS_0": "localhost",
		"REMOTE_USER": "alice@corp.example",
	} {
		if got[name] != want {
			t.Errorf("%s = %q, want %q", name, got[name], want)
		}
	}
	// What a certificate that does not pass says of itself is not told.
	stranger := f.serverCA.Issue(t, extension(upn("root@corp.example")))
	if got := variables(t, f.clientOf(t, s, f.clientConfig(stranger.TLS(t))).Environ()); got["SSL_CLIENT_SAN_OTHER_msUPN_0"] != "" {
		t.Errorf("of an unknown authority: %q", got)
	}
}
