package tlsauth

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// ErrPattern is why a rule about a certificate is refused.
var ErrPattern = errors.New("tlsauth: rule is not NAME=VALUE")

// PatternNames lists the names that a rule may test, for help texts.
var PatternNames = []string{"cn", "ou", "o", "email", "dns", "uri", "issuer", "serial", "sha256"}

// pattern is a rule about a certificate: conditions that must all hold, such as
// "ou=Staff and email=*@example.org".
type pattern []condition

// condition wants one of the values that a certificate has under name to fit glob.
type condition struct {
	name string
	glob string
}

// parsePattern reads conditions NAME=VALUE with " and " between them. In VALUE *
// stands for any text, also none; a serial number and a fingerprint are hexadecimal,
// with or without colons, and whole.
func parsePattern(text string) (pattern, error) {
	var p pattern
	for part := range strings.SplitSeq(text, " and ") {
		name, value, found := strings.Cut(part, "=")
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
		if !found || value == "" || strings.IndexFunc(value, unicode.IsControl) >= 0 {
			return nil, fmt.Errorf("%w: %q; NAME is one of %s", ErrPattern, part, strings.Join(PatternNames, ", "))
		}
		var err error
		switch name {
		case "cn", "ou", "o", "issuer", "uri":
		case "email", "dns":
			value = strings.ToLower(value)
		case "serial":
			value, err = hexDigits(value)
			value = strings.TrimLeft(value, "0")
		case "sha256":
			if value, err = hexDigits(value); err == nil && len(value) != 2*sha256.Size {
				err = fmt.Errorf("got %d hexadecimal digits, want %d", len(value), 2*sha256.Size)
			}
		default:
			return nil, fmt.Errorf("%w: got the name %q, want one of %s", ErrPattern, name, strings.Join(PatternNames, ", "))
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %q: %w", ErrPattern, part, err)
		}
		p = append(p, condition{name, value})
	}
	return p, nil
}

// hexDigits returns value in lower case without colons.
func hexDigits(value string) (string, error) {
	value = strings.ToLower(strings.ReplaceAll(value, ":", ""))
	for _, c := range value {
		if !strings.ContainsRune("0123456789abcdef", c) {
			return "", fmt.Errorf("%q is not a hexadecimal digit", c)
		}
	}
	return value, nil
}

// ValidPattern tells why text is not a rule about a certificate, nil if it is one.
func ValidPattern(text string) error {
	_, err := parsePattern(text)
	return err
}

// Fingerprint returns the SHA-256 of c as a rule has it: 64 hexadecimal digits.
func Fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

// matches reports whether every condition holds for the certificate that chain
// starts with. chain is verified.
func (p pattern) matches(chain []*x509.Certificate) bool {
	for _, c := range p {
		if !c.holds(chain) {
			return false
		}
	}
	return len(p) > 0
}

func (c condition) holds(chain []*x509.Certificate) bool {
	leaf := chain[0]
	switch c.name {
	case "serial":
		return leaf.SerialNumber.Text(16) == c.glob
	case "sha256":
		return Fingerprint(leaf) == c.glob
	}
	for _, value := range valuesOf(leaf, c.name) {
		// An empty name is no name: cn=* asks for somebody.
		if value != "" && glob(c.glob, value) {
			return true
		}
	}
	return false
}

// valuesOf returns what c says under name.
func valuesOf(c *x509.Certificate, name string) (values []string) {
	switch name {
	case "cn":
		return attributeValues(c.RawSubject, oidCommonName)
	case "ou":
		return attributeValues(c.RawSubject, oidOrganizationalUnit)
	case "o":
		return attributeValues(c.RawSubject, oidOrganization)
	case "email":
		for _, email := range append(attributeValues(c.RawSubject, oidEmail), c.EmailAddresses...) {
			values = append(values, strings.ToLower(email))
		}
	case "dns":
		for _, dns := range c.DNSNames {
			values = append(values, strings.ToLower(dns))
		}
	case "uri":
		for _, uri := range c.URIs {
			values = append(values, uri.String())
		}
	case "issuer":
		return append(attributeValues(c.RawIssuer, oidCommonName), distinguishedName(c.RawIssuer))
	}
	return values
}

// glob reports whether text fits pattern, in which * stands for any text.
func glob(pattern, text string) bool {
	first, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == text
	}
	text, ok := strings.CutPrefix(text, first)
	if !ok {
		return false
	}
	for {
		part, more, star := strings.Cut(rest, "*")
		if !star {
			return strings.HasSuffix(text, part)
		}
		i := strings.Index(text, part)
		if i < 0 {
			return false
		}
		text, rest = text[i+len(part):], more
	}
}
