package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Reasons why no certificate is issued.
var (
	ErrClientName   = errors.New("certs: not a name for a certificate")
	ErrOtherKind    = errors.New("certs: the name belongs to a certificate of the other kind")
	ErrRevoked      = errors.New("certs: the certificate is revoked")
	ErrNotPermitted = errors.New("certs: the authority may not sign this name")
	ErrLife         = errors.New("certs: lifetime out of range")
	ErrFileThere    = errors.New("certs: a file of that name is there, and not one of this authority's")
)

// Issued is a certificate with its files.
type Issued struct {
	Record
	CertificateFile, KeyFile string
	// PKCS12File and Password are those of a client.
	PKCS12File, Password string
}

// renewBefore is how long before its end the certificate of a server counts as
// expired.
const renewBefore = 14 * 24 * time.Hour

// maxHosts bounds the names that a certificate takes over from the one before it.
const maxHosts = 100

// Server issues a certificate for names, host names and IP addresses; its files
// are named after the first. One that is there, lasts another two weeks and covers
// all the names is returned as it is. One that has to be replaced keeps its other
// names: somebody else may be served with it. With renew it is issued anew in any
// case, and for names alone.
func (a *Authority) Server(names []string, life time.Duration, renew bool) (issued *Issued, created bool, err error) {
	if len(names) == 0 {
		return nil, false, fmt.Errorf("%w: none is given", ErrName)
	}
	var hosts []string
	for _, name := range names {
		address, domain, err := parseName(name)
		if err != nil {
			return nil, false, err
		}
		if domain == "" {
			domain = address.String()
		}
		if !slices.Contains(hosts, domain) {
			hosts = append(hosts, domain)
		}
	}
	template := &x509.Certificate{Subject: pkix.Name{CommonName: hosts[0]}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	file := strings.NewReplacer("*", "_", ":", "-").Replace(hosts[0])
	if strings.HasPrefix(file, "-") { // of ::1: a name that no command takes for an option
		file = "_" + file
	}
	if file == "ca" {
		return nil, false, fmt.Errorf("%w: %q is the authority's own", ErrClientName, file)
	}
	return a.issue(Record{Name: file, Kind: Server, Hosts: hosts}, template, life, renew)
}

// clientName is what a file can be called everywhere.
var clientName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}$`)

// CheckClientName tells why name is none that a client can have, nil if it is one.
func CheckClientName(name string) error {
	if !clientName.MatchString(name) || strings.EqualFold(name, "ca") { // file systems may ignore case
		return fmt.Errorf("%w: got %q, want letters, digits and . _ @ + - (and not ca)", ErrClientName, name)
	}
	return nil
}

// Client issues a certificate for a person or device. One that is there and has
// not expired is returned as it is, unless renew says otherwise; a revoked one is
// ErrRevoked without renew.
func (a *Authority) Client(name string, life time.Duration, renew bool) (issued *Issued, created bool, err error) {
	if err := CheckClientName(name); err != nil {
		return nil, false, err
	}
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: name},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if user, domain, ok := strings.Cut(name, "@"); ok && user != "" && hostName.MatchString(domain) {
		template.EmailAddresses = []string{name}
	}
	return a.issue(Record{Name: name, Kind: Client}, template, life, renew)
}

// issue completes and signs template unless what is there will do.
func (a *Authority) issue(r Record, template *x509.Certificate, life time.Duration, renew bool) (issued *Issued, created bool, err error) {
	if life < time.Hour || life > AuthorityLife {
		return nil, false, fmt.Errorf("%w: got %v, want between an hour and %d days", ErrLife, life, AuthorityLife/(24*time.Hour))
	}
	unlock, err := lock(a.dir)
	if err != nil {
		return nil, false, err
	}
	defer unlock()
	x, err := a.readIndex()
	if err != nil {
		return nil, false, err
	}
	old := x.current(r.Name)
	if old != nil {
		switch good, err := a.good(old, &r); {
		case err != nil && !(renew && errors.Is(err, ErrRevoked)):
			return nil, false, err
		case good && !renew:
			issued, err = a.files(*old)
			return issued, false, err
		case !renew:
			r.Hosts = joined(r.Hosts, old.Hosts)
		}
	}
	if err := a.ours(x, r); err != nil {
		return nil, false, err
	}
	setHosts(template, r.Hosts)
	now := a.now()
	template.SerialNumber = newSerial()
	template.NotBefore, template.NotAfter = now.Add(-clockSkew).UTC(), now.Add(life).UTC()
	if template.NotAfter.After(a.certificate.NotAfter) {
		template.NotAfter = a.certificate.NotAfter
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.BasicConstraintsValid = true
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, false, fmt.Errorf("make a key: %w", err)
	}
	certificate, err := sign(template, a.certificate, &key.PublicKey, a.key)
	if err != nil {
		return nil, false, fmt.Errorf("sign the certificate of %s: %w", r.Name, err)
	}
	if err := a.allowed(certificate, now); err != nil {
		return nil, false, err
	}
	sum := sha256.Sum256(certificate.Raw)
	r.Serial, r.SHA256 = certificate.SerialNumber.Text(16), hex.EncodeToString(sum[:])
	r.Begins, r.Expires = certificate.NotBefore, certificate.NotAfter
	if old != nil {
		old.Replaced = true
	}
	x.Certificates = append(x.Certificates, r)
	// The index first: a certificate that it does not know could not be revoked. Files
	// that do not fit it are made again the next time.
	if err := a.writeIndex(x); err != nil {
		return nil, false, err
	}
	if err := a.writeFiles(r, certificate, key); err != nil {
		return nil, false, fmt.Errorf("write the certificate of %s: %w", r.Name, err)
	}
	issued, err = a.files(r)
	return issued, true, err
}

// good reports whether the certificate of old serves for what r asks for. It is an
// error when it must not be replaced either.
func (a *Authority) good(old, r *Record) (bool, error) {
	if old.Kind != r.Kind {
		return false, fmt.Errorf("%w: %s is a %s", ErrOtherKind, old.Name, old.Kind)
	}
	if !old.Revoked.IsZero() {
		return false, fmt.Errorf("%w: %s, since %s", ErrRevoked, old.Name, old.Revoked.Format(time.DateOnly))
	}
	last := old.Expires
	if old.Kind == Server {
		last = last.Add(-renewBefore)
	}
	if !a.now().Before(last) {
		return false, nil
	}
	for _, host := range r.Hosts {
		if !slices.Contains(old.Hosts, host) {
			return false, nil
		}
	}
	// Files that someone has removed are made again, and those of a certificate from
	// before, whose replacement was interrupted.
	for _, name := range a.namesOf(*old) {
		if there, err := exists(name); err != nil || !there {
			return false, err
		}
	}
	sum, err := a.fingerprint(*old)
	return err == nil && sum == old.SHA256, nil
}

// fingerprint returns the SHA-256 of the certificate in the file of r.
func (a *Authority) fingerprint(r Record) (string, error) {
	c, err := readCertificate(filepath.Join(a.dir, r.Name+".crt"))
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:]), nil
}

// ours makes sure that the files of r may be written over: there is none, or the
// certificate is one of the index.
func (a *Authority) ours(x *index, r Record) error {
	sum, err := a.fingerprint(r)
	for _, known := range x.Certificates {
		// One that is missing or broken was of a certificate of that name, if there was any.
		if known.Name == r.Name && (err != nil || known.SHA256 == sum) {
			return nil
		}
	}
	for _, name := range a.namesOf(r) {
		if there, err := exists(name); err != nil || there {
			return errors.Join(err, fmt.Errorf("%w: %s", ErrFileThere, name))
		}
	}
	return nil
}

// joined returns hosts, and behind them those of old, as many as there is room for.
func joined(hosts, old []string) []string {
	for _, host := range old {
		if len(hosts) < maxHosts && !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	return hosts
}

// setHosts makes template one for hosts, which are names or addresses.
func setHosts(template *x509.Certificate, hosts []string) {
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
}

// allowed makes sure that clients will believe certificate: crypto/x509 signs what
// the authority's own constraints forbid.
func (a *Authority) allowed(certificate *x509.Certificate, now time.Time) error {
	roots := x509.NewCertPool()
	roots.AddCert(a.certificate)
	_, err := certificate.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	var invalid x509.CertificateInvalidError
	if errors.As(err, &invalid) && invalid.Reason == x509.CANotAuthorizedForThisName {
		return fmt.Errorf("%w: %s", ErrNotPermitted, invalid.Detail)
	}
	return err
}

// files returns r with the names of its files, and the password.
func (a *Authority) files(r Record) (*Issued, error) {
	base := filepath.Join(a.dir, r.Name)
	issued := &Issued{Record: r, CertificateFile: base + ".crt", KeyFile: base + ".key"}
	if r.Kind == Client {
		issued.PKCS12File = base + ".p12"
		password, err := os.ReadFile(base + ".password")
		if err != nil {
			return nil, fmt.Errorf("read the password of %s: %w", issued.PKCS12File, err)
		}
		issued.Password = strings.TrimSpace(string(password))
	}
	return issued, nil
}

// namesOf returns the names of all files of r.
func (a *Authority) namesOf(r Record) []string {
	base := filepath.Join(a.dir, r.Name)
	names := []string{base + ".crt", base + ".key"}
	if r.Kind == Client {
		names = append(names, base+".p12", base+".password")
	}
	return names
}

// writeFiles writes the files of a certificate, keys before what they are for.
func (a *Authority) writeFiles(r Record, certificate *x509.Certificate, key *ecdsa.PrivateKey) error {
	base := filepath.Join(a.dir, r.Name)
	text, err := keyPEM(key)
	if err != nil {
		return err
	}
	if r.Kind == Client {
		password := newPassword()
		bundle, err := a.pkcs12(key, certificate, password)
		if err != nil {
			return err
		}
		if err := writeFile(base+".password", []byte(password+"\n"), 0o600); err != nil {
			return err
		}
		if err := writeFile(base+".p12", bundle, 0o600); err != nil {
			return err
		}
	}
	if err := writeFile(base+".key", text, 0o600); err != nil {
		return err
	}
	return writeFile(base+".crt", certificatePEM(certificate), 0o644)
}
