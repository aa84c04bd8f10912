package certs_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"overlay/certs"

	"software.sslmate.com/src/go-pkcs12"
)

// today is when the tests take place.
var today = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

// newAuthority makes an authority whose clock the caller may move.
func newAuthority(t testing.TB, names ...string) (*certs.Authority, *time.Time) {
	t.Helper()
	now := today
	a, created, err := certs.Init(filepath.Join(t.TempDir(), "certs"), certs.Options{Names: names, Now: func() time.Time { return now }})
	if err != nil || !created {
		t.Fatalf("Init = created %v, %v", created, err)
	}
	return a, &now
}

// Object identifiers in DER: how PKCS #12 is encrypted.
var (
	oidPBES2       = []byte{0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d}
	oidAES256      = []byte{0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2a}
	oidPBEWithSHA1 = []byte{0x06, 0x0a, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x01}
)

// contents reads every file of the authority.
func contents(t testing.TB, a *certs.Authority) map[string]string {
	t.Helper()
	files := map[string]string{}
	entries, err := os.ReadDir(a.Dir())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(a.Dir(), e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[e.Name()] = string(text)
	}
	return files
}

func changed(t testing.TB, before, after map[string]string) (names []string) {
	t.Helper()
	for name, text := range after {
		if before[name] != text {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func load(t testing.TB, file string) *x509.Certificate {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestInit(t *testing.T) {
	a, _ := newAuthority(t)
	before := contents(t, a)
	for name, mode := range map[string]fs.FileMode{"ca.key": 0o600, "ca.crt": 0o644, "ca.crl": 0o644, ".": 0o700 | fs.ModeDir} {
		info, err := os.Stat(filepath.Join(a.Dir(), name))
		if err != nil || info.Mode() != mode {
			t.Errorf("%s: mode %v, %v, want %v", name, info.Mode(), err, mode)
		}
	}
	if before[".gitignore"] != "*\n" {
		t.Errorf(".gitignore: %q", before[".gitignore"])
	}
	c := a.Certificate()
	if key, ok := c.PublicKey.(*ecdsa.PublicKey); !ok || key.Curve != elliptic.P256() {
		t.Errorf("key of the authority: %v, want ECDSA P-256", c.PublicKeyAlgorithm)
	}
	if c.PublicKeyAlgorithm != x509.ECDSA || !c.MaxPathLenZero || !c.PermittedDNSDomainsCritical {
		t.Errorf("trust anchor: %v, path length zero %v, constraints critical %v", c.PublicKeyAlgorithm, c.MaxPathLenZero, c.PermittedDNSDomainsCritical)
	}
	if _, created, err := certs.Init(a.Dir(), certs.Options{}); created || err != nil {
		t.Errorf("second Init = created %v, %v", created, err)
	}
	if names := changed(t, before, contents(t, a)); names != nil {
		t.Errorf("the second Init changed %q", names)
	}
}

func TestOpenErrors(t *testing.T) {
	if _, err := certs.Open(t.TempDir()); !errors.Is(err, certs.ErrNoAuthority) {
		t.Errorf("an empty folder: %v", err)
	}
	a, _ := newAuthority(t)
	other, _ := newAuthority(t)
	key, err := os.ReadFile(filepath.Join(other.Dir(), "ca.key"))
	if err == nil {
		err = os.WriteFile(filepath.Join(a.Dir(), "ca.key"), key, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := certs.Open(a.Dir()); !errors.Is(err, certs.ErrBroken) {
		t.Errorf("the key of another: %v", err)
	}
	// A broken authority is never made anew over what is there.
	if err := os.WriteFile(filepath.Join(a.Dir(), "ca.crt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, created, err := certs.Init(a.Dir(), certs.Options{}); err == nil || created {
		t.Errorf("Init over a broken one = created %v, %v", created, err)
	}
}

func TestServer(t *testing.T) {
	a, now := newAuthority(t, "example.org", "8.8.8.8")
	issued, created, err := a.Server([]string{"localhost", "192.0.2.7", "Box.local", "::1", "www.example.org", "8.8.8.8"}, certs.ServerLife, false)
	if err != nil || !created {
		t.Fatalf("Server = created %v, %v", created, err)
	}
	c := load(t, issued.CertificateFile)
	roots := x509.NewCertPool()
	roots.AddCert(a.Certificate())
	for name, want := range map[string]bool{
		"localhost": true, "192.0.2.7": true, "box.local": true, "::1": true, "8.8.8.8": true, "www.example.org": true, "example.org": false, "192.0.2.8": false,
	} {
		_, err := c.Verify(x509.VerifyOptions{Roots: roots, DNSName: bracket(name), CurrentTime: *now})
		if (err == nil) != want {
			t.Errorf("%s: %v, want believed: %v", name, err, want)
		}
	}
	if _, err := c.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: *now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err == nil {
		t.Error("the certificate of a server serves a client")
	}
	before := contents(t, a)
	for _, row := range []struct {
		name    string
		hosts   []string
		after   time.Duration
		renew   bool
		created bool
	}{
		{"the same", []string{"localhost", "192.0.2.7"}, 0, false, false},
		{"fifteen days before the end", []string{"localhost"}, certs.ServerLife - 15*day, false, false},
		{"thirteen days before the end", []string{"localhost"}, certs.ServerLife - 13*day, false, true},
		{"another name", []string{"localhost", "10.0.0.1"}, 0, false, true},
		{"asked for", []string{"localhost"}, 0, true, true},
	} {
		*now = today.Add(row.after)
		_, created, err := a.Server(row.hosts, certs.ServerLife, row.renew)
		if err != nil || created != row.created {
			t.Errorf("%s: created %v, %v, want %v", row.name, created, err, row.created)
		}
		after := contents(t, a)
		if names := changed(t, before, after); (names != nil) != row.created {
			t.Errorf("%s: changed %q", row.name, names)
		}
		before = after
	}
}

func bracket(name string) string {
	if strings.Contains(name, ":") {
		return "[" + name + "]"
	}
	return name
}

func TestNamesRefused(t *testing.T) {
	a, _ := newAuthority(t)
	for _, row := range []struct {
		name string
		want error
	}{
		{"example.org", certs.ErrNotPermitted}, {"8.8.8.8", certs.ErrNotPermitted}, {"2606:4700::1", certs.ErrNotPermitted}, {"notlocalhost", certs.ErrNotPermitted},
		{"a b", certs.ErrName}, {"", certs.ErrName}, {"../x", certs.ErrName}, {"fe80::1%eth0", certs.ErrName}, {"a..b", certs.ErrName}, {"x:443", certs.ErrName},
	} {
		before := contents(t, a)
		if _, _, err := a.Server([]string{row.name}, certs.ServerLife, false); !errors.Is(err, row.want) {
			t.Errorf("server %q: %v, want %v", row.name, err, row.want)
		}
		if names := changed(t, before, contents(t, a)); names != nil {
			t.Errorf("server %q changed %q", row.name, names)
		}
	}
	for _, name := range []string{"", "ca", "CA", "../laptop", "a/b", ".hidden", "a b", strings.Repeat("a", 65), "a\x00", "ü"} {
		if _, _, err := a.Client(name, certs.ClientLife, false); !errors.Is(err, certs.ErrClientName) {
			t.Errorf("client %q: %v", name, err)
		}
	}
	for _, life := range []time.Duration{0, time.Minute, -day, 11 * 365 * day} {
		if _, _, err := a.Client("laptop", life, false); !errors.Is(err, certs.ErrLife) {
			t.Errorf("life of %v: %v", life, err)
		}
	}
	if _, _, err := a.Client("localhost", certs.ClientLife, false); err != nil {
		t.Fatal(err)
	}
	if _, _, err := a.Server([]string{"localhost"}, certs.ServerLife, true); !errors.Is(err, certs.ErrOtherKind) {
		t.Errorf("a server named as a client: %v", err)
	}
}

func TestClient(t *testing.T) {
	a, now := newAuthority(t)
	issued, created, err := a.Client("laptop", 30*day, false)
	if err != nil || !created {
		t.Fatalf("Client = created %v, %v", created, err)
	}
	for _, name := range []string{issued.KeyFile, issued.PKCS12File, filepath.Join(a.Dir(), "laptop.password")} {
		if info, err := os.Stat(name); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	bundle, err := os.ReadFile(issued.PKCS12File)
	if err != nil {
		t.Fatal(err)
	}
	_, c, more, err := pkcs12.DecodeChain(bundle, issued.Password)
	if !bytes.Contains(bundle, oidPBES2) || !bytes.Contains(bundle, oidAES256) || bytes.Contains(bundle, oidPBEWithSHA1) {
		t.Error("PKCS #12 is not encrypted with AES-256 by way of PBES2 alone")
	}
	if err != nil || c.Subject.CommonName != "laptop" || len(more) != 1 || !more[0].Equal(a.Certificate()) {
		t.Fatalf("PKCS #12: %v, %v", c, err)
	}
	if len(strings.ReplaceAll(issued.Password, "-", "")) != 16 {
		t.Errorf("password %q", issued.Password)
	}
	if got := c.NotAfter; !got.Equal(today.Add(30 * day)) {
		t.Errorf("expires at %v", got)
	}
	if got := c.NotBefore; !got.Before(today.Add(-5 * time.Minute)) {
		t.Errorf("begins at %v: no use for a device whose clock is behind", got)
	}
	if key, ok := c.PublicKey.(*ecdsa.PublicKey); !ok || key.Curve != elliptic.P256() {
		t.Errorf("key: %v, want ECDSA P-256", c.PublicKeyAlgorithm)
	}
	if n := len(c.SerialNumber.Bytes()); c.SerialNumber.Sign() <= 0 || n != 16 {
		t.Errorf("serial number %v of %d bytes, want a positive one of 16", c.SerialNumber, n)
	}
	roots := x509.NewCertPool()
	roots.AddCert(a.Certificate())
	for usage, want := range map[x509.ExtKeyUsage]bool{x509.ExtKeyUsageClientAuth: true, x509.ExtKeyUsageServerAuth: false} {
		if _, err := c.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: *now, KeyUsages: []x509.ExtKeyUsage{usage}}); (err == nil) != want {
			t.Errorf("usage %v: %v, want %v", usage, err, want)
		}
	}
	before := contents(t, a)
	again, created, err := a.Client("laptop", 90*day, false)
	if err != nil || created || again.Password != issued.Password || again.SHA256 != issued.SHA256 {
		t.Errorf("the second time: created %v, %v", created, err)
	}
	if names := changed(t, before, contents(t, a)); names != nil {
		t.Errorf("the second time changed %q", names)
	}
	*now = today.Add(30 * day)
	if again, created, err = a.Client("laptop", 30*day, false); err != nil || !created || again.SHA256 == issued.SHA256 {
		t.Errorf("once it has expired: created %v, %v", created, err)
	}
	if err := os.Remove(again.PKCS12File); err != nil {
		t.Fatal(err)
	}
	if _, created, err = a.Client("laptop", 30*day, false); err != nil || !created {
		t.Errorf("with a file missing: created %v, %v", created, err)
	}
	mail, _, err := a.Client("alice@example.org", day, false)
	if err != nil {
		t.Fatal(err)
	}
	if got := load(t, mail.CertificateFile).EmailAddresses; !slices.Equal(got, []string{"alice@example.org"}) {
		t.Errorf("e-mail addresses %q", got)
	}
	// Nothing outlives its authority.
	*now = today.Add(certs.AuthorityLife - day)
	last, _, err := a.Client("last", 30*day, false)
	if err != nil || last.Expires.After(a.Certificate().NotAfter) {
		t.Errorf("the last one expires at %v, %v", last.Expires, err)
	}
}

func TestRevoke(t *testing.T) {
	a, now := newAuthority(t)
	revoked := func() (serials []string) {
		t.Helper()
		text, err := os.ReadFile(a.RevocationFile())
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode(text)
		list, err := x509.ParseRevocationList(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if err := list.CheckSignatureFrom(a.Certificate()); err != nil {
			t.Fatal(err)
		}
		if !list.NextUpdate.Equal(a.Certificate().NotAfter) {
			t.Fatalf("the list is good until %v: nobody is there to renew it", list.NextUpdate)
		}
		for _, entry := range list.RevokedCertificateEntries {
			serials = append(serials, entry.SerialNumber.Text(16))
		}
		return serials
	}
	first, _, err := a.Client("laptop", 30*day, false)
	if err != nil {
		t.Fatal(err)
	}
	if got := revoked(); got != nil {
		t.Fatalf("revoked at first: %q", got)
	}
	second, _, err := a.Client("laptop", 30*day, true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Revoke("phone"); !errors.Is(err, certs.ErrUnknown) {
		t.Errorf("an unknown name: %v", err)
	}
	if done, err := a.Revoke("laptop"); !done || err != nil {
		t.Fatalf("Revoke = %v, %v", done, err)
	}
	if got := revoked(); !slices.Equal(got, []string{first.Serial, second.Serial}) {
		t.Errorf("revoked: %q, want both of the name", got)
	}
	before := contents(t, a)
	*now = now.Add(day)
	if done, err := a.Revoke("laptop"); done || err != nil {
		t.Errorf("the second time: %v, %v", done, err)
	}
	if names := changed(t, before, contents(t, a)); names != nil {
		t.Errorf("the second time changed %q", names)
	}
	// A list that was lost is made again.
	if err := os.Remove(a.RevocationFile()); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Revoke("laptop"); err != nil || len(revoked()) != 2 {
		t.Errorf("after the list was lost: %v, %q", err, revoked())
	}
	if _, _, err := a.Client("laptop", day, false); !errors.Is(err, certs.ErrRevoked) {
		t.Errorf("issued again without being asked to: %v", err)
	}
	if _, created, err := a.Client("laptop", day, true); err != nil || !created {
		t.Errorf("renewed: created %v, %v", created, err)
	}
	if got := revoked(); len(got) != 2 {
		t.Errorf("renewing changed the list: %q", got)
	}
	records, err := a.List()
	if err != nil || len(records) != 3 || !records[0].Replaced || records[0].Revoked.IsZero() || records[2].Replaced || !records[2].Revoked.IsZero() {
		t.Errorf("List = %+v, %v", records, err)
	}
}

// Several programs at once lose nothing.
func TestConcurrent(t *testing.T) {
	a, _, err := certs.Init(t.TempDir(), certs.Options{}) // Open has the clock of the machine
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	for i := range 8 {
		running.Go(func() {
			own, err := certs.Open(a.Dir())
			if err == nil {
				_, _, err = own.Client(fmt.Sprintf("device%d", i%4), certs.ClientLife, false)
			}
			if err == nil && i < 2 {
				_, err = own.Revoke(fmt.Sprintf("device%d", i))
			}
			if err != nil && !errors.Is(err, certs.ErrRevoked) {
				t.Error(err)
			}
		})
	}
	running.Wait()
	records, err := a.List()
	if err != nil || len(records) != 4 {
		t.Errorf("%d records, %v, want 4", len(records), err)
	}
}

// What the authority may sign is what crypto/x509 lets it, for any name.
func FuzzServerName(f *testing.F) {
	for _, seed := range []string{"localhost", "a.local", "10.1.2.3", "xlocal", "LOCAL", "*.example.org", "8.8.8.8", "::ffff:10.0.0.1", "ca", "example.org", "::1", "*.lan", "x y", "1.2.3", "0x7f.1"} {
		f.Add(seed)
	}
	a, now := newAuthority(f)
	roots := x509.NewCertPool()
	roots.AddCert(a.Certificate())
	f.Fuzz(func(t *testing.T, name string) {
		issued, _, err := a.Server([]string{name}, certs.ServerLife, false)
		if err == nil != a.Permits(name) && !errors.Is(err, certs.ErrClientName) { // a server called ca
			t.Fatalf("%q: %v, though Permits says %v", name, err, a.Permits(name))
		}
		if err != nil {
			return
		}
		c := load(t, issued.CertificateFile)
		if filepath.Dir(issued.CertificateFile) != a.Dir() {
			t.Fatalf("%q: written to %s", name, issued.CertificateFile)
		}
		if _, err := c.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: *now}); err != nil {
			t.Fatalf("%q: nobody believes it: %v", name, err)
		}
		for _, ip := range c.IPAddresses {
			if !ip.IsPrivate() && !ip.IsLoopback() && !ip.IsLinkLocalUnicast() && !documentation(ip) {
				t.Fatalf("%q: signed for %v", name, ip)
			}
		}
	})
}

func documentation(ip net.IP) bool {
	for _, prefix := range []string{"192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "100.64.0.0/10", "169.254.0.0/16"} {
		if _, n, _ := net.ParseCIDR(prefix); n.Contains(ip) {
			return true
		}
	}
	return false
}
