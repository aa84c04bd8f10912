package main

import (
	"errors"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"overlay/tlsauth"
)

// httpsFlags are the options of TLS as they were typed; see serveCommand.
type httpsFlags struct {
	SSLCertificateFile  repeatedList `group:"Listener and TLS" name:"ssl-certificate-file" placeholder:"FILE" help:"Certificate chain, PEM. Repeatable: a client gets the one for the name that it asks for. Default: one that overlay makes itself."`
	SSLCertificateKey   repeatedList `group:"Listener and TLS" name:"ssl-certificate-key-file" placeholder:"FILE" help:"Private key of the certificate, PEM. As often as --ssl-certificate-file, in the same order."`
	SSLCertificate      repeatedList `group:"Listener and TLS" name:"ssl-certificate" placeholder:"PREFIX" help:"Short for PREFIX.crt and PREFIX.key. Repeatable."`
	SSLCertificateChain string       `group:"Listener and TLS" name:"ssl-certificate-chain-file" placeholder:"FILE" help:"Intermediate certificates that --ssl-certificate-file lacks, PEM."`
	SSLProtocol         commaList    `group:"Listener and TLS" name:"ssl-protocol" placeholder:"NAME" help:"Versions of TLS: TLSv1.2, TLSv1.3, or both with a comma between them. Default: both."`
	SSLCiphers          commaList    `group:"Listener and TLS" name:"ssl-ciphers" placeholder:"NAME" help:"Cipher suites of TLS 1.2 by the names of OpenSSL, with commas. Default: all with forward secrecy and authenticated encryption."`
	acmeFlags

	DisableHTTP  bool         `group:"Listener and TLS" name:"disable-http" help:"Listen for HTTPS alone."`
	DisableHTTP2 bool         `group:"Listener and TLS" name:"disable-http2" help:"Speak HTTP/1.1 alone over TLS."`
	HTTPSOnly    bool         `group:"Listener and TLS" name:"https-only" help:"Answer plain HTTP with a redirect (308) to HTTPS."`
	HSTSPolicy   string       `group:"Listener and TLS" name:"hsts-policy" placeholder:"VALUE" help:"Send Strict-Transport-Security over HTTPS, max-age=31536000 for example. Needs --https-only or --disable-http."`
	ServerName   string       `group:"Listener and TLS" placeholder:"NAME" help:"Name of the site; requests for other hosts are answered 421."`
	ServerAlias  repeatedList `group:"Listener and TLS" placeholder:"NAME" help:"Further name of the site; *.example.org for all below example.org. Repeatable."`

	SSLCACertificateFile string       `group:"Client certificates" name:"ssl-ca-certificate-file" placeholder:"FILE" help:"Trust anchors, PEM. Clients need a certificate by one of them: for the whole site, or where --ssl-verify-client and --ssl-allow say."`
	SSLVerifyClient      repeatedList `group:"Client certificates" name:"ssl-verify-client" placeholder:"PATH" help:"Ask for a certificate at and below the URL path PATH; the rest is open. Repeatable."`
	SSLVerify            string       `group:"Client certificates" name:"ssl-verify" placeholder:"MODE" default:"optional" help:"What becomes of a client without a good certificate: optional answers with a page that says why, required ends the handshake."`
	SSLAllow             pairList     `group:"Client certificates" name:"ssl-allow" placeholder:"PATH RULE" help:"Who may pass at and below the URL path PATH: cn=, ou=, o=, email=, dns=, uri=, issuer= (* stands for any text), serial= or sha256=; with ' and ' between several. @FILE has a rule on each line. The longest PATH decides. Repeatable: one RULE must fit."`
	SSLCRLFile           repeatedList `group:"Client certificates" name:"ssl-crl-file" placeholder:"FILE" help:"Revocation list by a trust anchor, PEM or DER. Repeatable."`
	SSLUserName          string       `group:"Client certificates" name:"ssl-user-name" placeholder:"VARIABLE" help:"Put the value of VARIABLE, such as SSL_CLIENT_S_DN_CN, into REMOTE_USER."`
	SSLEnvironment       bool         `group:"Client certificates" name:"ssl-environment" help:"Tell the application about the server's certificate, too (SSL_SERVER_S_DN and more)."`
	AllowPlainHTTP       bool         `group:"Client certificates" name:"allow-plain-http" help:"Serve over plain HTTP what needs no client certificate."`
}

// httpsConfig is what the options of TLS ask for.
type httpsConfig struct {
	// TLS has no Logger yet.
	TLS tlsauth.Options
	// SelfMade says that no certificate is given: overlay makes one, whose trust
	// anchor is then SelfMadeAnchor.
	SelfMade       bool
	SelfMadeAnchor string
	ACME           acmeConfig
	// Share is what `overlay share` has to say, else nil.
	Share     *share
	HTTP2     bool
	HTTPSOnly bool
	HSTS      string   // "" for none
	Names     []string // that the site is served under; nil for all
	NoHTTP    bool     // there is no plain HTTP at all
}

// certificates joins the two ways to name certificates and their keys.
func (k *checker) certificate() error {
	files, keys := k.SSLCertificateFile, k.SSLCertificateKey
	if len(k.SSLCertificate) > 0 {
		if len(files)+len(keys) > 0 {
			return usagef("keep one of them", "--ssl-certificate and --ssl-certificate-file or --ssl-certificate-key-file name the same thing")
		}
		for _, prefix := range k.SSLCertificate {
			files, keys = append(files, prefix+".crt"), append(keys, prefix+".key")
		}
	}
	switch {
	case len(files) == 0 && len(keys) == 0:
		if k.SSLCertificateChain != "" {
			return usagef("add --ssl-certificate-file FILE", "--ssl-certificate-chain-file needs its certificate")
		}
		if k.cfg.HTTPS {
			k.cfg.SelfMade, k.cfg.SelfMadeAnchor = true, filepath.Join(certDir("", ""), "ca.crt")
		}
	case !k.cfg.HTTPS:
		return usagef("add --https-port 8443", "a certificate is given, but no --https-port")
	case len(keys) == 0:
		return usagef("add --ssl-certificate-key-file FILE", "--ssl-certificate-file needs its private key")
	case len(files) == 0:
		return usagef("add --ssl-certificate-file FILE", "--ssl-certificate-key-file needs its certificate")
	case len(files) != len(keys):
		return usagef("each certificate has a key of its own, in the same order",
			"--ssl-certificate-file is given %d times, --ssl-certificate-key-file %d times", len(files), len(keys))
	case len(files) > 1 && k.SSLCertificateChain != "":
		return usagef("put each chain into the file of its certificate", "--ssl-certificate-chain-file with %d certificates", len(files))
	}
	for i := range files {
		c := tlsauth.Certificate{File: k.abs(files[i]), KeyFile: k.abs(keys[i])}
		if err := k.readableFile("certificate", c.File, ""); err != nil {
			return err
		}
		if err := k.readableFile("private key", c.KeyFile, ""); err != nil {
			return err
		}
		if k.SSLCertificateChain != "" {
			c.ChainFile = k.abs(k.SSLCertificateChain)
		}
		k.cfg.TLS.Certificates = append(k.cfg.TLS.Certificates, c)
	}
	for _, check := range []func() error{k.httpsEffect, k.acme, k.protocols, k.names, k.anchors, k.rules, k.plainHTTP} {
		if err := check(); err != nil {
			return err
		}
	}
	if !k.cfg.HTTPS {
		return nil
	}
	k.cfg.HTTP2 = !k.DisableHTTP2
	return k.tryTLS()
}

// httpsEffect refuses options of TLS where there is none.
func (k *checker) httpsEffect() error {
	if !k.cfg.HTTPS {
		for _, option := range []string{
			"ssl-protocol", "ssl-ciphers", "disable-http", "disable-http2", "https-only", "hsts-policy", "ssl-ca-certificate-file",
			"ssl-verify-client", "ssl-verify", "ssl-allow", "ssl-crl-file", "ssl-user-name", "ssl-environment", "allow-plain-http",
		} {
			if k.given[option] > 0 {
				return usagef("add --https-port 8443", "--%s has no effect without --https-port", option)
			}
		}
	}
	if k.DisableHTTP {
		for _, option := range []string{"port", "https-only", "allow-plain-http"} {
			if k.given[option] > 0 {
				return usagef("leave out one of them", "--%s has no effect with --disable-http", option)
			}
		}
		k.cfg.NoHTTP = true
	}
	if k.SSLCACertificateFile == "" {
		for _, option := range []string{"ssl-verify-client", "ssl-verify", "ssl-allow", "ssl-crl-file", "ssl-user-name", "allow-plain-http"} {
			if k.given[option] > 0 {
				return usagef("add --ssl-ca-certificate-file FILE", "--%s has no effect without trust anchors", option)
			}
		}
	}
	if k.cfg.Application.Type == applicationStatic {
		for _, option := range []string{"ssl-environment"} {
			if k.given[option] > 0 {
				return usagef("leave it out", "--%s has no effect: only files are served, no application", option)
			}
		}
	}
	return nil
}

func (k *checker) protocols() (err error) {
	t := &k.cfg.TLS
	if t.MinVersion, t.MaxVersion, err = tlsauth.ParseProtocols(k.SSLProtocol); err != nil {
		return usagef("TLS 1.1 and older are broken, and Go's crypto/tls refuses them here", "--ssl-protocol: %w", err)
	}
	if t.CipherSuites, err = tlsauth.ParseCiphers(k.SSLCiphers); err != nil {
		return usagef("", "--ssl-ciphers: %w", err)
	}
	if len(t.CipherSuites) > 0 && len(k.SSLProtocol) > 0 && !slices.Contains(k.SSLProtocol, "TLSv1.2") {
		return usagef("leave it out", "--ssl-ciphers has no effect: those of TLS 1.3 are fixed")
	}
	return nil
}

// hostName is a host name in ASCII, an IPv4 address, or a wildcard in front.
var hostName = regexp.MustCompile(`^(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*$`)

// hstsPolicy is one max-age with directives around it (RFC 6797 section 6.1).
var hstsPolicy = regexp.MustCompile(`(?i)^([a-z]+;\s*)*max-age=("[0-9]+"|[0-9]+)(;\s*[a-z]+)*$`)

func (k *checker) names() error {
	if len(k.ServerAlias) > 0 && k.ServerName == "" {
		return usagef("add --server-name NAME", "--server-alias has no effect without --server-name")
	}
	if k.ServerName != "" {
		k.cfg.Names = append([]string{k.ServerName}, k.ServerAlias...)
	}
	for i, name := range k.cfg.Names {
		option := "--server-alias"
		if i == 0 {
			option = "--server-name"
		}
		if !hostName.MatchString(name) || i == 0 && strings.HasPrefix(name, "*.") {
			return usagef("for example: "+option+" www.example.org", "%s: got %q, want a host name without a port", option, name)
		}
	}
	k.cfg.HTTPSOnly = k.HTTPSOnly
	if k.HSTSPolicy != "" {
		if !k.HTTPSOnly && !k.DisableHTTP {
			return usagef("add --https-only", "--hsts-policy has no effect without --https-only")
		}
		if !hstsPolicy.MatchString(k.HSTSPolicy) {
			return usagef("for example: --hsts-policy max-age=31536000", "--hsts-policy: got %q, want max-age=SECONDS and directives with semicolons", k.HSTSPolicy)
		}
		k.cfg.HSTS = k.HSTSPolicy
	}
	return nil
}

func (k *checker) anchors() error {
	t := &k.cfg.TLS
	if err := oneOf("--ssl-verify", k.SSLVerify, "optional", "required"); err != nil {
		return err
	}
	if k.SSLVerify == "required" {
		t.Verify = tlsauth.Required
	}
	if k.SSLCACertificateFile != "" {
		t.AnchorFile = k.abs(k.SSLCACertificateFile)
		if err := k.readableFile("trust anchors", t.AnchorFile, ""); err != nil {
			return err
		}
	}
	for _, name := range k.SSLCRLFile {
		if err := k.readableFile("revocation list", k.abs(name), ""); err != nil {
			return err
		}
		t.RevocationFiles = append(t.RevocationFiles, k.abs(name))
	}
	if name := k.SSLUserName; name != "" {
		if !strings.HasPrefix(name, "SSL_CLIENT_") {
			return usagef("for example: --ssl-user-name SSL_CLIENT_S_DN_CN", "--ssl-user-name: got %q, want a variable whose name starts with SSL_CLIENT_", name)
		}
		t.UserName = name
	}
	t.ServerEnviron = k.SSLEnvironment
	return nil
}

// rules makes rules of --ssl-verify-client and --ssl-allow.
func (k *checker) rules() error {
	t := &k.cfg.TLS
	for _, name := range k.SSLVerifyClient {
		path, err := k.gatePath("--ssl-verify-client", name)
		if err != nil {
			return err
		}
		t.Rules = append(t.Rules, tlsauth.Rule{Path: path})
	}
	if len(t.Rules) == 0 && len(k.SSLAllow) > 0 && !slices.ContainsFunc(k.SSLAllow, func(p pair) bool { return p.Name == "/" }) {
		// Trust anchors alone gate the whole site; a rule for a part of it does not
		// open the rest.
		t.Rules = append(t.Rules, tlsauth.Rule{Path: "/"})
	}
	for _, p := range k.SSLAllow {
		path, err := k.gatePath("--ssl-allow", p.Name)
		if err != nil {
			return err
		}
		rule := tlsauth.Rule{Path: path}
		if file, ok := strings.CutPrefix(p.Value, "@"); ok {
			if err := k.readableFile("--ssl-allow "+path, k.abs(file), ""); err != nil {
				return err
			}
			rule.AllowFiles = []string{k.abs(file)}
		} else if err := tlsauth.ValidPattern(p.Value); err != nil {
			return usagef("for example: --ssl-allow / 'cn=Alice Example'", "--ssl-allow %s: %w", path, err)
		} else {
			rule.Allow = []string{p.Value}
		}
		t.Rules = append(t.Rules, rule)
	}
	return nil
}

// gatePath checks the path of a rule. A rule for an index file would leave the
// same content open at the path of its folder, one for a page that is shown in place of others
// at theirs. A rule for the whole site gates those, too.
func (k *checker) gatePath(option, name string) (string, error) {
	path, err := urlPath(option, name)
	if err != nil || path == "/" {
		return path, err
	}
	gated := func(name string) bool { return tlsauth.Rule{Path: path}.Covers(name, k.TryExtension) }
	folder := path[:strings.LastIndexByte(path, '/')+1]
	for _, index := range k.DirectoryIndex {
		if gated(folder + index) {
			return "", usagef("for the folder: "+option+" "+shellWord(folder), "%s: %q is an index file, which is served at %q as well", option, path, folder)
		}
	}
	if spa := k.cfg.Files.SPA; spa != "" && gated(spa) {
		return "", usagef("leave out one of them, or gate the whole site: "+option+" /", "%s %s: %q is the page of --spa, which is served at every path", option, path, spa)
	}
	for _, code := range slices.Sorted(maps.Keys(k.cfg.Files.ErrorDocuments)) {
		if page := k.cfg.Files.ErrorDocuments[code]; gated(page) {
			return "", usagef("leave out one of them, or take a page that anybody may see",
				"%s %s: %q is the page of --error-document %d, which is shown to everybody", option, path, page, code)
		}
	}
	return path, nil
}

// plainHTTP refuses a listener that would leave open beside the gate what the gate
// is for.
func (k *checker) plainHTTP() error {
	if k.SSLCACertificateFile == "" || k.HTTPSOnly && !k.AllowPlainHTTP || k.cfg.NoHTTP {
		return nil
	}
	if k.HTTPSOnly {
		return usagef("keep one of them", "--https-only and --allow-plain-http exclude each other")
	}
	if !k.AllowPlainHTTP {
		return usagef("add --https-only or --disable-http, or --allow-plain-http to serve there what needs no certificate",
			"clients are asked for certificates, but plain HTTP cannot carry any")
	}
	for _, rule := range k.cfg.TLS.Rules {
		if rule.Path == "/" {
			return usagef("add --https-only instead", "--allow-plain-http has no effect: the whole site asks for a client certificate")
		}
	}
	if len(k.cfg.TLS.Rules) == 0 {
		return usagef("add --https-only instead, or --ssl-verify-client PATH", "--allow-plain-http has no effect: the whole site asks for a client certificate")
	}
	return nil
}

// tryTLS reads all files once, so that what is wrong with them is said before
// anything is started.
func (k *checker) tryTLS() error {
	options := k.cfg.TLS
	if k.cfg.SelfMade || len(k.cfg.ACME.Domains) > 0 {
		options.GetCertificate = noCertificate // it is made when everything else is right
	}
	_, err := tlsauth.New(options)
	if err == nil {
		return nil
	}
	hint := ""
	switch {
	case errors.Is(err, tlsauth.ErrKeyMismatch), errors.Is(err, tlsauth.ErrNoKey), errors.Is(err, tlsauth.ErrNoCertificate):
		hint = "certificate and key are both PEM files, and belong to each other"
	case errors.Is(err, tlsauth.ErrEncryptedKey):
		hint = "take the passphrase off: openssl pkey -in KEY -out PLAIN-KEY"
	case errors.Is(err, tlsauth.ErrNoAnchors), errors.Is(err, tlsauth.ErrNotAnchor):
		hint = "--ssl-ca-certificate-file names the authority that issues the client certificates, not one of those"
	}
	return usagef(hint, "%w", err)
}
