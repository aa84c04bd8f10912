package tlsauth

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Reasons why a choice of protocols or ciphers is refused.
var (
	ErrProtocol = errors.New("tlsauth: not a protocol that is served")
	ErrCipher   = errors.New("tlsauth: not a cipher suite that is served")
)

// ParseProtocols reads the names of TLS versions, as --ssl-protocol of Apache has
// them: TLSv1.2, TLSv1.3, or both. It returns the lowest and the highest.
func ParseProtocols(names []string) (lowest, highest uint16, err error) {
	for _, name := range names {
		var version uint16
		switch strings.ToLower(strings.TrimPrefix(name, "+")) {
		case "tlsv1.2":
			version = tls.VersionTLS12
		case "tlsv1.3":
			version = tls.VersionTLS13
		default:
			return 0, 0, fmt.Errorf("%w: got %q, want TLSv1.2 or TLSv1.3", ErrProtocol, name)
		}
		if lowest == 0 || version < lowest {
			lowest = version
		}
		highest = max(highest, version)
	}
	return lowest, highest, nil
}

// ParseCiphers reads cipher suites of TLS 1.2 by the names of OpenSSL or of the
// IANA registry. Those of TLS 1.3 are not to be chosen: all three are good.
// Suites without forward secrecy, with CBC and SHA-1 or with RC4 are refused.
func ParseCiphers(names []string) (suites []uint16, err error) {
	for _, name := range names {
		suite := cipherByName(name)
		switch {
		case suite == nil:
			return nil, fmt.Errorf("%w: got %q, want some of %s", ErrCipher, name, strings.Join(cipherNames(), ", "))
		case slices.Contains(suites, suite.ID):
			return nil, fmt.Errorf("%w: %q is named twice", ErrCipher, name)
		}
		suites = append(suites, suite.ID)
	}
	return suites, nil
}

// modern are the suites of TLS 1.2 with forward secrecy and authenticated encryption.
func modern() (suites []*tls.CipherSuite) {
	for _, suite := range tls.CipherSuites() {
		if slices.Contains(suite.SupportedVersions, tls.VersionTLS12) && strings.Contains(suite.Name, "_ECDHE_") && !strings.Contains(suite.Name, "_CBC_") {
			suites = append(suites, suite)
		}
	}
	return suites
}

// modernIDs is the default of Options.CipherSuites.
func modernIDs() (ids []uint16) {
	for _, suite := range modern() {
		ids = append(ids, suite.ID)
	}
	return ids
}

func cipherByName(name string) *tls.CipherSuite {
	for _, suite := range modern() {
		if strings.EqualFold(name, suite.Name) || strings.EqualFold(name, openSSLCipher(suite.ID)) {
			return suite
		}
	}
	return nil
}

func cipherNames() (names []string) {
	for _, suite := range modern() {
		names = append(names, openSSLCipher(suite.ID))
	}
	return names
}

// openSSLCipher returns the name that SSL_CIPHER has: OpenSSL's for TLS 1.2, the
// registry's for TLS 1.3.
func openSSLCipher(id uint16) string {
	name := tls.CipherSuiteName(id)
	rest, ok := strings.CutPrefix(name, "TLS_ECDHE_")
	if !ok {
		return name
	}
	rest = strings.TrimSuffix(strings.Replace(rest, "_WITH_", "-", 1), "_POLY1305_SHA256")
	if strings.Contains(rest, "CHACHA20") {
		rest += "-POLY1305"
	}
	rest = strings.NewReplacer("AES_128", "AES128", "AES_256", "AES256").Replace(rest)
	return "ECDHE-" + strings.ReplaceAll(rest, "_", "-")
}

// cipherBits returns the key size of a suite in bits, 0 if it is not known.
func cipherBits(id uint16) int {
	name := tls.CipherSuiteName(id)
	switch {
	case strings.Contains(name, "_128_"):
		return 128
	case strings.Contains(name, "_256_"), strings.Contains(name, "CHACHA20"):
		return 256
	}
	return 0
}

// protocolName returns what SSL_PROTOCOL has.
func protocolName(version uint16) string {
	switch version {
	case tls.VersionTLS12:
		return "TLSv1.2"
	case tls.VersionTLS13:
		return "TLSv1.3"
	}
	return tls.VersionName(version)
}
