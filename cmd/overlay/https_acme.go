package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttpadaptor"
	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
)

// acmeConfig says where certificates come from that an authority issues by
// itself (RFC 8555). It is off without domains.
type acmeConfig struct {
	Domains   []string // lower case
	Email     string   // the authority's contact; may be empty
	Directory string   // URL
	Cache     string   // folder for account and certificates
}

// acmeFlags are its options.
type acmeFlags struct {
	ACMEDomain    repeatedList `group:"Listener and TLS" name:"acme-domain" placeholder:"NAME" help:"Get a certificate for NAME from an ACME authority, and renew it. Port 443 or 80 of NAME must lead here. Repeatable."`
	ACMEEmail     string       `group:"Listener and TLS" name:"acme-email" placeholder:"ADDRESS" help:"Where the authority may write to."`
	ACMEDirectory string       `group:"Listener and TLS" name:"acme-directory" placeholder:"URL" help:"Directory of the authority. Default: Let's Encrypt's."`
	ACMECache     string       `group:"Listener and TLS" name:"acme-cache" placeholder:"DIR" help:"Folder for account key and certificates. Default: overlay/acme in $$XDG_DATA_HOME or ~/.local/share."`
}

// acme checks the options.
func (k *checker) acme() error {
	if len(k.ACMEDomain) == 0 {
		for _, option := range []string{"acme-email", "acme-directory", "acme-cache"} {
			if k.given[option] > 0 {
				return usagef("add --acme-domain NAME", "--%s has no effect without --acme-domain", option)
			}
		}
		return nil
	}
	if !k.cfg.HTTPS {
		return usagef("add --https-port 443", "--acme-domain has no effect without --https-port")
	}
	a := &k.cfg.ACME
	for _, name := range k.ACMEDomain {
		name = strings.ToLower(name)
		if !hostName.MatchString(name) || strings.HasPrefix(name, "*.") || !strings.Contains(name, ".") {
			return usagef("for example: --acme-domain www.example.org", "--acme-domain: got %q, want a public host name without a wildcard", name)
		}
		if slices.Contains(a.Domains, name) {
			return usagef("keep one of them", "--acme-domain: %q is given twice", name)
		}
		a.Domains = append(a.Domains, name)
	}
	if k.ACMEEmail != "" && !strings.Contains(strings.Trim(k.ACMEEmail, "@"), "@") {
		return usagef("for example: --acme-email me@example.org", "--acme-email: got %q, want an e-mail address", k.ACMEEmail)
	}
	if k.ACMEDirectory == "" {
		k.ACMEDirectory = autocert.DefaultACMEDirectory
	}
	if u, err := url.Parse(k.ACMEDirectory); err != nil || u.Scheme != "https" || u.Host == "" {
		return usagef("", "--acme-directory: got %q, want an https:// URL", k.ACMEDirectory)
	}
	a.Email, a.Directory = k.ACMEEmail, k.ACMEDirectory
	switch {
	case k.ACMECache != "":
		a.Cache = k.abs(k.ACMECache)
	case dataDir() != "":
		a.Cache = filepath.Join(dataDir(), "acme")
	default:
		return usagef("add --acme-cache DIR", "--acme-domain: there is no home directory to keep certificates in")
	}
	k.cfg.SelfMade, k.cfg.SelfMadeAnchor = false, "" // names that are not among the domains get no certificate
	return nil
}

// acmeClient gets certificates for some domains and answers the authority's challenges,
// tls-alpn-01 on the port of HTTPS and http-01 on that of plain HTTP.
type acmeClient struct {
	config  acmeConfig
	manager autocert.Manager
	http01  fasthttp.RequestHandler
	log     *slog.Logger
	quiet   atomic.Bool // a handshake has failed within the last minute, and the log says so
	expiry  sync.Map    // domain to the time.Time at which its certificate expires
}

func newACMEClient(config acmeConfig, log *slog.Logger) *acmeClient {
	a := &acmeClient{config: config, log: log}
	a.manager = autocert.Manager{
		Prompt:     autocert.AcceptTOS,
		Cache:      autocert.DirCache(config.Cache),
		HostPolicy: a.allowed,
		Email:      config.Email,
		Client:     &acme.Client{DirectoryURL: config.Directory, UserAgent: "overlay/" + overlayVersion()},
	}
	missing := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) })
	a.http01 = fasthttpadaptor.NewFastHTTPHandler(a.manager.HTTPHandler(missing))
	return a
}

// allowed is the autocert.HostPolicy. For http-01 host comes from a Host field, and
// has a port where the authority looks on another one than 80.
func (a *acmeClient) allowed(_ context.Context, host string) error {
	name, _ := cutPort([]byte(strings.ToLower(host)))
	if slices.Contains(a.config.Domains, string(name)) {
		return nil
	}
	return fmt.Errorf("acme: %q is not one of the domains", host)
}

// getCertificate is a tlsauth.Options.GetCertificate. A client that names no host
// gets the certificate of the first domain.
func (a *acmeClient) getCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := strings.TrimSuffix(strings.ToLower(hello.ServerName), ".")
	if name == "" {
		named := *hello
		named.ServerName = a.config.Domains[0]
		hello = &named
	} else if !slices.Contains(a.config.Domains, name) {
		return nil, nil
	}
	certificate, err := a.manager.GetCertificate(hello)
	if err != nil && a.quiet.CompareAndSwap(false, true) {
		a.log.Warn("no certificate from the ACME authority", "domain", hello.ServerName, "error", err)
		time.AfterFunc(time.Minute, func() { a.quiet.Store(false) })
	}
	if err == nil && !slices.Contains(hello.SupportedProtos, acme.ALPNProto) {
		a.note(hello.ServerName, certificate)
	}
	return certificate, err
}

// note keeps the expiry of the certificate of domain, for the metrics.
func (a *acmeClient) note(domain string, certificate *tls.Certificate) {
	if leaf := certificate.Leaf; leaf != nil {
		domain = strings.TrimSuffix(strings.ToLower(domain), ".")
		if known, _ := a.expiry.Load(domain); known != leaf.NotAfter {
			a.expiry.Store(domain, leaf.NotAfter)
		}
	}
}

// acmeLookInterval is how often the certificates are looked at.
const acmeLookInterval = 24 * time.Hour

// acmeSoon is how long before its end a certificate is warned about that should have
// been renewed long since: autocert does so 30 days before, and says nothing when it
// cannot.
const acmeSoon = 14 * 24 * time.Hour

// watch gets the certificates before the first client asks, which would have to wait
// for them, and looks at them every day until ctx ends.
func (a *acmeClient) watch(ctx context.Context) {
	ticker := time.NewTicker(acmeLookInterval)
	defer ticker.Stop()
	for first := true; ; first = false {
		for _, domain := range a.config.Domains {
			a.look(ctx, domain, first)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// look gets the certificate of domain, and tells the log what is wrong with it; first
// says that it is also to be told what is right.
func (a *acmeClient) look(ctx context.Context, domain string, first bool) {
	certificate, err := a.manager.GetCertificate(&tls.ClientHelloInfo{
		ServerName:        domain,
		CipherSuites:      []uint16{tls.TLS_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256},
		SupportedCurves:   []tls.CurveID{tls.CurveP256},
		SignatureSchemes:  []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256},
		SupportedVersions: []uint16{tls.VersionTLS13, tls.VersionTLS12},
	})
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		a.log.Warn("no certificate from the ACME authority; it is tried again when a client asks", "domain", domain, "error", err)
		return
	}
	a.note(domain, certificate)
	ends := certificate.Leaf.NotAfter
	expiry := ends.UTC().Format(time.RFC3339)
	switch {
	case time.Until(ends) < acmeSoon:
		a.log.Warn("the certificate from the ACME authority expires soon, and could not be renewed", "domain", domain, "expiry", expiry)
	case first:
		a.log.Info("certificate from the ACME authority", "domain", domain, "expiry", expiry)
	}
}

// challengePath is where the authority looks over plain HTTP (RFC 8555 section 8.3).
var challengePath = []byte("/.well-known/acme-challenge/")

// answers reports whether ctx is a question of the authority, and answers it.
func (a *acmeClient) answers(ctx *fasthttp.RequestCtx, path []byte) bool {
	if a == nil || !bytes.HasPrefix(path, challengePath) {
		return false
	}
	a.http01(ctx)
	return true
}
