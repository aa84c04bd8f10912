package main

import (
	"context"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"overlay/static"
	"overlay/tlsauth"

	"github.com/valyala/fasthttp"
)

// buildTLS reads certificates, trust anchors and rules, and makes the gate.
func (s *site) buildTLS() (*clientGate, error) {
	g := &clientGate{names: newHostNames(s.cfg.Names), log: s.log}
	if !s.cfg.HTTPS {
		return g, nil
	}
	options := s.cfg.TLS
	options.Logger, options.Endings = s.log, s.cfg.Files.TryExtensions
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
	return func() {
		signal.Stop(hangup)
		cancel()
		running.Wait()
	}
}

// privateKeys returns the files that must never be served, wherever they are.
func (c *config) privateKeys() (names []string) {
	for _, certificate := range c.TLS.Certificates {
		names = append(names, certificate.KeyFile)
	}
	return names
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
