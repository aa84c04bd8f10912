package protocols

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"overlay/tests/e2e/program"
)

// overlay is built once, by TestMain.
var overlay *program.Program

func TestMain(m *testing.M) { os.Exit(program.Main(m, &overlay, nil)) }

// written is when all files were written last.
var written = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// startSite serves the files and the application that the table is about, and returns
// the addresses of both listeners.
func startSite(t *testing.T, args ...string) (plain, secure string) {
	t.Helper()
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("no python3 on PATH")
	}
	dir := t.TempDir()
	big := make([]byte, 1<<20)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range big {
		big[i] = byte(random.Uint32())
	}
	for name, content := range map[string]string{
		"a.txt": "0123456789\n", "empty": "", "big.bin": string(big), "text.txt": strings.Repeat("words that are compressed\n", 2000), "page.html": "<p>page",
		"dir/index.html": "<p>index", "list/one.txt": "1", "list/two <&>.txt": "2", "list/sub/three": "3", "pre.js": strings.Repeat("alert(1);", 100), "pre.js.gz": "not really gzip",
		".hidden": "hidden", "a b.txt": "space", "ä.txt": "umlaut",
	} {
		name = filepath.Join(dir, "docs", name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, written, written); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"list/sub", "list", "dir", "."} {
		if err := os.Chtimes(filepath.Join(dir, "docs", name), written, written); err != nil {
			t.Fatal(err)
		}
	}
	script, err := filepath.Abs("app.wsgi")
	if err != nil {
		t.Fatal(err)
	}
	s := overlay.Start(t, program.Config{Dir: dir, Env: []string{"HOME=" + dir, "XDG_DATA_HOME="}, Args: append([]string{
		"--document-root", "docs", "--directory-listing", "--directory-download", "--https-port", "0", "--limit-request-body", "300000"}, append(args, script)...)})
	found := regexp.MustCompile(`https://127\.0\.0\.1:([0-9]+)/`).FindStringSubmatch(s.Log())
	if found == nil {
		t.Fatalf("no address for HTTPS: %s", s.Log())
	}
	return s.Addr, "127.0.0.1:" + found[1]
}

// TestSameAnswers: each row gets one answer, whatever it came over, the first time and when
// the server knows the file already.
func TestSameAnswers(t *testing.T) {
	for _, mode := range []struct {
		name string
		args []string
	}{{"bodies received first", nil}, {"bodies as they come", []string{"--stream-request-body", "*"}}} {
		t.Run(mode.name, func(t *testing.T) {
			t.Parallel()
			plain, secure := startSite(t, mode.args...)
			tag := entityTag(t, plain)
			for _, row := range rows {
				t.Run(row.name, func(t *testing.T) {
					row.fields = slices.Clone(row.fields)
					for i := range row.fields {
						row.fields[i] = strings.ReplaceAll(row.fields[i], "TAG", tag)
					}
					for range 2 {
						row.compare(t, plain, secure)
					}
				})
			}
		})
	}
}

// entityTag returns that of /a.txt.
func entityTag(t *testing.T, plain string) string {
	t.Helper()
	got := (&request{target: "/a.txt"}).over(t, plain, "")
	for _, f := range got.fields {
		if tag, ok := strings.CutPrefix(f, "etag: "); ok {
			return tag
		}
	}
	t.Fatalf("no entity tag: %v", got)
	return ""
}

// over sends r on a new connection.
func (r *request) over(t *testing.T, address, protocol string) response {
	t.Helper()
	c, err := dial(address, protocol)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	send := func(c net.Conn) (response, error) { return r.http1(c) }
	if protocol == "h2" {
		send = r.http2
	}
	got, err := send(c)
	if err != nil {
		t.Fatalf("%q: %v", protocol, err)
	}
	return got
}

// compare sends the row's request over everything.
func (r *row) compare(t *testing.T, plain, secure string) {
	t.Helper()
	if (r.http2 != "" || r.tls != "") && r.why == "" {
		t.Fatal("an exception without a reason")
	}
	first := r.over(t, plain, "")
	if first.status != r.want {
		t.Errorf("HTTP/1.1: status %v, want %s", first, r.want)
	}
	r.hold(t, first, r.over(t, secure, "http/1.1"), "HTTP/1.1 over TLS", r.tls)
	other := r.http2
	if other == "" {
		other = r.tls
	}
	r.hold(t, first, r.over(t, secure, "h2"), "HTTP/2", other)
}

// hold holds two answers against each other. except is what is known to be different: a
// status, or names of fields and "body", with commas.
func (r *row) hold(t *testing.T, a, b response, over, except string) {
	t.Helper()
	if except != "" && strings.Trim(except[len(except)-1:], "0123456789") == "" || except == "closed" {
		if b.status != except {
			t.Errorf("%s: status %v, want %s (%s)", over, b, except, r.why)
		}
		return
	}
	for _, name := range strings.Split(except, ",") {
		if name == "body" {
			a.body, b.body = "", ""
		}
		drop := func(f string) bool { return name != "" && strings.HasPrefix(f, name+":") }
		a.fields, b.fields = slices.DeleteFunc(slices.Clone(a.fields), drop), slices.DeleteFunc(slices.Clone(b.fields), drop)
	}
	if got, want := fmt.Sprint(b), fmt.Sprint(a); got != want || a.body != b.body {
		t.Errorf("over HTTP/1.1\n%s\nover %s\n%s", want, over, got)
	}
}
