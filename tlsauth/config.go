package tlsauth

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// Reasons why options are refused that concern no file.
var (
	ErrMinVersion    = errors.New("tlsauth: TLS version is not supported")
	ErrNothingToShow = errors.New("tlsauth: no certificate is given")
	ErrNoAnchorFile  = errors.New("tlsauth: rules and revocation lists need trust anchors")
)

// Verify says what becomes of a client without a certificate that passes.
type Verify uint8

const (
	// Optional asks, and completes the handshake whatever comes. Decide refuses.
	Optional Verify = iota
	// Required ends the handshake. The user of a browser learns nothing of why, so it
	// is for programs.
	Required
)

// Options describes the TLS of one listener. New copies what it needs.
type Options struct {
	// CertificateFile and KeyFile are short for one Certificate, the first.
	CertificateFile, KeyFile string
	// Certificates are those of the server. A client gets the first that fits the
	// name it asks for (SNI), and the first of all when none does.
	Certificates []Certificate
	// GetCertificate, if not nil, is asked first, for certificates that come from
	// elsewhere (ACME). It returns nil, nil for names that are not its own. With it,
	// the challenge tls-alpn-01 is answered.
	GetCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)

	// Names are the names, in lower case, that GetCertificate has certificates for, each
	// with that name alone.
	Names []string

	// AnchorFile is a PEM file of trust anchors. Empty means that no client is asked
	// for a certificate.
	AnchorFile string
	// RevocationFiles are revocation lists, PEM or DER, by authorities in AnchorFile.
	RevocationFiles []string
	// Verify says when a client without a certificate that passes is refused.
	Verify Verify
	// Rules says which paths ask for a certificate. Nil means the whole site when
	// there are trust anchors.
	Rules []Rule
	// Endings are tried behind the name of a file that is not there: with .html, a
	// rule for /page covers /page.html, and one for /page.html /page.
	Endings []string
	// UserName is the variable whose value becomes REMOTE_USER; empty means none.
	UserName string
	// ServerEnviron adds what the server's certificate says to the environ: thirty
	// variables for each request.
	ServerEnviron bool

	// Tickets, if not nil, is shared with other processes that serve the same site, so
	// that a session of one is resumed by another. Nil means a secret of its own.
	Tickets *TicketSecret

	// MinVersion is tls.VersionTLS12 or tls.VersionTLS13; zero means TLS 1.2.
	MinVersion uint16
	// MaxVersion is one of the two, or zero for the newest.
	MaxVersion uint16
	// CipherSuites are those of TLS 1.2; nil means all with forward secrecy and
	// authenticated encryption. See ParseCiphers.
	CipherSuites []uint16
	// NextProtos is what ALPN offers; nil means HTTP/1.1.
	NextProtos []string

	// Logger gets warnings and what becomes of a reload. Nil means slog.Default.
	Logger *slog.Logger
	// Now replaces time.Now in tests.
	Now func() time.Time
}

// Config reads the files of o and returns a configuration for a server, and
// warnings: whole sentences for people about what will be served though clients
// will refuse it, or will soon. New does the same for who reloads.
func (o Options) Config() (config *tls.Config, warnings []string, err error) {
	s, err := New(o)
	if err != nil {
		return nil, nil, err
	}
	return s.Config(), s.Warnings(), nil
}

// checked fills in the defaults of o and refuses what makes no sense.
func (o Options) checked() (Options, error) {
	if o.MinVersion == 0 {
		o.MinVersion = tls.VersionTLS12
	}
	for _, version := range []uint16{o.MinVersion, o.MaxVersion} {
		if version != 0 && version != tls.VersionTLS12 && version != tls.VersionTLS13 {
			return o, fmt.Errorf("%w: got %s, want TLS 1.2 or 1.3", ErrMinVersion, tls.VersionName(version))
		}
	}
	if o.MaxVersion != 0 && o.MaxVersion < o.MinVersion {
		return o, fmt.Errorf("%w: at least %s and at most %s leaves none", ErrMinVersion, tls.VersionName(o.MinVersion), tls.VersionName(o.MaxVersion))
	}
	if o.CipherSuites == nil {
		o.CipherSuites = modernIDs()
	}
	if o.NextProtos == nil {
		o.NextProtos = []string{"http/1.1"}
	}
	o.Certificates = slices.Clone(o.Certificates)
	if o.CertificateFile != "" {
		o.Certificates = slices.Insert(o.Certificates, 0, Certificate{File: o.CertificateFile, KeyFile: o.KeyFile})
	}
	if len(o.Certificates) == 0 && o.GetCertificate == nil {
		return o, ErrNothingToShow
	}
	if o.AnchorFile == "" && len(o.Rules)+len(o.RevocationFiles) > 0 {
		return o, ErrNoAnchorFile
	}
	if o.AnchorFile != "" && len(o.Rules) == 0 {
		o.Rules = []Rule{{Path: "/"}}
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o, nil
}

// files returns every file that o names.
func (o *Options) files() (names []string) {
	for _, c := range o.Certificates {
		names = append(names, c.files()...)
	}
	if o.AnchorFile != "" {
		names = append(names, o.AnchorFile)
	}
	names = append(names, o.RevocationFiles...)
	for _, rule := range o.Rules {
		names = append(names, rule.AllowFiles...)
	}
	return names
}

// generation is everything that comes from one reading of the files. It never
// changes, but for the session ticket keys.
type generation struct {
	config  *tls.Config
	anchors *anchors
	revoked *revocations
	rules   *rules

	userName      string
	serverEnviron bool

	content [sha256.Size]byte // of the files; tickets of another content are not opened
}

// load reads all files of o, which is checked.
func (o *Options) load() (g *generation, err error) {
	g = &generation{userName: o.UserName, serverEnviron: o.ServerEnviron}
	g.config = &tls.Config{
		MinVersion:   o.MinVersion,
		MaxVersion:   o.MaxVersion,
		CipherSuites: o.CipherSuites,
		NextProtos:   slices.Clone(o.NextProtos),
		Time:         o.Now,
	}
	for _, c := range o.Certificates {
		certificate, err := c.load()
		if err != nil {
			return nil, err
		}
		g.config.Certificates = append(g.config.Certificates, certificate)
	}
	if o.GetCertificate != nil {
		g.config.GetCertificate = o.GetCertificate
	}
	if g.rules, err = newRules(o.Rules, o.Endings); err != nil {
		return nil, err
	}
	if o.AnchorFile == "" {
		return g, nil
	}
	if g.anchors, err = loadAnchors(o.AnchorFile); err != nil {
		return nil, err
	}
	if len(o.RevocationFiles) > 0 {
		if g.revoked, err = loadRevocations(o.RevocationFiles, g.anchors); err != nil {
			return nil, err
		}
	}
	g.config.ClientCAs = g.anchors.pool
	g.config.ClientAuth = tls.RequestClientCert
	if o.Verify == Required {
		// crypto/tls verifies as well then, and its alerts tell the client more than
		// an error of VerifyConnection does. That one comes for resumed sessions, too.
		g.config.ClientAuth = tls.RequireAndVerifyClientCert
		g.config.VerifyConnection = func(state tls.ConnectionState) error {
			if verdict, _, _ := g.verify(state.PeerCertificates, o.Now()); verdict != Passed {
				return fmt.Errorf("tlsauth: client refused: %s", verdict)
			}
			return nil
		}
	}
	return g, nil
}

// setKeys sets the session ticket keys of the secret's current period. They open no
// session of a generation with another content.
func (g *generation) setKeys(secret *TicketSecret) {
	g.config.SetSessionTicketKeys(secret.keys(g.content))
}

// served returns the certificate that a client gets that asks for name, nil if it
// is not from a file.
func (g *generation) served(name string) *x509.Certificate {
	for i := range g.config.Certificates {
		leaf := g.config.Certificates[i].Leaf
		if len(g.config.Certificates) == 1 || leaf.VerifyHostname(name) == nil {
			return leaf
		}
	}
	if len(g.config.Certificates) == 0 {
		return nil
	}
	return g.config.Certificates[0].Leaf
}

// warnings are sentences about the files of o.
func (g *generation) warnings(o *Options, now time.Time) (warnings []string) {
	for i, c := range o.Certificates {
		warnings = append(warnings, validityWarnings(c.File, g.config.Certificates[i].Leaf, now)...)
	}
	if g.anchors == nil {
		return warnings
	}
	for _, c := range g.anchors.certificates {
		name := distinguishedName(c.RawSubject)
		switch {
		case now.After(c.NotAfter):
			warnings = append(warnings, fmt.Sprintf("the trust anchor %s has expired at %s: its certificates are refused", name, c.NotAfter.UTC().Format(time.RFC3339)))
		case c.NotAfter.Sub(now) < soon:
			warnings = append(warnings, fmt.Sprintf("the trust anchor %s expires at %s", name, c.NotAfter.UTC().Format(time.RFC3339)))
		}
	}
	return append(warnings, g.revoked.warnings(g.anchors, now)...)
}
