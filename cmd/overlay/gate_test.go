package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"overlay/static"
	"overlay/tlsauth"
	"overlay/tlsauth/tlstest"

	"github.com/valyala/fasthttp"
)

// secret stands in everything that is behind a gate, and nowhere else.
const secret = "SECRET-CONTENT"

// gatedSite is a document root, an alias and an application, each with a part
// behind a gate, and what stands in front of them.
type gatedSite struct {
	ca, serverCA *tlstest.CA
	options      tlsauth.Options
	gate         *clientGate
	files        *static.Handler
	hygiene      *hygiene
	server       *fasthttp.Server
}

func newGatedSite(t testing.TB) *gatedSite {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"root/index.html": "front", "root/public/a.txt": "open", "root/page.html": secret, "root/archive/open.txt": "open",
		"root/private/index.html": secret, "root/private/file.txt": secret, "root/private/deep/b.txt": secret, "root/archive/inner/c.txt": secret,
		"root/notes.txt": secret, "root/notes.txt.gz": secret, "alias/open.txt": "open", "alias/hidden/d.txt": secret, "ca.pem": "",
	} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s := &gatedSite{ca: tlstest.NewCA(t), serverCA: tlstest.NewCA(t)}
	if err := os.WriteFile(filepath.Join(dir, "ca.pem"), s.ca.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	certificate, key := s.serverCA.Issue(t).Files(t)
	s.options = tlsauth.Options{
		CertificateFile: certificate, KeyFile: key, AnchorFile: filepath.Join(dir, "ca.pem"), Endings: []string{".html"},
		Rules: []tlsauth.Rule{{Path: "/private"}, {Path: "/page"}, {Path: "/notes.txt"}, {Path: "/media/hidden"}, {Path: "/app/private"},
			{Path: "/archive/inner"}, {Path: "/private/deep", Allow: []string{"cn=alice"}}},
	}
	server, err := tlsauth.New(s.options)
	if err != nil {
		t.Fatal(err)
	}
	s.files, err = static.New(static.Options{
		Root: filepath.Join(dir, "root"), Aliases: []static.Alias{{Path: "/media", Target: filepath.Join(dir, "alias")}},
		Listing: true, DirectoryDownload: true, TryExtensions: []string{".html"}, CacheRevalidate: -1,
		Next: naiveApplication,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.files.Close() })
	s.gate = &clientGate{tls: server, archives: true, log: slog.New(slog.DiscardHandler)}
	s.server = &fasthttp.Server{Logger: quietLogger{}}
	s.hygiene = &hygiene{checkTarget: targetError}
	s.hygiene.install(s.server, s.gate.wrap(s.files.Handle))
	return s
}

// naiveApplication resolves paths as the careless do: dots, doubled slashes,
// backslashes, and letters of either case are all the same to it.
func naiveApplication(ctx *fasthttp.RequestCtx) {
	name := strings.ToLower(path.Clean("/" + strings.ReplaceAll(string(static.Path(ctx)), "\\", "/")))
	if name == "/app/private" || strings.HasPrefix(name, "/app/private/") {
		ctx.SetBodyString(secret)
		return
	}
	ctx.SetBodyString("application")
}

// get asks for target on a new connection, and returns status and body. A nil
// certificate sends none; plain goes without TLS.
func (s *gatedSite) get(t testing.TB, target string, certificate *tls.Certificate, plain bool) (status int, body string) {
	t.Helper()
	client, inner := tcpPair(t)
	var served, conn net.Conn = newConnection(inner, &timeouts{}), client
	if !plain {
		served = newTLSConnection(served.(*connection), s.gate.tls.Config())
		conn = tls.Client(client, &tls.Config{RootCAs: s.serverCA.Pool(), ServerName: "localhost",
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				if certificate == nil {
					return &tls.Certificate{}, nil
				}
				return certificate, nil
			}})
	}
	go func() { _ = s.server.ServeConn(served) }()
	send(t, conn, "GET "+target+" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
	var response fasthttp.Response
	if err := response.Read(newReader(conn)); err != nil {
		t.Fatalf("GET %s: %v", target, err)
	}
	return response.StatusCode(), string(response.Body())
}

func TestGateSpellings(t *testing.T) {
	s := newGatedSite(t)
	nobody, alice := s.ca.Issue(t), s.ca.Issue(t, func(c *x509.Certificate) { c.Subject.CommonName = "alice" })
	valid, listed := nobody.TLS(t), alice.TLS(t)
	for _, row := range []struct {
		name, target string
		none         int // status without a certificate, and over plain HTTP
		valid, alice int // status with one that no rule names, and with alice's
		gated        bool
	}{
		{"front page", "/", 200, 200, 200, false},
		{"open file", "/public/a.txt", 200, 200, 200, false},
		{"application, open", "/app/other", 200, 200, 200, false},
		{"open by alias", "/media/open.txt", 200, 200, 200, false},
		{"the folder", "/private/", 403, 200, 200, true},
		{"the folder without a slash", "/private", 403, 301, 301, false},
		{"a file", "/private/file.txt", 403, 200, 200, true},
		{"encoded letters", "/%70rivate/%66ile.txt", 403, 200, 200, true},
		{"upper case", "/PRIVATE/file.txt", 403, 200, 200, false},
		{"encoded slash", "/private%2ffile.txt", 403, 200, 200, false},
		{"encoded slash in front", "/%2fprivate/file.txt", 403, 403, 200, false},
		{"doubled slash", "//private/file.txt", 403, 403, 200, false},
		{"doubled slash within", "/private//file.txt", 403, 403, 200, false},
		{"dot", "/./private/file.txt", 403, 403, 200, false},
		{"dots", "/public/../private/file.txt", 403, 403, 200, false},
		{"encoded dots", "/public/%2e%2e/private/file.txt", 403, 403, 200, false},
		{"dots above the root", "/../private/file.txt", 400, 400, 400, false},
		{"backslash", "/public\\..\\private\\file.txt", 403, 403, 200, false},
		{"twice encoded", "/%2570rivate/file.txt", 200, 200, 200, false},
		{"absolute form", "http://localhost/private/file.txt", 403, 200, 200, true},
		{"absolute form with two slashes", "http://localhost//private/file.txt", 403, 403, 200, false},
		{"query", "/private/file.txt?x=/public", 403, 200, 200, true},
		{"question mark first", "/public/?/private", 200, 200, 200, false},
		{"listing of a gated folder", "/private/deep/", 403, 403, 200, false},
		{"a rule below a rule", "/private/deep/b.txt", 403, 403, 200, true},
		{"precompressed sibling", "/notes.txt.gz", 403, 200, 200, true},
		{"the file itself", "/notes.txt", 403, 200, 200, true},
		{"extension tried", "/page", 403, 200, 200, true},
		{"extension written", "/page.html", 403, 200, 200, true},
		{"alias", "/media/hidden/d.txt", 403, 200, 200, true},
		{"alias by dots", "/media/x/../hidden/d.txt", 403, 403, 200, false},
		{"application", "/app/private/x", 403, 200, 200, true},
		{"application in upper case", "/APP/Private", 403, 200, 200, true},
		{"application by encoded slash", "/app%2Fprivate", 403, 200, 200, true},
		{"application by doubled slash", "/app//private", 403, 403, 200, true},
		{"application by dots", "/app/x/..%2fprivate", 403, 403, 200, true},
		{"application by backslash", "/app%5cprivate", 403, 403, 200, true},
		{"archive of a gated folder", "/archive/inner/?download=tar", 403, 200, 200, true},
		{"archive around a gated folder", "/archive/?download=tar", 403, 200, 200, true},
		{"archive of everything", "/?download=tar", 403, 403, 200, true},
		{"archive, further parameters", "/archive/?x=1&download=tar", 403, 200, 200, true},
		{"listing around a gated folder", "/archive/", 200, 200, 200, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			for _, way := range []struct {
				name        string
				certificate *tls.Certificate
				plain       bool
				want        int
			}{
				{"plain HTTP", nil, true, row.none}, {"no certificate", nil, false, row.none},
				{"a certificate", &valid, false, row.valid}, {"alice", &listed, false, row.alice},
			} {
				status, body := s.get(t, row.target, way.certificate, way.plain)
				if status != way.want {
					t.Errorf("%s: status %d, want %d", way.name, status, way.want)
				}
				if way.certificate == nil && strings.Contains(body, secret) {
					t.Errorf("%s: gated content is readable", way.name)
				}
				if way.certificate == &listed && strings.Contains(body, secret) != row.gated {
					t.Errorf("%s: gated content %v, want %v", way.name, !row.gated, row.gated)
				}
			}
		})
	}
}

// Whoever is refused has to come again by a new connection: a browser asks for a
// certificate with a handshake alone, and a revoked one keeps no connection.
func TestRefusedConnectionEnds(t *testing.T) {
	s := newGatedSite(t)
	for target, want := range map[string]struct {
		status int
		closes bool
	}{"/public/a.txt": {200, false}, "/private/file.txt": {403, true}} {
		client, inner := tcpPair(t)
		served := newTLSConnection(newConnection(inner, &timeouts{}), s.gate.tls.Config())
		conn := tls.Client(client, &tls.Config{RootCAs: s.serverCA.Pool(), ServerName: "localhost"})
		go func() { _ = s.server.ServeConn(served) }()
		send(t, conn, "GET "+target+" HTTP/1.1\r\nHost: localhost\r\n\r\n")
		reader := newReader(conn)
		var response fasthttp.Response
		if err := response.Read(reader); err != nil {
			t.Fatalf("GET %s: %v", target, err)
		}
		if response.StatusCode() != want.status || response.ConnectionClose() != want.closes {
			t.Errorf("GET %s: %d, says that the connection ends: %v, want %v", target, response.StatusCode(), response.ConnectionClose(), want)
		}
		if want.closes {
			if _, err := reader.ReadByte(); !errors.Is(err, io.EOF) {
				t.Errorf("GET %s: the connection goes on: %v", target, err)
			}
			continue
		}
		send(t, conn, "GET "+target+" HTTP/1.1\r\nHost: localhost\r\n\r\n")
		if err := response.Read(reader); err != nil {
			t.Errorf("GET %s, the second time: %v", target, err)
		}
	}
}

// No target, however it is spelled, gets a client without a certificate to gated
// content: neither a file nor what a careless application makes of the path.
func FuzzGate(f *testing.F) {
	for _, seed := range []string{
		"/private/file.txt", "//private/file.txt", "/%70rivate%2ffile.txt", "/public/../private/", "/page.html", "/notes.txt.gz",
		"/app//private", "/APP/private", "/archive/?download=tar", "/media/hidden/d.txt", "http://localhost/private/deep/b.txt", "/private\\file.txt",
	} {
		f.Add(seed)
	}
	s := newGatedSite(f)
	f.Fuzz(func(t *testing.T, target string) {
		ctx := &fasthttp.RequestCtx{}
		ctx.Init2(&net.TCPConn{}, quietLogger{}, false)
		head := "GET " + target + " HTTP/1.1\r\nHost: localhost\r\n\r\n"
		if ctx.Request.Header.Read(newReader(strings.NewReader(head))) != nil {
			return
		}
		s.hygiene.headerReceived(&ctx.Request.Header)
		s.hygiene.handle(ctx)
		body := ctx.Response.Body() // reads a stream as well
		if bytes.Contains(body, []byte(secret)) {
			t.Errorf("%q: gated content is readable, status %d", target, ctx.Response.StatusCode())
		}
		ctx.ResetUserValues()
	})
}

// The page says why, in the form that the client reads, and shows nothing of what
// was sent.
func TestGatePage(t *testing.T) {
	for verdict, want := range map[tlsauth.Verdict]string{
		tlsauth.NoneSent: "none was sent", tlsauth.Expired: "expired", tlsauth.NotYetValid: "not valid yet",
		tlsauth.UnknownAuthority: "authority", tlsauth.Revoked: "revoked", tlsauth.RevocationUnknown: "out of date",
		tlsauth.WrongPurpose: "not one for clients", tlsauth.Invalid: "not valid", tlsauth.NotListed: "for others",
	} {
		for _, accept := range []string{"*/*", "text/html"} {
			var ctx fasthttp.RequestCtx
			ctx.Request.Header.Set("Accept", accept)
			writeGatePage(&ctx, verdict, true)
			body := string(ctx.Response.Body())
			if ctx.Response.StatusCode() != 403 || !strings.Contains(body, want) || strings.Contains(body, "<p>") != (accept == "text/html") {
				t.Errorf("%v, %s: %d %q", verdict, accept, ctx.Response.StatusCode(), body)
			}
		}
	}
	var ctx fasthttp.RequestCtx
	writeGatePage(&ctx, tlsauth.NoneSent, false)
	if !strings.Contains(string(ctx.Response.Body()), "https://") {
		t.Errorf("plain HTTP: %q", ctx.Response.Body())
	}
}

func TestRedirectToHTTPS(t *testing.T) {
	for _, row := range []struct {
		name, head          string
		names               []string
		httpPort, httpsPort int
		status              int
		location            string
	}{
		{"ports of one's own", "GET /a?b=c%20d HTTP/1.1\r\nHost: h:8000\r\n\r\n", nil, 8000, 8443, 308, "https://h:8443/a?b=c%20d"},
		{"default ports", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", nil, 80, 443, 308, "https://h/"},
		{"default port of HTTP alone", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", nil, 80, 8443, 308, "https://h:8443/"},
		{"ports mapped by something in front", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", nil, 8000, 8443, 308, "https://h/"},
		{"IPv6", "GET / HTTP/1.1\r\nHost: [::1]:8000\r\n\r\n", nil, 8000, 8443, 308, "https://[::1]:8443/"},
		{"absolute form", "GET http://h:8000//x HTTP/1.1\r\nHost: other\r\n\r\n", nil, 8000, 8443, 308, "https://h:8443//x"},
		{"method is kept", "POST /a HTTP/1.1\r\nHost: h:8000\r\nContent-Length: 0\r\n\r\n", nil, 8000, 8443, 308, "https://h:8443/a"},
		{"HTTP/1.0 without a host", "GET / HTTP/1.0\r\n\r\n", nil, 8000, 8443, 400, ""},
		{"HTTP/1.0 with a server name", "GET / HTTP/1.0\r\n\r\n", []string{"site.example"}, 8000, 8443, 308, "https://site.example/"},
		{"another host", "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", []string{"site.example"}, 8000, 8443, 421, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			g := &clientGate{tls: new(tlsauth.Server), names: newHostNames(row.names), httpsOnly: true, httpPort: row.httpPort, httpsPort: row.httpsPort}
			var ctx fasthttp.RequestCtx
			ctx.Init2(&net.TCPConn{}, quietLogger{}, false)
			if err := ctx.Request.Header.Read(newReader(strings.NewReader(row.head))); err != nil {
				t.Fatal(err)
			}
			(&hygiene{}).headerReceived(&ctx.Request.Header)
			g.wrap(func(*fasthttp.RequestCtx) { t.Error("the request went on") })(&ctx)
			if got := fmt.Sprint(ctx.Response.StatusCode(), " ", string(ctx.Response.Header.Peek("Location"))); got != fmt.Sprint(row.status, " ", row.location) {
				t.Errorf("got %s, want %d %s", got, row.status, row.location)
			}
		})
	}
}

func TestHostNames(t *testing.T) {
	h := newHostNames([]string{"Example.org", "*.Example.net", "192.0.2.7"})
	for host, want := range map[string]bool{
		"example.org": true, "EXAMPLE.ORG:8443": true, "example.org.": true, "www.example.org": false, "example.net": false,
		"a.example.net": true, "a.b.example.net:1": true, ".example.net": false, "xexample.org": false, "192.0.2.7:80": true,
		"192.0.2.8": false, "[::1]:80": false, "localhost": false, "": true,
	} {
		if got := h.has([]byte(host)); got != want {
			t.Errorf("%q: %v, want %v", host, got, want)
		}
	}
	if !(*hostNames)(nil).has([]byte("anything")) {
		t.Error("without names a host is refused")
	}
}

func newReader(r io.Reader) *bufio.Reader { return bufio.NewReaderSize(r, maxHead) }

// A rule for something that is shown elsewhere as well is refused: it would be open there.
func TestRulesForPagesShownElsewhere(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"private/index.html", "private/app.html", "page.html", "404.html"} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(secret), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "ca.pem"), tlstest.NewCA(t).PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ args, want string }{
		{"--ssl-verify-client /private/index.html", "is an index file"},
		{"--ssl-verify-client /private/INDEX.html", "is an index file"},
		{"--ssl-verify-client /private/index --try-extension .html", "is an index file"},
		{"--ssl-verify-client /private/index", ""},
		{"--ssl-verify-client /private", ""},
		{"--ssl-verify-client /private/app.html --spa /private/app.html", "is the page of --spa"},
		{"--ssl-verify-client /private --spa /private/app.html", "is the page of --spa"},
		{"--ssl-allow /private cn=alice --spa /private/app.html", "is the page of --spa"},
		{"--ssl-verify-client /page --spa /page.html --try-extension .html", "is the page of --spa"},
		{"--ssl-verify-client /private --spa /page.html", ""},
		{"--ssl-verify-client / --spa /page.html", ""},
		{"--ssl-verify-client /404.html --error-document 404 /404.html", "is the page of --error-document 404"},
		{"--ssl-verify-client /private --error-document 404 /404.html --error-document 403 /private/app.html", "is the page of --error-document 403"},
		{"--ssl-verify-client /private --error-document 404 /404.html", ""},
		{"--ssl-verify-client / --error-document 404 /404.html", ""},
	} {
		args := append(strings.Fields(row.args), "--document-root", dir, "--https-port", "0", "--https-only", "--ssl-ca-certificate-file", filepath.Join(dir, "ca.pem"))
		_, err := parseConfig(dir, args...)
		if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
			t.Errorf("%s: error %v, want %q", row.args, err, row.want)
		}
	}
}
