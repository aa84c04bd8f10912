package certs

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"strings"

	"software.sslmate.com/src/go-pkcs12"
)

// pkcs12 packs certificate, key and trust anchor for a browser or phone, encrypted
// with AES-256 (PBES2): OpenSSL 3, current browsers, macOS, iOS and Android read
// it; Windows does since Server 2019 and 10.
func (a *Authority) pkcs12(key *ecdsa.PrivateKey, certificate *x509.Certificate, password string) ([]byte, error) {
	bundle, err := pkcs12.Modern2023.Encode(key, certificate, []*x509.Certificate{a.certificate}, password)
	if err != nil {
		return nil, fmt.Errorf("pack PKCS #12: %w", err)
	}
	return bundle, nil
}

// passwordLetters are those that nobody takes for another when typing them on a phone.
const passwordLetters = "abcdefghijkmnpqrstuvwxyz23456789"

// newPassword returns 16 random letters (80 bits) in groups of four.
func newPassword() string {
	var bytes [16]byte
	_, _ = rand.Read(bytes[:]) // never fails since Go 1.24
	var out strings.Builder
	for i, b := range bytes {
		if i > 0 && i%4 == 0 {
			out.WriteByte('-')
		}
		out.WriteByte(passwordLetters[b%byte(len(passwordLetters))])
	}
	return out.String()
}
