package tlsauth

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// Reasons why a certificate or key is refused, beyond the file's being unreadable.
var (
	ErrNoCertificate = errors.New("tlsauth: file holds no PEM certificate")
	ErrNoKey         = errors.New("tlsauth: file holds no PEM private key")
	ErrEncryptedKey  = errors.New("tlsauth: private key is encrypted with a passphrase")
	ErrKeyMismatch   = errors.New("tlsauth: private key does not belong to the certificate")
	ErrMinVersion    = errors.New("tlsauth: TLS version is not supported")
)

// Options describes the TLS of one listener. Config copies what it needs.
type Options struct {
	// CertificateFile is a PEM file: the server's certificate first, then the
	// intermediates up to, and without, the trust anchor.
	CertificateFile string
	// KeyFile is a PEM file with the private key of the first certificate. When it is
	// empty the key is taken from CertificateFile.
	KeyFile string
	// MinVersion is tls.VersionTLS12 or tls.VersionTLS13; zero means TLS 1.2.
	MinVersion uint16
	// Now replaces time.Now in tests.
	Now func() time.Time
}

// Config reads the files of o and returns a configuration for a server that speaks
// HTTP/1.1, and warnings: whole sentences for people about a certificate that will
// be served though clients will refuse it, or will soon.
//
// The configuration is the caller's. It has session ticket keys of its own, shared
// with no other.
func (o Options) Config() (config *tls.Config, warnings []string, err error) {
	minVersion := o.MinVersion
	switch minVersion {
	case 0:
		minVersion = tls.VersionTLS12
	case tls.VersionTLS12, tls.VersionTLS13:
	default:
		return nil, nil, fmt.Errorf("%w: got %s, want TLS 1.2 or 1.3", ErrMinVersion, tls.VersionName(minVersion))
	}
	certificate, err := o.load()
	if err != nil {
		return nil, nil, err
	}
	now := time.Now
	if o.Now != nil {
		now = o.Now
	}
	return &tls.Config{
		Certificates: []tls.Certificate{certificate},
		MinVersion:   minVersion,
		NextProtos:   []string{"http/1.1"},
	}, validityWarnings(o.CertificateFile, certificate.Leaf, now()), nil
}

// load reads certificates and key and makes sure that they belong together.
func (o Options) load() (tls.Certificate, error) {
	certificates, err := os.ReadFile(o.CertificateFile)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("load certificate: %w", err)
	}
	if !holdsBlock(certificates, isCertificate) {
		return tls.Certificate{}, fmt.Errorf("load certificate %s: %w", o.CertificateFile, ErrNoCertificate)
	}
	keyFile, key := o.KeyFile, certificates
	if keyFile == "" {
		keyFile = o.CertificateFile
	} else if key, err = os.ReadFile(keyFile); err != nil {
		return tls.Certificate{}, fmt.Errorf("load private key: %w", err)
	}
	if holdsBlock(key, isEncryptedKey) {
		return tls.Certificate{}, fmt.Errorf("load private key %s: %w", keyFile, ErrEncryptedKey)
	}
	if !holdsBlock(key, isKey) {
		return tls.Certificate{}, fmt.Errorf("load private key %s: %w", keyFile, ErrNoKey)
	}
	certificate, err := tls.X509KeyPair(certificates, key)
	if err != nil {
		// crypto/tls has no error values to tell its reasons apart by.
		if strings.Contains(err.Error(), "does not match") {
			return tls.Certificate{}, fmt.Errorf("load certificate %s with private key %s: %w", o.CertificateFile, keyFile, ErrKeyMismatch)
		}
		return tls.Certificate{}, fmt.Errorf("load certificate %s with private key %s: %w", o.CertificateFile, keyFile, err)
	}
	return certificate, nil
}

// soon is how long before its end a certificate is warned about.
const soon = 14 * 24 * time.Hour

// validityWarnings tells what is wrong with the dates of leaf, which is from file.
func validityWarnings(file string, leaf *x509.Certificate, now time.Time) (warnings []string) {
	day := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
	switch {
	case now.After(leaf.NotAfter):
		warnings = append(warnings, fmt.Sprintf("certificate %s has expired at %s: clients will refuse it", file, day(leaf.NotAfter)))
	case now.Before(leaf.NotBefore):
		warnings = append(warnings, fmt.Sprintf("certificate %s is not valid before %s: clients will refuse it", file, day(leaf.NotBefore)))
	case leaf.NotAfter.Sub(now) < soon:
		warnings = append(warnings, fmt.Sprintf("certificate %s expires at %s", file, day(leaf.NotAfter)))
	}
	if len(leaf.DNSNames)+len(leaf.IPAddresses) == 0 {
		warnings = append(warnings, fmt.Sprintf("certificate %s names no host (subject alternative name): clients will refuse it", file))
	}
	return warnings
}

// holdsBlock reports whether some PEM block in text satisfies is.
func holdsBlock(text []byte, is func(*pem.Block) bool) bool {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return false
		}
		if is(block) {
			return true
		}
	}
}

func isCertificate(b *pem.Block) bool { return b.Type == "CERTIFICATE" }

func isKey(b *pem.Block) bool {
	return b.Type == "PRIVATE KEY" || strings.HasSuffix(b.Type, " PRIVATE KEY")
}

// isEncryptedKey knows PKCS #8 and the older form of OpenSSL.
func isEncryptedKey(b *pem.Block) bool {
	return b.Type == "ENCRYPTED PRIVATE KEY" || isKey(b) && strings.Contains(b.Headers["Proc-Type"], "ENCRYPTED")
}
