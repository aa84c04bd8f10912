package tlsauth

import (
	"crypto/x509"
	"encoding/asn1"
	"unicode/utf8"
)

// Forms of otherName that have variables (mod_ssl's SSL_CLIENT_SAN_OTHER_msUPN_n and
// SSL_SERVER_SAN_OTHER_dnsSRV_n).
var (
	oidAlternativeName = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidPrincipalName   = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 20, 2, 3} // Microsoft's user principal name
	oidServiceName     = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 8, 7}       // SRVName, RFC 4985
)

// otherNames returns the alternative names of c that have the form oid, which
// crypto/x509 leaves out (RFC 5280 section 4.2.1.6).
func otherNames(c *x509.Certificate, oid asn1.ObjectIdentifier) (names []string) {
	for _, e := range c.Extensions {
		if e.Id.Equal(oidAlternativeName) {
			names = append(names, parseOtherNames(e.Value, oid)...)
		}
	}
	return names
}

// parseOtherNames reads the extension der, a sequence of names. What is not as it
// should be is left out: crypto/x509 has accepted the extension.
func parseOtherNames(der []byte, oid asn1.ObjectIdentifier) (names []string) {
	var sequence asn1.RawValue
	if rest, err := asn1.Unmarshal(der, &sequence); err != nil || len(rest) > 0 || sequence.Tag != asn1.TagSequence || !sequence.IsCompound {
		return nil
	}
	for rest := sequence.Bytes; len(rest) > 0; {
		var name asn1.RawValue
		var err error
		if rest, err = asn1.Unmarshal(rest, &name); err != nil {
			return names
		}
		if name.Class != asn1.ClassContextSpecific || name.Tag != 0 {
			continue
		}
		if text, ok := otherName(name.Bytes, oid); ok {
			names = append(names, text)
		}
	}
	return names
}

// otherName returns the text of one: its form, and the value in an explicit tag.
func otherName(der []byte, want asn1.ObjectIdentifier) (text string, ok bool) {
	var form asn1.ObjectIdentifier
	rest, err := asn1.Unmarshal(der, &form)
	if err != nil || !form.Equal(want) {
		return "", false
	}
	var wrapped, value asn1.RawValue
	if rest, err = asn1.Unmarshal(rest, &wrapped); err != nil || len(rest) > 0 || wrapped.Class != asn1.ClassContextSpecific || wrapped.Tag != 0 {
		return "", false
	}
	if rest, err = asn1.Unmarshal(wrapped.Bytes, &value); err != nil || len(rest) > 0 || value.Class != asn1.ClassUniversal {
		return "", false
	}
	if value.Tag != asn1.TagUTF8String && value.Tag != asn1.TagIA5String || value.IsCompound || !utf8.Valid(value.Bytes) {
		return "", false
	}
	return string(value.Bytes), true
}
