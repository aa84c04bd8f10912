package tls

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"overlay/tlsauth/tlstest"
)

// openssl runs openssl and returns what it wrote.
func (s *site) openssl(input, args string) string {
	s.t.Helper()
	stdout, stderr, _ := s.run(input, nil, tool(s.t, "openssl", "openssl"), strings.Fields(args)...)
	return stdout + stderr
}

// connect connects with s_client, and says which protocol and cipher suite were
// agreed on, "" for none.
func (s *site) connect(args string) string {
	s.t.Helper()
	out := s.openssl("", "s_client -servername localhost -connect 127.0.0.1:"+s.port+" "+args)
	found := regexp.MustCompile(`(?m)^(?:New|Reused), (TLSv[0-9.]+), Cipher is (\S+)$`).FindStringSubmatch(out)
	if found == nil || found[2] == "(NONE)" {
		return ""
	}
	return found[1] + " " + found[2]
}

// TestCipherSuites offers each protocol and each cipher suite that OpenSSL knows by
// itself: those that are taken are the modern ones, and no others.
func TestCipherSuites(t *testing.T) {
	s := startSite(t)
	modern := []string{"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"}
	known := strings.FieldsFunc(s.openssl("", "ciphers -tls1_2 ALL:COMPLEMENTOFALL:@SECLEVEL=0"), func(r rune) bool { return r == ':' || r == '\n' })
	if len(known) < 50 {
		t.Fatalf("openssl knows %d cipher suites", len(known))
	}
	for _, name := range known {
		if strings.HasPrefix(name, "TLS_") || strings.Contains(name, "PSK") || strings.Contains(name, "SRP") {
			continue // those of TLS 1.3, and those that need what no server here has
		}
		want := ""
		if slices.Contains(modern, name) {
			want = "TLSv1.2 " + name
		}
		if got := s.connect("-tls1_2 -cipher " + name + ":@SECLEVEL=0"); got != want {
			t.Errorf("%s with TLS 1.2: got %q, want %q", name, got, want)
		}
	}
	for name, taken := range map[string]bool{
		"TLS_AES_128_GCM_SHA256": true, "TLS_AES_256_GCM_SHA384": true, "TLS_CHACHA20_POLY1305_SHA256": true,
		"TLS_AES_128_CCM_SHA256": false, "TLS_AES_128_CCM_8_SHA256": false,
	} {
		want := ""
		if taken {
			want = "TLSv1.3 " + name
		}
		if got := s.connect("-tls1_3 -ciphersuites " + name); got != want {
			t.Errorf("%s with TLS 1.3: got %q, want %q", name, got, want)
		}
	}
	for _, args := range []string{"-tls1_1 -cipher ALL:@SECLEVEL=0", "-tls1 -cipher ALL:@SECLEVEL=0"} {
		if got := s.connect(args); got != "" {
			t.Errorf("%s: got %q, want a refusal", args, got)
		}
	}
	if got := s.connect(""); !strings.HasPrefix(got, "TLSv1.3 ") {
		t.Errorf("with everything on offer: %q", got)
	}
}

// TestChosenProtocols: --ssl-protocol and --ssl-ciphers narrow that down.
func TestChosenProtocols(t *testing.T) {
	for _, row := range []struct{ options, client, want string }{
		{"--ssl-protocol TLSv1.3", "-tls1_2", ""},
		{"--ssl-protocol TLSv1.3", "-tls1_3 -ciphersuites TLS_AES_128_GCM_SHA256", "TLSv1.3 TLS_AES_128_GCM_SHA256"},
		{"--ssl-protocol TLSv1.2", "-tls1_3", ""},
		{"--ssl-protocol TLSv1.2 --ssl-ciphers ECDHE-ECDSA-AES256-GCM-SHA384", "", "TLSv1.2 ECDHE-ECDSA-AES256-GCM-SHA384"},
		{"--ssl-ciphers ECDHE-ECDSA-AES256-GCM-SHA384", "-tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256", ""},
	} {
		t.Run(row.options+", "+row.client, func(t *testing.T) {
			s := startSite(t, strings.Fields(row.options)...)
			if got := s.connect(row.client); got != row.want {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
}

// handshake makes a connection that keeps its session in file, with the one there if
// use says so. It reports whether that was resumed, and the first line of the answer.
func (s *site) handshake(version, file, name string, use bool) (resumed bool, answer string) {
	s.t.Helper()
	args := fmt.Sprintf("s_client -ign_eof %s -servername %s -connect 127.0.0.1:%s -cert %s -key %s -sess_out %s",
		version, name, s.port, s.file("laptop.crt"), s.file("laptop.key"), file)
	if use {
		args += " -sess_in " + file
	}
	out := s.openssl("GET /a.txt HTTP/1.1\r\nHost: "+name+"\r\nConnection: close\r\n\r\n", args)
	how := regexp.MustCompile(`(?m)^(New|Reused), TLSv`).FindStringSubmatch(out)
	status := regexp.MustCompile(`(?m)^HTTP/1\.1 ([0-9]+)`).FindStringSubmatch(out)
	if how == nil || status == nil {
		s.t.Fatalf("s_client %s says neither how the session began nor what was answered:\n%s", args, out)
	}
	return how[1] == "Reused", status[1]
}

// TestTickets: how long a session ticket is said to live, and what ends a session
// before that.
func TestTickets(t *testing.T) {
	for _, version := range []string{"-tls1_2", "-tls1_3"} {
		t.Run(version, func(t *testing.T) {
			s := startSite(t)
			file := filepath.Join(s.dir, "session.pem")
			check := func(when string, wantResumed bool, wantAnswer, name string) {
				t.Helper()
				resumed, answer := s.handshake(version, file, name, true)
				if resumed != wantResumed || answer != wantAnswer {
					t.Errorf("%s: resumed %v with answer %s, want %v, %s", when, resumed, answer, wantResumed, wantAnswer)
				}
			}
			if resumed, answer := s.handshake(version, file, "localhost", false); resumed || answer != "200" {
				t.Fatalf("first connection: resumed %v, %s", resumed, answer)
			}
			// RFC 8446 section 4.6.1: seven days at most. crypto/tls says that for TLS 1.3, and
			// for TLS 1.2 nothing, which leaves it to the client (RFC 5077 section 5.6); the keys
			// are gone after a day in any case.
			text := s.openssl("", "sess_id -noout -text -in "+file)
			hint := regexp.MustCompile(`TLS session ticket lifetime hint: ([0-9]+)`).FindStringSubmatch(text)
			seconds := 0
			if hint != nil {
				seconds, _ = strconv.Atoi(hint[1])
			}
			if want := map[string]int{"-tls1_2": 0, "-tls1_3": 7 * 24 * 3600}[version]; seconds != want || version == "-tls1_3" && hint == nil {
				t.Errorf("ticket lifetime hint %d, want %d:\n%s", seconds, want, text)
			}
			check("the same again", true, "200", "localhost")
			check("under another name", false, "200", "127.0.0.1.example")
			check("and that again", true, "200", "127.0.0.1.example")

			// Trust anchors that changed end every session, whoever is still welcome.
			s.append("ca.crt", tlstest.NewCA(t).PEM())
			s.await("the new anchors", func() bool { return strings.Contains(s.server.Log(), "certificates reloaded") })
			check("with other anchors", false, "200", "localhost")
			check("and then", true, "200", "localhost")

			s.overlay("cert", "revoke", "laptop")
			s.await("the revocation", func() bool { return strings.Count(s.server.Log(), "certificates reloaded") > 1 })
			check("revoked", false, "403", "localhost")
		})
	}
}

// append adds text to a file of the authority, in one step as editors do.
func (s *site) append(name string, text []byte) {
	s.t.Helper()
	old, err := os.ReadFile(s.file(name))
	if err == nil {
		err = os.WriteFile(s.file(name+".new"), append(old, text...), 0o644)
	}
	if err == nil {
		err = os.Rename(s.file(name+".new"), s.file(name))
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// TestMisdirectedRequest: a connection for one certificate gets nothing of the other
// (RFC 9110 section 15.5.20), and no ordinary client ever notices.
func TestMisdirectedRequest(t *testing.T) {
	s := startSite(t)
	s.overlay("cert", "server", "a.test", "also-a.test")
	s.overlay("cert", "server", "b.test")
	s.start("--document-root", "docs", "--https-port", "0", "--https-only", "--ssl-certificate", "certs/localhost", "--ssl-certificate", "certs/a.test", "--ssl-certificate", "certs/b.test")
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(s.read("ca.crt")))
	for _, http2 := range []bool{false, true} {
		for _, row := range []struct {
			sni, host string
			want      int
		}{
			{"a.test", "a.test", 200},
			{"a.test", "A.test:" + s.port, 200},
			{"a.test", "also-a.test", 200},
			{"a.test", "b.test", 421},
			{"b.test", "a.test", 421},
			{"a.test", "localhost", 421},
			{"a.test", "127.0.0.1:" + s.port, 421}, // localhost's certificate has it
			{"a.test", "192.0.2.1", 200},
			{"a.test", "unknown.test", 200},
			{"127.0.0.1", "127.0.0.1:" + s.port, 200}, // no SNI: names alone are sent
			{"127.0.0.1", "b.test", 200},
		} {
			protocols := new(http.Protocols)
			protocols.SetHTTP1(!http2)
			protocols.SetHTTP2(http2)
			client := &http.Client{Transport: &http.Transport{
				TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: row.sni}, Protocols: protocols,
				DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
					return new(net.Dialer).DialContext(ctx, "tcp", "127.0.0.1:"+s.port)
				},
			}, Timeout: patience}
			request, err := http.NewRequest(http.MethodGet, "https://"+row.sni+"/a.txt", nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Host = row.host
			response, err := client.Do(request)
			if err != nil {
				t.Errorf("SNI %s, Host %s, HTTP/2 %v: %v", row.sni, row.host, http2, err)
				continue
			}
			_ = response.Body.Close()
			if response.StatusCode != row.want || response.ProtoMajor == 2 != http2 {
				t.Errorf("SNI %s, Host %s: %s %d, want %d", row.sni, row.host, response.Proto, response.StatusCode, row.want)
			}
			client.CloseIdleConnections()
		}
	}
}
