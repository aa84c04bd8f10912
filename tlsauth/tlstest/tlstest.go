// Package tlstest makes short-lived certificates for the tests of any package.
package tlstest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// CA is a certificate authority that lives as long as a test.
type CA struct {
	// Certificate is the trust anchor.
	Certificate *x509.Certificate

	key *ecdsa.PrivateKey
}

// Leaf is a certificate issued by a CA, with its key.
type Leaf struct {
	Certificate *x509.Certificate
	// CertificatePEM and KeyPEM are what files hold.
	CertificatePEM, KeyPEM []byte
}

// NewCA makes an authority that is valid for an hour.
func NewCA(t testing.TB) *CA {
	t.Helper()
	key := newKey(t)
	template := authority(t, "overlay test authority")
	return &CA{Certificate: sign(t, template, template, key, key), key: key}
}

func authority(t testing.TB, name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber:          newSerial(t),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
}

// NewCA makes an authority below ca, which may issue certificates for clients.
func (ca *CA) NewCA(t testing.TB, name string) *CA {
	t.Helper()
	key := newKey(t)
	template := authority(t, name)
	return &CA{Certificate: sign(t, template, ca.Certificate, key, ca.key), key: key}
}

// PEM returns the certificate of the authority as a file holds it.
func (ca *CA) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Certificate.Raw})
}

// Revoke makes a revocation list in DER with the serial numbers of leaves, good for
// an hour. Each change, if any, works on the template first.
func (ca *CA) Revoke(t testing.TB, leaves []*Leaf, changes ...func(*x509.RevocationList)) []byte {
	t.Helper()
	template := &x509.RevocationList{
		Number:     newSerial(t),
		ThisUpdate: time.Now().Add(-time.Hour),
		NextUpdate: time.Now().Add(time.Hour),
	}
	for _, leaf := range leaves {
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: leaf.Certificate.SerialNumber, RevocationTime: time.Now()})
	}
	for _, change := range changes {
		change(template)
	}
	der, err := x509.CreateRevocationList(rand.Reader, template, ca.Certificate, ca.key)
	if err != nil {
		t.Fatalf("sign revocation list: %v", err)
	}
	return der
}

// TLS returns the certificate for crypto/tls. parents follow it.
func (l *Leaf) TLS(t testing.TB, parents ...*CA) tls.Certificate {
	t.Helper()
	certificate, err := tls.X509KeyPair(l.CertificatePEM, l.KeyPEM)
	if err != nil {
		t.Fatalf("read back certificate: %v", err)
	}
	for _, parent := range parents {
		certificate.Certificate = append(certificate.Certificate, parent.Certificate.Raw)
	}
	return certificate
}

// Pool returns the authority as the one trust anchor.
func (ca *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(ca.Certificate)
	return pool
}

// Issue makes a certificate for localhost and the loopback addresses, for servers
// and clients, valid for an hour. Each change, if any, works on the template first.
func (ca *CA) Issue(t testing.TB, changes ...func(*x509.Certificate)) *Leaf {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: newSerial(t),
		Subject:      pkix.Name{CommonName: "localhost"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames:     []string{"localhost"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	for _, change := range changes {
		change(template)
	}
	certificate := sign(t, template, ca.Certificate, key, ca.key)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatalf("encode key: %v", err)
	}
	return &Leaf{
		Certificate:    certificate,
		CertificatePEM: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw}),
		KeyPEM:         pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
	}
}

// Files writes certificate and key into a directory that ends with the test.
func (l *Leaf) Files(t testing.TB) (certificateFile, keyFile string) {
	t.Helper()
	dir := t.TempDir()
	certificateFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, content := range map[string][]byte{certificateFile: l.CertificatePEM, keyFile: l.KeyPEM} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certificateFile, keyFile
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatalf("make key: %v", err)
	}
	return key
}

func newSerial(t testing.TB) *big.Int {
	t.Helper()
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 64))
	if err != nil {
		t.Fatalf("make serial number: %v", err)
	}
	return serial
}

func sign(t testing.TB, template, parent *x509.Certificate, key, parentKey *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
	if err != nil {
		t.Fatalf("sign certificate: %v", err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatalf("read back certificate: %v", err)
	}
	return certificate
}
