package tlsauth_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"overlay/tlsauth"
	"overlay/tlsauth/tlstest"
)

// patience bounds what must happen; reaching it is a failure.
const patience = time.Minute

// fixture is a server certificate and an authority of clients, in files.
type fixture struct {
	dir              string
	serverCA, ca     *tlstest.CA
	server           *tlstest.Leaf
	anchors, revoked string // file names
	log              *logBuffer
}

func newFixture(t testing.TB) *fixture {
	f := &fixture{dir: t.TempDir(), serverCA: tlstest.NewCA(t), ca: tlstest.NewCA(t), log: &logBuffer{}}
	f.server = f.serverCA.Issue(t)
	f.anchors, f.revoked = filepath.Join(f.dir, "ca.pem"), filepath.Join(f.dir, "ca.crl")
	f.write(t, f.anchors, f.ca.PEM())
	f.write(t, f.revoked, f.ca.Revoke(t, nil))
	return f
}

// write replaces a file as a careful program does: by rename.
func (f *fixture) write(t testing.TB, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(name+".new", content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) options(t testing.TB) tlsauth.Options {
	certificate, key := f.server.Files(t)
	return tlsauth.Options{
		CertificateFile: certificate, KeyFile: key, AnchorFile: f.anchors, RevocationFiles: []string{f.revoked},
		Logger: slog.New(slog.NewTextHandler(f.log, nil)),
	}
}

func newServer(t testing.TB, o tlsauth.Options) *tlsauth.Server {
	t.Helper()
	s, err := tlsauth.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// connect makes a connection between a client with config and s, and returns both
// ends' states after a byte went each way, so that session tickets have arrived.
func connect(t testing.TB, s *tlsauth.Server, config *tls.Config) (client, server tls.ConnectionState, err error) {
	t.Helper()
	return connectSession(t, s, config, &tlsauth.Session{})
}

// connectSession is connect with the session that the handshake fills in.
func connectSession(t testing.TB, s *tlsauth.Server, config *tls.Config, session *tlsauth.Session) (client, server tls.ConnectionState, err error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	served := make(chan tls.ConnectionState, 1)
	go func() {
		defer close(served)
		inner, err := listener.Accept()
		if err != nil {
			return
		}
		defer inner.Close()
		c := tls.Server(inner, s.Config())
		if c.HandshakeContext(tlsauth.WithSession(context.Background(), session)) != nil {
			return
		}
		if _, err := c.Read(make([]byte, 1)); err != nil {
			return
		}
		served <- c.ConnectionState()
		_, _ = c.Write([]byte{1})
	}()
	inner, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer inner.Close()
	_ = inner.SetDeadline(time.Now().Add(patience))
	c := tls.Client(inner, config)
	if _, err := c.Write([]byte{1}); err != nil {
		<-served
		return client, server, err
	}
	if _, err := c.Read(make([]byte, 1)); err != nil {
		<-served
		return client, server, err
	}
	return c.ConnectionState(), <-served, nil
}

// clientConfig is a client that believes the server, with certificates to show.
func (f *fixture) clientConfig(certificates ...tls.Certificate) *tls.Config {
	return &tls.Config{
		RootCAs: f.serverCA.Pool(), ServerName: "localhost",
		// Certificates would be held back when the server names other authorities.
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if len(certificates) == 0 {
				return &tls.Certificate{}, nil
			}
			return &certificates[0], nil
		},
	}
}

// clientOf returns the client of a new connection with config.
func (f *fixture) clientOf(t testing.TB, s *tlsauth.Server, config *tls.Config) *tlsauth.Client {
	t.Helper()
	_, state, err := connect(t, s, config)
	if err != nil {
		t.Fatal(err)
	}
	return s.Client(state)
}

// watch runs s.Watch until the test ends.
func watch(t testing.TB, s *tlsauth.Server, hangup <-chan os.Signal) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		s.Watch(ctx, hangup)
		close(done)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
}

func pollUntil(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v for %s", patience, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func named(name string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.Subject.CommonName = name }
}

// logBuffer holds what was logged.
type logBuffer struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) contains(text string) bool { return b.count(text) > 0 }

func (b *logBuffer) count(text string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Count(b.text.String(), text)
}
