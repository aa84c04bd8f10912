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
)

// Certificate names the files of one certificate of the server.
type Certificate struct {
	// File is a PEM file: the server's certificate first, then the intermediates up
	// to, and without, the trust anchor.
	File string
	// KeyFile is a PEM file with the private key of the first certificate. When it is
	// empty the key is taken from File.
	KeyFile string
	// ChainFile is a PEM file with further intermediates, or empty.
	ChainFile string
}

// files returns the names of all files of c.
func (c Certificate) files() []string {
	names := []string{c.File}
	for _, name := range []string{c.KeyFile, c.ChainFile} {
		if name != "" {
			names = append(names, name)
		}
	}
	return names
}

// load reads certificates and key and makes sure that they belong together.
func (c Certificate) load() (tls.Certificate, error) {
	certificates, err := os.ReadFile(c.File)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("load certificate: %w", err)
	}
	if !holdsBlock(certificates, isCertificate) {
		return tls.Certificate{}, fmt.Errorf("load certificate %s: %w", c.File, ErrNoCertificate)
	}
	keyFile, key := c.KeyFile, certificates
	if keyFile == "" {
		keyFile = c.File
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
			return tls.Certificate{}, fmt.Errorf("load certificate %s with private key %s: %w", c.File, keyFile, ErrKeyMismatch)
		}
		return tls.Certificate{}, fmt.Errorf("load certificate %s with private key %s: %w", c.File, keyFile, err)
	}
	if c.ChainFile != "" {
		chain, err := os.ReadFile(c.ChainFile)
		if err != nil {
			return tls.Certificate{}, fmt.Errorf("load certificate chain: %w", err)
		}
		intermediates, err := parseCertificates(chain)
		if err != nil {
			return tls.Certificate{}, fmt.Errorf("load certificate chain %s: %w", c.ChainFile, err)
		}
		for _, i := range intermediates {
			certificate.Certificate = append(certificate.Certificate, i.Raw)
		}
	}
	return certificate, nil
}

// parseCertificates reads every certificate of a PEM text; none is an error.
func parseCertificates(text []byte) (certificates []*x509.Certificate, err error) {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if !isCertificate(block) {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(certificates)+1, err)
		}
		certificates = append(certificates, c)
	}
	if len(certificates) == 0 {
		return nil, ErrNoCertificate
	}
	return certificates, nil
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
