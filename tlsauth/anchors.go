package tlsauth

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
)

// Reasons why a file of trust anchors is refused.
var (
	ErrNoAnchors = errors.New("tlsauth: file holds no trust anchor")
	ErrNotAnchor = errors.New("tlsauth: certificate is not one of an authority")
)

// anchors are the authorities whose client certificates are believed. A nil
// *anchors means that no client is asked. The pool is never nil: crypto/x509
// takes a nil pool for the roots of the system, and would believe everybody who
// bought a certificate.
type anchors struct {
	certificates []*x509.Certificate
	pool         *x509.CertPool
}

// loadAnchors reads a PEM file of trust anchors. A file without any is refused.
func loadAnchors(file string) (*anchors, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("load trust anchors: %w", err)
	}
	certificates, err := parseCertificates(text)
	if errors.Is(err, ErrNoCertificate) {
		err = ErrNoAnchors
	}
	if err != nil {
		return nil, fmt.Errorf("load trust anchors %s: %w", file, err)
	}
	a := &anchors{pool: x509.NewCertPool()}
	for _, c := range certificates {
		// A version 1 certificate cannot say that it is an authority; a server's or
		// client's certificate in this place is a mistake that would admit that one.
		if !c.IsCA || !c.BasicConstraintsValid {
			return nil, fmt.Errorf("load trust anchors %s: %s: %w", file, distinguishedName(c.RawSubject), ErrNotAnchor)
		}
		a.pool.AddCert(c)
		a.certificates = append(a.certificates, c)
	}
	return a, nil
}

// issuer returns the anchor that is named subject and whose key passes check.
func (a *anchors) issuer(subject []byte, check func(*x509.Certificate) error) (*x509.Certificate, error) {
	err := errUnknownIssuer
	for _, c := range a.certificates {
		if bytes.Equal(c.RawSubject, subject) {
			if err = check(c); err == nil {
				return c, nil
			}
		}
	}
	return nil, err
}
