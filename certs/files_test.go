package certs_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"overlay/certs"
)

func writeAll(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// A folder may hold things that are not overlay's: they are never written over.
func TestInitWritesOverNothing(t *testing.T) {
	foreignKey := "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n"
	for _, row := range []struct {
		name  string
		files map[string]string
	}{
		{"the key of another authority", map[string]string{"ca.key": foreignKey, "ca.pem": "x"}},
		{"a revocation list", map[string]string{"ca.crl": "x"}},
		{"an index whose authority was lost", map[string]string{"index.json": "{}"}},
	} {
		dir := t.TempDir()
		writeAll(t, dir, row.files)
		if _, created, err := certs.Init(dir, certs.Options{}); !errors.Is(err, certs.ErrBroken) || created {
			t.Errorf("%s: Init = created %v, %v, want ErrBroken", row.name, created, err)
		}
		for name, want := range row.files {
			if text, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(text) != want {
				t.Errorf("%s: %s is now %q, %v", row.name, name, text, err)
			}
		}
		if entries, err := os.ReadDir(dir); err != nil || len(entries) != len(row.files) {
			t.Errorf("%s: %d files, %v", row.name, len(entries), err)
		}
	}
}

// An Init that was interrupted before it wrote the certificate is made up for, with
// the key that it left.
func TestInitAfterAnInterruption(t *testing.T) {
	a, _ := newAuthority(t)
	key := contents(t, a)["ca.key"]
	for _, name := range []string{"ca.crt", "ca.crl"} {
		if err := os.Remove(filepath.Join(a.Dir(), name)); err != nil {
			t.Fatal(err)
		}
	}
	again, created, err := certs.Init(a.Dir(), certs.Options{})
	if err != nil || !created {
		t.Fatalf("Init = created %v, %v", created, err)
	}
	if contents(t, again)["ca.key"] != key {
		t.Error("the key was replaced")
	}
	if err := os.Remove(again.RevocationFile()); err != nil {
		t.Fatal(err)
	}
	if _, created, err := certs.Init(a.Dir(), certs.Options{}); err != nil || created {
		t.Fatalf("Init without a list = created %v, %v", created, err)
	}
	if contents(t, again)["ca.crl"] == "" {
		t.Error("the list was not made again")
	}
}

// Keys never get into git, and what a .gitignore says already stays.
func TestGitIgnore(t *testing.T) {
	const secrets = "*.key\n*.p12\n*.password\n"
	for _, row := range []struct{ name, before, want string }{
		{"everything", "*\n", "*\n"},
		{"something else", "/build", "/build\n# private keys of overlay cert\n" + secrets},
		{"empty", "", "# private keys of overlay cert\n" + secrets},
	} {
		dir := t.TempDir()
		writeAll(t, dir, map[string]string{".gitignore": row.before})
		if _, _, err := certs.Init(dir, certs.Options{}); err != nil {
			t.Fatal(err)
		}
		if text, err := os.ReadFile(filepath.Join(dir, ".gitignore")); err != nil || string(text) != row.want {
			t.Errorf("%s: %q, %v, want %q", row.name, text, err, row.want)
		}
	}
}

// A certificate never takes the place of a file that is somebody else's.
func TestIssueWritesOverNothing(t *testing.T) {
	a, _ := newAuthority(t)
	other, _ := newAuthority(t)
	if _, _, err := other.Client("laptop", day, false); err != nil {
		t.Fatal(err)
	}
	foreign := contents(t, other)["laptop.crt"]
	writeAll(t, a.Dir(), map[string]string{"site.local.key": "mine", "laptop.p12": "mine"})
	for _, renew := range []bool{false, true} {
		before := contents(t, a)
		if _, _, err := a.Server([]string{"site.local"}, certs.ServerLife, renew); !errors.Is(err, certs.ErrFileThere) {
			t.Errorf("Server, renew %v: %v", renew, err)
		}
		if _, _, err := a.Client("laptop", day, renew); !errors.Is(err, certs.ErrFileThere) {
			t.Errorf("Client, renew %v: %v", renew, err)
		}
		if names := changed(t, before, contents(t, a)); names != nil {
			t.Errorf("renew %v: changed %q", renew, names)
		}
	}
	// Nor that of a certificate that was put in the place of its own.
	if _, _, err := a.Client("phone", day, false); err != nil {
		t.Fatal(err)
	}
	writeAll(t, a.Dir(), map[string]string{"phone.crt": foreign})
	for _, renew := range []bool{false, true} {
		if _, _, err := a.Client("phone", day, renew); !errors.Is(err, certs.ErrFileThere) {
			t.Errorf("over another certificate, renew %v: %v", renew, err)
		}
	}
}

// A certificate is in the index before it is in its file: one that the index did not
// know could never be revoked. What an interruption leaves is made again.
func TestInterruptedIssue(t *testing.T) {
	a, _ := newAuthority(t)
	first, _, err := a.Client("laptop", 30*day, false)
	if err != nil {
		t.Fatal(err)
	}
	before := contents(t, a)
	second, _, err := a.Client("laptop", 30*day, true)
	if err != nil {
		t.Fatal(err)
	}
	// As if the second had been interrupted once the index was written.
	for _, name := range []string{"laptop.crt", "laptop.key", "laptop.p12", "laptop.password"} {
		writeAll(t, a.Dir(), map[string]string{name: before[name]})
	}
	third, created, err := a.Client("laptop", 30*day, false)
	if err != nil || !created {
		t.Fatalf("after the interruption: created %v, %v", created, err)
	}
	serial := load(t, third.CertificateFile).SerialNumber.Text(16)
	if serial != third.Serial || serial == first.Serial || serial == second.Serial {
		t.Errorf("the file has serial number %s, the record %s", serial, third.Serial)
	}
	// A key that cannot be written: the index knows of the certificate all the same.
	phone, _, err := a.Client("phone", day, false)
	if err == nil {
		err = os.Remove(phone.KeyFile)
	}
	if err == nil {
		err = os.Mkdir(phone.KeyFile, 0o700)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := a.Client("phone", day, true); err == nil {
		t.Fatal("a folder was written over")
	}
	records, err := a.List()
	if err != nil || len(records) != 5 || records[4].Name != "phone" {
		t.Errorf("%+v, %v, want two records of phone", records, err)
	}
}

// The files of an address can be named on a command line.
func TestServerFileNames(t *testing.T) {
	a, _ := newAuthority(t)
	for host, want := range map[string]string{"::1": "_--1.crt", "fd00::7": "fd00--7.crt", "*.local": "_.local.crt", "10.0.0.1": "10.0.0.1.crt"} {
		issued, _, err := a.Server([]string{host}, certs.ServerLife, false)
		if err != nil || filepath.Base(issued.CertificateFile) != want {
			t.Errorf("%s: %v, %v, want %s", host, issued, err, want)
			continue
		}
		if _, err := a.Revoke(issued.Name); err != nil {
			t.Error(err)
		}
	}
}

// A certificate of a server that has to be replaced for one more name keeps the
// others: `overlay share` must not take an address from whoever asked for it.
func TestServerKeepsNames(t *testing.T) {
	a, now := newAuthority(t)
	hosts := func(want []string, names []string, renew bool) {
		t.Helper()
		issued, created, err := a.Server(names, certs.ServerLife, renew)
		if err != nil || !created || !slices.Equal(issued.Hosts, want) {
			t.Fatalf("Server(%q, renew %v) = %q, created %v, %v, want %q", names, renew, issued.Hosts, created, err, want)
		}
		c := load(t, issued.CertificateFile)
		if n := len(c.DNSNames) + len(c.IPAddresses); n != len(want) {
			t.Errorf("the certificate has %d names, want %d", n, len(want))
		}
	}
	hosts([]string{"localhost", "192.0.2.7"}, []string{"localhost", "192.0.2.7", "LOCALHOST"}, false)
	hosts([]string{"localhost", "10.0.0.1", "192.0.2.7"}, []string{"localhost", "10.0.0.1"}, false)
	*now = now.Add(certs.ServerLife)
	hosts([]string{"localhost", "10.0.0.1", "192.0.2.7"}, []string{"localhost"}, false)
	hosts([]string{"localhost", "::1"}, []string{"localhost", "::1"}, true)
	// Not without bounds: a laptop sees many networks.
	many := []string{"localhost"}
	for i := range 100 {
		many = append(many, fmt.Sprintf("10.0.1.%d", i))
	}
	if issued, _, err := a.Server(many, certs.ServerLife, true); err != nil || len(issued.Hosts) != 101 {
		t.Fatalf("%v, %v", len(issued.Hosts), err)
	}
	issued, _, err := a.Server([]string{"localhost", "10.9.9.9"}, certs.ServerLife, false)
	if err != nil || len(issued.Hosts) != 100 || issued.Hosts[1] != "10.9.9.9" {
		t.Errorf("%d names, %v, want 100", len(issued.Hosts), err)
	}
}
