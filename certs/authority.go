package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

// Reasons why an authority cannot be used.
var (
	ErrNoAuthority = errors.New("certs: there is no authority in this folder")
	ErrBroken      = errors.New("certs: the authority's files do not belong together")
)

// Lifetimes.
const (
	AuthorityLife = 10 * 365 * 24 * time.Hour
	// ServerLife is what browsers accept at most of public authorities.
	ServerLife = 397 * 24 * time.Hour
	// ClientLife is the default for clients.
	ClientLife = 365 * 24 * time.Hour
	// clockSkew is how far the clock of a device may be behind this one's.
	clockSkew = 10 * time.Minute
)

// Authority signs certificates. Its methods may be called by several programs at
// once: each holds a lock on the folder.
type Authority struct {
	dir         string
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	now         func() time.Time
}

// Options is for Init. The zero value makes an authority for local names.
type Options struct {
	// Names are host names and addresses that it may sign beside the local ones, with
	// everything below a name.
	Names []string
	// Now replaces time.Now in tests.
	Now func() time.Time
}

func (o Options) now() func() time.Time {
	if o.Now != nil {
		return o.Now
	}
	return time.Now
}

// Init makes an authority in dir, which it creates. An authority that is there
// already is opened and stays as it is: created is false.
func Init(dir string, o Options) (a *Authority, created bool, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, false, fmt.Errorf("make the authority's folder: %w", err)
	}
	unlock, err := lock(dir)
	if err != nil {
		return nil, false, err
	}
	defer unlock()
	if a, err := open(dir, o); !errors.Is(err, ErrNoAuthority) {
		return a, false, err
	}
	domains, networks, err := permitted(o.Names)
	if err != nil {
		return nil, false, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, false, fmt.Errorf("make the authority's key: %w", err)
	}
	now := o.now()()
	host, err := os.Hostname()
	if err != nil {
		host = "this machine"
	}
	a = &Authority{dir: dir, key: key, now: o.now()}
	template := &x509.Certificate{
		SerialNumber: newSerial(),
		// The date tells two authorities of one machine apart in a list of a browser.
		Subject:               pkix.Name{Organization: []string{"overlay"}, CommonName: fmt.Sprintf("overlay on %s, %s", host, now.UTC().Format("2006-01-02 15:04"))},
		NotBefore:             now.Add(-clockSkew).UTC(),
		NotAfter:              now.Add(AuthorityLife).UTC(),
		IsCA:                  true,
		MaxPathLenZero:        true, // it signs no further authorities
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},

		PermittedDNSDomainsCritical: true,
		PermittedDNSDomains:         domains,
		PermittedIPRanges:           networks,
	}
	if a.certificate, err = sign(template, template, &key.PublicKey, key); err != nil {
		return nil, false, fmt.Errorf("sign the authority's certificate: %w", err)
	}
	if err := a.write(); err != nil {
		return nil, false, fmt.Errorf("write the authority: %w", err)
	}
	return a, true, nil
}

// write puts a new authority into its folder, ca.crt last: with it the authority exists.
func (a *Authority) write() error {
	key, err := keyPEM(a.key)
	if err != nil {
		return err
	}
	if err := writeFile(filepath.Join(a.dir, ".gitignore"), []byte("*\n"), 0o644); err != nil {
		return err
	}
	if err := writeFile(filepath.Join(a.dir, "ca.key"), key, 0o600); err != nil {
		return err
	}
	if err := a.writeList(&index{}); err != nil {
		return err
	}
	return writeFile(a.AnchorFile(), certificatePEM(a.certificate), 0o644)
}

// Open opens the authority in dir; ErrNoAuthority when there is none.
func Open(dir string) (*Authority, error) { return open(dir, Options{}) }

func open(dir string, o Options) (*Authority, error) {
	a := &Authority{dir: dir, now: o.now()}
	there, err := exists(a.AnchorFile())
	if err != nil {
		return nil, fmt.Errorf("open the authority: %w", err)
	}
	if !there {
		return nil, fmt.Errorf("%w: %s", ErrNoAuthority, dir)
	}
	if a.certificate, err = readCertificate(a.AnchorFile()); err != nil {
		return nil, fmt.Errorf("open the authority: %w", err)
	}
	if a.key, err = readKey(filepath.Join(dir, "ca.key")); err != nil {
		return nil, fmt.Errorf("open the authority: %w", err)
	}
	if !a.certificate.IsCA || !sameKey(a.certificate, a.key) {
		return nil, fmt.Errorf("%w: %s", ErrBroken, dir)
	}
	return a, nil
}

// Dir returns the folder of the authority.
func (a *Authority) Dir() string { return a.dir }

// AnchorFile returns the name of the file with the trust anchor.
func (a *Authority) AnchorFile() string { return filepath.Join(a.dir, "ca.crt") }

// RevocationFile returns the name of the revocation list.
func (a *Authority) RevocationFile() string { return filepath.Join(a.dir, "ca.crl") }

// Certificate returns the trust anchor.
func (a *Authority) Certificate() *x509.Certificate { return a.certificate }

// newSerial returns a serial number that nobody can guess (RFC 5280 section 4.1.2.2).
func newSerial() *big.Int {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	b[0] = b[0]&0x7f | 1   // positive, and all 16 bytes long
	return new(big.Int).SetBytes(b[:])
}

func sign(template, parent *x509.Certificate, key *ecdsa.PublicKey, signer *ecdsa.PrivateKey) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key, signer)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}
