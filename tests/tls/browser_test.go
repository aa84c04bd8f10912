package tls

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// downloadPage fetches /big.bin and shows its SHA-256.
const downloadPage = `<!DOCTYPE html><title>download</title><p id="r">waiting</p><script>
fetch('/big.bin').then(r => r.arrayBuffer()).then(b => crypto.subtle.digest('SHA-256', b)).then(d => {
  document.getElementById('r').textContent = Array.from(new Uint8Array(d), x => x.toString(16).padStart(2, '0')).join('')
}).catch(e => { document.getElementById('r').textContent = 'error ' + e })
</script>
`

// policies is where Debian's Chromium takes orders from. One of them makes it
// choose a client certificate without asking, since nobody is there to be asked.
const policies = "/etc/chromium/policies/managed"

// browser is a profile of Chromium.
type browser struct {
	s    *site
	file string
	home string
}

// newBrowser makes a profile that trusts the authority, and has the certificate
// name if that is not empty.
func newBrowser(s *site, name string) *browser {
	s.t.Helper()
	b := &browser{s: s, home: s.t.TempDir()}
	for _, candidate := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(candidate); err == nil {
			b.file = path
			break
		}
	}
	certutil, err := exec.LookPath("certutil")
	pk12util, err2 := exec.LookPath("pk12util")
	if b.file == "" || err != nil || err2 != nil {
		s.t.Skip("chromium, certutil or pk12util is missing; Debian's packages are chromium and libnss3-tools")
	}
	store := filepath.Join(b.home, ".pki/nssdb")
	if err := os.MkdirAll(store, 0o700); err != nil {
		s.t.Fatal(err)
	}
	b.must(certutil, "-d", "sql:"+store, "-N", "--empty-password")
	b.must(certutil, "-d", "sql:"+store, "-A", "-n", "authority", "-t", "C,,", "-i", s.file("ca.crt"))
	if name != "" {
		b.must(pk12util, "-d", "sql:"+store, "-i", s.file(name+".p12"), "-W", s.read(name+".password"))
	}
	return b
}

func (b *browser) must(name string, args ...string) {
	b.s.t.Helper()
	if stdout, stderr, err := b.s.run("", nil, name, args...); err != nil {
		b.s.t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, stdout, stderr)
	}
}

// open returns the page at path once its scripts have run.
func (b *browser) open(path string) string {
	b.s.t.Helper()
	stdout, stderr, err := b.s.run("", []string{"HOME=" + b.home}, b.file, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
		"--no-first-run", "--user-data-dir="+filepath.Join(b.home, "profile"), "--virtual-time-budget=15000", "--dump-dom", b.s.url+path)
	if err != nil {
		b.s.t.Fatalf("chromium: %v\n%s", err, stderr)
	}
	return stdout
}

// chooseCertificates makes Chromium send a certificate to the site without asking.
func chooseCertificates(s *site) {
	s.t.Helper()
	file := filepath.Join(policies, "overlay-test-"+s.port+".json")
	if err := os.MkdirAll(policies, 0o755); err != nil {
		s.t.Skipf("Chromium's policies cannot be set: %v", err)
	}
	policy := fmt.Sprintf(`{"AutoSelectCertificateForUrls": ["{\"pattern\": \"%s\", \"filter\": {}}"]}`, s.url)
	if err := os.WriteFile(file, []byte(policy), 0o644); err != nil {
		s.t.Skipf("Chromium's policies cannot be set: %v", err)
	}
	s.t.Cleanup(func() { _ = os.Remove(file) })
}

// The whole way of a person: the .p12 imported, listing and download; without it
// the page that says why; and after the certificate is taken back, that it was.
func TestChromium(t *testing.T) {
	if testing.Short() {
		t.Skip("a browser takes its time")
	}
	s := startSite(t)
	laptop, stranger := newBrowser(s, "laptop"), newBrowser(s, "")
	chooseCertificates(s)
	if got := laptop.open("/"); !strings.Contains(got, "big.bin") {
		t.Errorf("listing: %q", got)
	}
	want := fmt.Sprintf("%x", sha256.Sum256(s.big))
	if got := laptop.open("/download.html"); !strings.Contains(got, want) {
		t.Errorf("download: %q, want %s in it", got, want)
	}
	if !strings.Contains(s.server.Log(), `"GET /big.bin HTTP/2.0" 200`) {
		t.Error("the browser did not speak HTTP/2")
	}
	if got := stranger.open("/"); !strings.Contains(got, noneSent) || strings.Contains(got, "big.bin") {
		t.Errorf("without a certificate: %q", got)
	}
	s.overlay("cert", "revoke", "laptop")
	s.await("the reload", func() bool { return strings.Contains(s.server.Log(), "certificates reloaded") })
	if got := laptop.open("/"); !strings.Contains(got, revoked) || strings.Contains(got, "big.bin") {
		t.Errorf("after the revocation: %q", got)
	}
}
