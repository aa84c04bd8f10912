package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"strings"
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
// already is opened and stays as it is, but for a revocation list that was lost:
// created is false. What others have put into the folder is never written over.
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
		if err == nil {
			err = a.restoreList()
		}
		return a, false, err
	}
	domains, networks, err := permitted(o.Names)
	if err != nil {
		return nil, false, err
	}
	key, err := newKey(dir)
	if err != nil {
		return nil, false, err
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

// newKey returns the key for a new authority in dir: one that an Init has left which
// was interrupted, else a new one. A key of another kind is somebody else's.
func newKey(dir string) (*ecdsa.PrivateKey, error) {
	file := filepath.Join(dir, "ca.key")
	there, err := exists(file)
	if err != nil {
		return nil, fmt.Errorf("make the authority's key: %w", err)
	}
	if !there {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, fmt.Errorf("make the authority's key: %w", err)
		}
		return key, nil
	}
	key, err := readKey(file)
	if err != nil || key.Curve != elliptic.P256() {
		return nil, fmt.Errorf("%w: %s is there without its certificate ca.crt", ErrBroken, file)
	}
	return key, nil
}

// write puts a new authority into its folder. With ca.crt it exists; the list is made
// again when it is missing.
func (a *Authority) write() error {
	key, err := keyPEM(a.key)
	if err != nil {
		return err
	}
	if err := a.keepOutOfGit(); err != nil {
		return err
	}
	if err := writeFile(filepath.Join(a.dir, "ca.key"), key, 0o600); err != nil {
		return err
	}
	if err := writeFile(a.AnchorFile(), certificatePEM(a.certificate), 0o644); err != nil {
		return err
	}
	return a.writeList(&index{})
}

// gitIgnored are the secrets for a .gitignore that is there already.
const gitIgnored = "# private keys of overlay cert\n*.key\n*.p12\n*.password\n"

// keepOutOfGit writes .gitignore. To one that is there, the secrets are added.
func (a *Authority) keepOutOfGit() error {
	name := filepath.Join(a.dir, ".gitignore")
	text, err := os.ReadFile(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return writeFile(name, []byte("*\n"), 0o644)
	case err != nil:
		return err
	case strings.Contains("\n"+string(text), "\n*\n"), strings.Contains(string(text), gitIgnored):
		return nil
	}
	if len(text) > 0 && text[len(text)-1] != '\n' {
		text = append(text, '\n')
	}
	return writeFile(name, append(text, gitIgnored...), 0o644)
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
		for _, name := range []string{"index.json", "ca.crl"} { // a new one would write over them
			if there, err := exists(filepath.Join(dir, name)); err != nil || there {
				return nil, errors.Join(err, fmt.Errorf("%w: %s has %s, but no ca.crt", ErrBroken, dir, name))
			}
		}
		return nil, fmt.Errorf("%w: %s", ErrNoAuthority, dir)
	}
	if a.certificate, err = readCertificate(a.AnchorFile()); err != nil {
		return nil, fmt.Errorf("open the authority: %w", err)
	}
	if a.key, err = readKey(filepath.Join(dir, "ca.key")); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s has ca.crt, but no ca.key", ErrBroken, dir)
	} else if err != nil {
		return nil, fmt.Errorf("open the authority: %w", err)
	}
	if !a.certificate.IsCA || !sameKey(a.certificate, a.key) {
		return nil, fmt.Errorf("%w: ca.crt and ca.key in %s", ErrBroken, dir)
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
