package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"overlay/static"
	"overlay/tlsauth"

	"github.com/valyala/fasthttp"
)

// noCertificate is a tlsauth.Options.GetCertificate for checks that show none.
func noCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return nil, errors.New("no certificate")
}

// buildTLS reads certificates, trust anchors and rules, and makes the gate.
func (s *site) buildTLS() (*clientGate, error) {
	g := &clientGate{names: newHostNames(s.cfg.Names), log: s.log}
	if !s.cfg.HTTPS {
		return g, nil
	}
	if s.cfg.SelfMade {
		certificate, err := s.selfMade(s.addresses())
		if err != nil {
			return nil, err
		}
		s.cfg.TLS.Certificates = []tlsauth.Certificate{certificate}
	}
	options := s.cfg.TLS
	options.Logger, options.Endings = s.log, s.cfg.Files.TryExtensions
	if s.heir != nil {
		options.Tickets = s.heir.tickets
	}
	if len(s.cfg.ACME.Domains) > 0 {
		g.acme = newACMEClient(s.cfg.ACME, s.log)
		options.GetCertificate, options.Names = g.acme.getCertificate, s.cfg.ACME.Domains
		s.acme = g.acme
	}
	if s.cfg.HTTP2 {
		options.NextProtos = []string{"h2", "http/1.1"}
	}
	var err error
	if s.tls, err = tlsauth.New(options); err != nil {
		return nil, err
	}
	for _, warning := range s.tls.Warnings() {
		s.log.Warn(warning)
	}
	g.tls, g.httpsOnly, g.hsts = s.tls, s.cfg.HTTPSOnly, s.cfg.HSTS
	g.archives = s.cfg.Files.DirectoryDownload
	g.httpPort, g.httpsPort = portOf(s.http), portOf(s.https)
	return g, nil
}

// watchTLS reloads what buildTLS has read, when files change and on SIGHUP. The
// result ends that, and waits until it has ended.
func (s *site) watchTLS() (stop func()) {
	if s.tls == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	var running sync.WaitGroup
	running.Go(func() { s.tls.Watch(ctx, hangup) })
	if s.acme != nil {
		go s.acme.watch(ctx) // not waited for: the authority may take minutes
	}
	return func() {
		signal.Stop(hangup)
		cancel()
		running.Wait()
	}
}

// plainAnswer is for clients that speak HTTP where HTTPS is spoken.
const plainAnswer = "HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n" +
	"400 Bad Request\nThis port speaks HTTPS: use https:// in place of http://.\n"

// answerPlainHTTP tells a client why its handshake failed with err, if it has sent
// a request in the clear: browsers do when somebody types an address with a port.
func answerPlainHTTP(c *tlsConnection, err error) {
	var record tls.RecordHeaderError
	if !errors.As(err, &record) || record.Conn == nil {
		return
	}
	for _, method := range []string{"GET /", "HEAD ", "POST ", "PUT /", "DELET", "OPTIO", "PATCH"} {
		if string(record.RecordHeader[:]) == method {
			_, _ = c.inner.Write([]byte(plainAnswer)) // the client may be gone already
			c.inner.linger.Store(true)
			return
		}
	}
}

// hideKeys keeps private keys out of what is served, wherever they are: those of
// the site, and every folder of an authority (package certs) that this program knows.
func (c *config) hideKeys(options *static.Options) error {
	folders := []string{"certs", dataDir()}
	for _, certificate := range c.TLS.Certificates {
		options.Private = append(options.Private, certificate.KeyFile)
		folders = append(folders, filepath.Dir(certificate.KeyFile))
	}
	if c.TLS.AnchorFile != "" {
		folders = append(folders, filepath.Dir(c.TLS.AnchorFile))
	}
	if len(c.ACME.Domains) > 0 {
		folders = append(folders, c.ACME.Cache)
	}
	trees := []string{options.Root}
	for _, alias := range options.Aliases {
		trees = append(trees, alias.Target)
	}
	for _, tree := range trees {
		// An authority that `overlay cert init` makes here later, and keys as the help
		// names them: nobody serves those on purpose.
		if name, inside := within(tree, "certs"); tree != "" && inside {
			for _, ending := range []string{"/*.key", "/*.p12", "/*.password"} {
				options.Hide = append(options.Hide, "/"+escapePattern(filepath.ToSlash(name))+ending)
			}
		}
	}
	for _, folder := range folders {
		if _, err := os.Stat(filepath.Join(folder, "ca.key")); folder != c.ACME.Cache && err != nil || folder == "" {
			continue
		}
		for _, tree := range trees {
			switch name, inside := within(tree, folder); {
			case tree == "" || !inside:
			case name == ".":
				return withHint(fmt.Errorf("%s holds the keys of an authority", tree), "serve another folder")
			default:
				// As a path from the top of the tree; the pattern is the name itself.
				options.Hide = append(options.Hide, "/"+escapePattern(filepath.ToSlash(name)))
			}
		}
	}
	return nil
}

// within returns the name of folder relative to tree, and whether it lies there.
func within(tree, folder string) (name string, inside bool) {
	tree, err := realPath(tree)
	if err != nil {
		return "", false
	}
	if folder, err = realPath(folder); err != nil {
		return "", false
	}
	name, err = filepath.Rel(tree, folder)
	return name, err == nil && filepath.IsLocal(name)
}

// escapePattern makes a pattern of path.Match that fits name alone.
func escapePattern(name string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(name)
}

// portOf returns the port of a listener, 0 for none.
func portOf(l net.Listener) int {
	if l == nil {
		return 0
	}
	if addr, ok := l.Addr().(*net.TCPAddr); ok {
		return addr.Port
	}
	return 0
}

// targetError is hygiene.checkTarget.
func targetError(ctx *fasthttp.RequestCtx) error { return static.TargetOf(ctx).Err }

// gatesEverything reports whether nothing is served without a client certificate.
func (c *config) gatesEverything() bool {
	if c.TLS.AnchorFile == "" {
		return false
	}
	return len(c.TLS.Rules) == 0 || slices.ContainsFunc(c.TLS.Rules, func(r tlsauth.Rule) bool { return r.Path == "/" })
}

// asks says for the banner which paths need a client certificate.
func (c *config) asks() string {
	var paths []string
	for _, rule := range c.TLS.Rules {
		if !slices.Contains(paths, rule.Path) {
			paths = append(paths, rule.Path)
		}
	}
	if c.gatesEverything() {
		return "need a certificate by " + c.TLS.AnchorFile
	}
	return fmt.Sprintf("need a certificate by %s below %s", c.TLS.AnchorFile, strings.Join(paths, ", "))
}
