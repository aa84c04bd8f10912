package tls

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// Texts of the pages that refuse.
const (
	noneSent = "This page asks for a client certificate, and none was sent."
	revoked  = "Your client certificate has been revoked."
)

func TestCurl(t *testing.T) {
	curl := tool(t, "curl", "curl")
	s := startSite(t)
	show := []string{"--cert", s.file("laptop.crt"), "--key", s.file("laptop.key")}
	bundle := []string{"--cert-type", "P12", "--cert", s.file("phone.p12") + ":" + s.read("phone.password")}
	for _, version := range []string{"--tlsv1.2 --tls-max 1.2", "--tlsv1.3"} {
		for _, protocol := range []string{"--http1.1", "--http2"} {
			for _, row := range []struct {
				name string
				args []string
				want string
			}{
				{"a certificate", show, "hello\n200 "}, {"PKCS #12", bundle, "hello\n200 "}, {"none", nil, noneSent},
			} {
				t.Run(version+" "+protocol+" "+row.name, func(t *testing.T) {
					args := append(strings.Fields("-sS "+version+" "+protocol+" -w %{http_code}_%{http_version} --cacert "+s.file("ca.crt")), row.args...)
					stdout, stderr, err := s.run("", nil, curl, append(args, s.url+"/a.txt")...)
					if err != nil || !strings.Contains(strings.Replace(stdout, "_", " ", 1), row.want) {
						t.Errorf("%v: %q %s", err, stdout, stderr)
					}
					if http2 := strings.HasSuffix(stdout, "_2"); http2 != (protocol == "--http2") {
						t.Errorf("%s spoke %q", protocol, stdout)
					}
				})
			}
		}
	}
	// Taken back, the next request is refused, that of a resumed session as well.
	s.overlay("cert", "revoke", "laptop")
	s.await("the revocation", func() bool {
		stdout, _, _ := s.run("", nil, curl, append([]string{"-sS", "--cacert", s.file("ca.crt"), s.url + "/a.txt"}, show...)...)
		return strings.Contains(stdout, revoked)
	})
}

func TestOpenSSL(t *testing.T) {
	openssl := tool(t, "openssl", "openssl")
	s := startSite(t)
	const request = "GET /a.txt HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
	client := func(t *testing.T, args string) string {
		t.Helper()
		stdout, stderr, _ := s.run(request, nil, openssl, strings.Fields("s_client -quiet -ign_eof -servername localhost -verify_return_error -CAfile "+
			s.file("ca.crt")+" -connect 127.0.0.1:"+s.port+" "+args)...)
		return stdout + stderr
	}
	show := " -cert " + s.file("laptop.crt") + " -key " + s.file("laptop.key")
	for _, row := range []struct{ name, args, want string }{
		{"TLS 1.3 with a certificate", "-tls1_3" + show, "hello"},
		{"TLS 1.3 without", "-tls1_3", noneSent},
		{"TLS 1.2 with a certificate", "-tls1_2" + show, "hello"},
		{"TLS 1.2 without", "-tls1_2", noneSent},
		{"TLS 1.1", "-tls1_1 -cipher ALL:@SECLEVEL=0", "alert"},
		{"TLS 1.0", "-tls1 -cipher ALL:@SECLEVEL=0", "alert"},
		{"CBC", "-tls1_2 -cipher ECDHE-ECDSA-AES128-SHA", "alert"},
		{"no forward secrecy", "-tls1_2 -cipher AES128-GCM-SHA256", "alert"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := client(t, row.args); !strings.Contains(got, row.want) {
				t.Errorf("got %q, want %q in it", got, row.want)
			}
		})
	}
	long, _, _ := s.run(request, nil, openssl, strings.Fields("s_client -ign_eof -servername localhost -tls1_2 -CAfile "+s.file("ca.crt")+" -connect 127.0.0.1:"+s.port+show)...)
	for _, want := range []string{"Compression: NONE", "Acceptable client certificate CA names", "O = overlay", "Secure Renegotiation IS supported"} {
		if !strings.Contains(long, want) {
			t.Errorf("s_client does not say %q:\n%s", want, long)
		}
	}
	// Renegotiation, which the line R makes s_client ask for, ends the connection.
	stdout, stderr, _ := s.run("R\n", nil, openssl, strings.Fields("s_client -servername localhost -tls1_2 -connect 127.0.0.1:"+s.port)...)
	if !strings.Contains(stdout+stderr, "RENEGOTIATING") || !strings.Contains(stdout+stderr, "SSL alert number") {
		t.Errorf("renegotiation: %q", stderr)
	}
}

func TestPython(t *testing.T) {
	python := tool(t, "python3", "python3")
	s := startSite(t)
	const script = `
import http.client, ssl, sys
port, ca, version, certificate, key = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, version)
if certificate:
    context.load_cert_chain(certificate, key)
connection = http.client.HTTPSConnection("localhost", int(port), context=context)
connection.request("GET", "/a.txt")
response = connection.getresponse()
print(response.status, response.read().decode())
`
	for _, version := range []string{"TLSv1_2", "TLSv1_3"} {
		for want, names := range map[string][]string{"200 hello": {s.file("laptop.crt"), s.file("laptop.key")}, "403 403 Forbidden\n" + noneSent: {"", ""}} {
			stdout, stderr, err := s.run("", nil, python, append([]string{"-c", script, s.port, s.file("ca.crt"), version}, names...)...)
			if err != nil || !strings.HasPrefix(stdout, want) {
				t.Errorf("%s: %v, %q %s, want %q", version, err, stdout, stderr, want)
			}
		}
	}
}

// goClient returns a client that shows the certificate name, "" for none.
func (s *site) goClient(name string, http2 bool) *http.Client {
	s.t.Helper()
	config := &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "localhost"}
	if !config.RootCAs.AppendCertsFromPEM([]byte(s.read("ca.crt"))) {
		s.t.Fatal("no trust anchor")
	}
	if name != "" {
		certificate, err := tls.LoadX509KeyPair(s.file(name+".crt"), s.file(name+".key"))
		if err != nil {
			s.t.Fatal(err)
		}
		config.Certificates = []tls.Certificate{certificate}
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!http2)
	protocols.SetHTTP2(http2)
	return &http.Client{Transport: &http.Transport{TLSClientConfig: config, Protocols: protocols}, Timeout: patience}
}

func (s *site) get(client *http.Client, path string) (status int, body []byte) {
	s.t.Helper()
	response, err := client.Get(s.url + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	if body, err = io.ReadAll(response.Body); err != nil {
		s.t.Fatal(err)
	}
	return response.StatusCode, body
}

// A connection that stays open is refused at its next request once its certificate
// is revoked, and ends; HTTP/1.1 and HTTP/2.
func TestGoAndRevocation(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		t.Run(fmt.Sprintf("HTTP/2 %v", http2), func(t *testing.T) {
			s := startSite(t)
			s.t = t
			if status, body := s.get(s.goClient("", http2), "/a.txt"); status != 403 || !strings.Contains(string(body), noneSent) {
				t.Errorf("without a certificate: %d %q", status, body)
			}
			laptop, phone := s.goClient("laptop", http2), s.goClient("phone", http2)
			status, body := s.get(laptop, "/big.bin")
			if status != 200 || sha256.Sum256(body) != sha256.Sum256(s.big) {
				t.Errorf("download: %d, %d bytes", status, len(body))
			}
			if status, body = s.get(laptop, "/"); status != 200 || !strings.Contains(string(body), "big.bin") {
				t.Errorf("listing: %d", status)
			}
			s.overlay("cert", "revoke", "laptop")
			s.await("the open connection to be refused", func() bool {
				status, body = s.get(laptop, "/a.txt")
				return status == 403
			})
			if !strings.Contains(string(body), revoked) {
				t.Errorf("the page says %q", body)
			}
			if status, _ := s.get(phone, "/a.txt"); status != 200 {
				t.Errorf("phone: %d", status)
			}
			if n := strings.Count(s.server.Log(), "panic"); n > 0 {
				t.Errorf("%d panics in the log", n)
			}
		})
	}
}

// With --disable-http2 a client that would rather speak HTTP/2 gets HTTP/1.1.
func TestDisableHTTP2(t *testing.T) {
	for want, args := range map[int][]string{1: {"--disable-http2"}, 2: nil} {
		s := startSite(t, args...)
		client := s.goClient("laptop", true)
		transport := client.Transport.(*http.Transport)
		transport.Protocols.SetHTTP1(true)
		response, err := client.Get(s.url + "/a.txt")
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.ProtoMajor != want || response.StatusCode != 200 {
			t.Errorf("%q: %s %d, want HTTP/%d", args, response.Proto, response.StatusCode, want)
		}
	}
}

// With --ssl-verify required there is no page: the handshake fails.
func TestVerifyRequired(t *testing.T) {
	s := startSite(t, "--ssl-verify", "required")
	if _, err := s.goClient("", false).Get(s.url + "/a.txt"); err == nil || !strings.Contains(err.Error(), "certificate required") {
		t.Errorf("without a certificate: %v", err)
	}
	if status, _ := s.get(s.goClient("laptop", false), "/a.txt"); status != 200 {
		t.Errorf("with a certificate: %d", status)
	}
}
