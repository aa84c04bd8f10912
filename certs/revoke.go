package certs

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
)

// ErrUnknown is why a certificate cannot be revoked.
var ErrUnknown = errors.New("certs: no certificate of that name was issued")

// Revoke takes back every certificate of name, also those that were replaced: a
// stolen device has the old key. One that is revoked already stays as it is: done
// is false.
func (a *Authority) Revoke(name string) (done bool, err error) {
	unlock, err := lock(a.dir)
	if err != nil {
		return false, err
	}
	defer unlock()
	x, err := a.readIndex()
	if err != nil {
		return false, err
	}
	found := false
	for i := range x.Certificates {
		r := &x.Certificates[i]
		if r.Name != name {
			continue
		}
		found = true
		if r.Revoked.IsZero() {
			r.Revoked, done = a.now().UTC(), true
		}
	}
	if !found {
		return false, fmt.Errorf("%w: %q", ErrUnknown, name)
	}
	if !done && a.listIsCurrent(x) {
		return false, nil
	}
	// The index first: a list that is behind it is written again by the next call.
	if done {
		x.ListNumber++
		if err := a.writeIndex(x); err != nil {
			return false, err
		}
	}
	if err := a.writeList(x); err != nil {
		return false, fmt.Errorf("write the revocation list: %w", err)
	}
	return done, nil
}

// restoreList makes ca.crl anew if it is missing.
func (a *Authority) restoreList() error {
	there, err := exists(a.RevocationFile())
	if there || err != nil {
		return err
	}
	x, err := a.readIndex()
	if err != nil {
		return err
	}
	if err := a.writeList(x); err != nil {
		return fmt.Errorf("write the revocation list: %w", err)
	}
	return nil
}

// listIsCurrent reports whether ca.crl is the one that was made of x.
func (a *Authority) listIsCurrent(x *index) bool {
	der, err := readBlock(a.RevocationFile(), "X509 CRL")
	if err != nil {
		return false
	}
	list, err := x509.ParseRevocationList(der)
	return err == nil && list.Number != nil && list.Number.Int64() == x.ListNumber+1
}

// writeList writes ca.crl from x. It promises no next update before the end of the
// authority: nobody is there to renew it, and a running server reads a new one at once.
func (a *Authority) writeList(x *index) error {
	template := &x509.RevocationList{
		Number:     big.NewInt(x.ListNumber + 1),
		ThisUpdate: a.now().Add(-clockSkew).UTC(),
		NextUpdate: a.certificate.NotAfter,
	}
	for _, r := range x.Certificates {
		if r.Revoked.IsZero() {
			continue
		}
		serial, ok := new(big.Int).SetString(r.Serial, 16)
		if !ok {
			return fmt.Errorf("the index has the serial number %q", r.Serial)
		}
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: serial, RevocationTime: r.Revoked})
	}
	der, err := x509.CreateRevocationList(rand.Reader, template, a.certificate, a.key)
	if err != nil {
		return err
	}
	return writeFile(a.RevocationFile(), pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}), 0o644)
}
