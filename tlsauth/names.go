package tlsauth

import (
	"bytes"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"strings"
)

// Object identifiers of attributes (RFC 5280 appendix A, RFC 4519).
var (
	oidCommonName         = asn1.ObjectIdentifier{2, 5, 4, 3}
	oidOrganization       = asn1.ObjectIdentifier{2, 5, 4, 10}
	oidOrganizationalUnit = asn1.ObjectIdentifier{2, 5, 4, 11}
	oidEmail              = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}
)

// attributes gives for each known attribute its short name in a distinguished name
// (as OpenSSL writes it) and in the variables of mod_ssl, "" for none there.
var attributes = []struct {
	oid            asn1.ObjectIdentifier
	text, variable string
}{
	{asn1.ObjectIdentifier{2, 5, 4, 6}, "C", "C"},
	{asn1.ObjectIdentifier{2, 5, 4, 8}, "ST", "ST"},
	{asn1.ObjectIdentifier{2, 5, 4, 7}, "L", "L"},
	{oidOrganization, "O", "O"},
	{oidOrganizationalUnit, "OU", "OU"},
	{oidCommonName, "CN", "CN"},
	{asn1.ObjectIdentifier{2, 5, 4, 12}, "title", "T"},
	{asn1.ObjectIdentifier{2, 5, 4, 43}, "initials", "I"},
	{asn1.ObjectIdentifier{2, 5, 4, 42}, "GN", "G"},
	{asn1.ObjectIdentifier{2, 5, 4, 4}, "SN", "S"},
	{asn1.ObjectIdentifier{2, 5, 4, 13}, "description", "D"},
	{asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 1}, "UID", "UID"},
	{oidEmail, "emailAddress", "Email"},
	{asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 25}, "DC", ""},
	{asn1.ObjectIdentifier{2, 5, 4, 5}, "serialNumber", ""},
	{asn1.ObjectIdentifier{2, 5, 4, 9}, "street", ""},
	{asn1.ObjectIdentifier{2, 5, 4, 17}, "postalCode", ""},
}

// parseName reads a name in DER. What crypto/x509 accepted always parses; a name
// that does not has no attributes.
func parseName(raw []byte) (name pkix.RDNSequence) {
	if rest, err := asn1.Unmarshal(raw, &name); err != nil || len(rest) > 0 {
		return nil
	}
	return name
}

// attributeValues returns the values that the name raw has for oid, in order.
func attributeValues(raw []byte, oid asn1.ObjectIdentifier) (values []string) {
	for _, set := range parseName(raw) {
		for _, attribute := range set {
			if text, ok := attribute.Value.(string); ok && attribute.Type.Equal(oid) {
				values = append(values, text)
			}
		}
	}
	return values
}

// distinguishedName writes a name in DER as RFC 2253 has it, the last attribute
// first, as mod_ssl and nginx do. Control characters are escaped, so that it can
// stand in a log and in an environ.
func distinguishedName(raw []byte) string {
	name := parseName(raw)
	var out strings.Builder
	for i := len(name) - 1; i >= 0; i-- {
		for j, attribute := range name[i] {
			switch {
			case j > 0:
				out.WriteByte('+')
			case out.Len() > 0:
				out.WriteByte(',')
			}
			writeAttribute(&out, attribute)
		}
	}
	return out.String()
}

func writeAttribute(out *strings.Builder, attribute pkix.AttributeTypeAndValue) {
	short := attribute.Type.String()
	for _, known := range attributes {
		if known.oid.Equal(attribute.Type) {
			short = known.text
		}
	}
	out.WriteString(short)
	out.WriteByte('=')
	text, ok := attribute.Value.(string)
	if !ok {
		der, err := asn1.Marshal(attribute.Value)
		if err != nil {
			der = fmt.Append(nil, attribute.Value)
		}
		out.WriteByte('#')
		out.WriteString(hex.EncodeToString(der))
		return
	}
	for i := 0; i < len(text); i++ {
		c := text[i]
		first, last := i == 0, i == len(text)-1
		switch {
		case c < ' ' || c == 0x7f:
			fmt.Fprintf(out, `\%02X`, c)
		case strings.IndexByte(`,+"\<>;`, c) >= 0, first && (c == '#' || c == ' '), last && c == ' ':
			out.WriteByte('\\')
			out.WriteByte(c)
		default:
			out.WriteByte(c)
		}
	}
}

// printable returns text with control characters escaped as distinguishedName
// does: no line of a log, and no value of an environ, is ended by a certificate.
func printable(text string) string {
	if strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) < 0 {
		return text
	}
	var out bytes.Buffer
	for i := 0; i < len(text); i++ {
		if c := text[i]; c < ' ' || c == 0x7f {
			fmt.Fprintf(&out, `\%02X`, c)
		} else {
			out.WriteByte(c)
		}
	}
	return out.String()
}
