package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

// servePeers answers the peers of the cache, on a listener of their own: what they
// ask for is not for clients. The result ends that.
func (s *site) servePeers() (stop func(), err error) {
	if s.cfg.Files.Peers.Self == "" {
		return func() {}, nil
	}
	self, err := url.Parse(s.cfg.Files.Peers.Self)
	if err != nil {
		return nil, fmt.Errorf("--cache-self: %w", err)
	}
	listener, err := net.Listen("tcp", self.Host)
	if err != nil {
		return nil, withHint(fmt.Errorf("listen for cache peers on %s: %w", self.Host, bareError(err)),
			"--cache-self is the URL of this server: its address must be one of this machine")
	}
	server := &http.Server{
		Handler:           s.files.PeerHandler(),
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    maxHead,
	}
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("cache peers are not answered any more", "error", err)
		}
	}()
	return func() { _ = server.Close() }, nil
}
