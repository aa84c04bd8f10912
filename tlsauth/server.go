package tlsauth

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Intervals of Watch.
const (
	lookInterval   = time.Second    // how often files are looked at
	warnInterval   = 24 * time.Hour // how often warnings are repeated
	settleInterval = 50 * time.Millisecond
)

// Server is the TLS of one listener, with the files as they were last read without
// an error. Methods may be called from several goroutines.
type Server struct {
	options Options
	now     func() time.Time
	current atomic.Pointer[generation]

	mu     sync.Mutex // guards what follows, and the ticket keys of the generations
	known  map[string]fileState
	secret TicketSecret
}

// New checks o and reads its files.
func New(o Options) (*Server, error) {
	o, err := o.checked()
	if err != nil {
		return nil, err
	}
	s := &Server{options: o, now: o.Now}
	if o.Tickets != nil {
		s.secret = *o.Tickets
	} else {
		s.secret = NewTicketSecret(o.Now())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.read(); err != nil {
		return nil, err
	}
	return s, nil
}

// Config returns a configuration for listeners. It follows every reload.
func (s *Server) Config() *tls.Config {
	first := s.current.Load().config
	return &tls.Config{
		MinVersion:   first.MinVersion,
		MaxVersion:   first.MaxVersion,
		CipherSuites: first.CipherSuites,
		NextProtos:   first.NextProtos,
		// All of the generation's configuration is used, with its ticket keys: no
		// session outlives a change of what it was let in by.
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			if s.options.GetCertificate != nil && len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == acmeProtocol {
				return s.challenge(), nil
			}
			return follow(hello, s.current.Load().config), nil
		},
	}
}

// acmeProtocol is what an ACME authority alone asks for (RFC 8737).
const acmeProtocol = "acme-tls/1"

// challenge is the configuration for an ACME authority, which has no client
// certificate. Whoever else comes this way is asked for none either, and passes no
// gate: Decide finds that none was sent.
func (s *Server) challenge() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{acmeProtocol}, GetCertificate: s.options.GetCertificate,
		SessionTicketsDisabled: true,
	}
}

// Reload reads all files again. On an error everything stays as it was.
func (s *Server) Reload() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.read()
}

// read makes a new generation. s.mu must be held.
func (s *Server) read() error {
	known := s.look() // before reading: what changes meanwhile is seen the next time
	files := s.options.files()
	content := digest(files)
	g, err := s.options.load()
	s.known = known
	if err != nil {
		return err
	}
	if digest(files) != content {
		// They change at this moment: the tickets of this generation are no other's, and
		// the next look makes another one.
		_, _ = rand.Read(content[:])
	}
	g.content = content
	s.secret.advance(s.now())
	g.setKeys(&s.secret)
	s.current.Store(g)
	return nil
}

// Warnings tells what needs a person's attention: whole sentences.
func (s *Server) Warnings() []string {
	return s.current.Load().warnings(&s.options, s.now())
}

// Expiry returns when the first of the server's certificates expires, zero when
// none comes from a file.
func (s *Server) Expiry() (first time.Time) {
	for _, c := range s.current.Load().config.Certificates {
		first = earlier(first, c.Leaf.NotAfter)
	}
	return first
}

// fileState tells one content of a file from another well enough.
type fileState struct {
	size     int64
	modified time.Time
	inode    any
}

// look returns the state of every file; one that is not there has none.
func (s *Server) look() map[string]fileState {
	states := map[string]fileState{}
	for _, name := range s.options.files() {
		if info, err := os.Stat(name); err == nil {
			states[name] = fileState{info.Size(), info.ModTime(), inodeOf(info)}
		}
	}
	return states
}

// changed returns a file that is not as it was when it was read last, "" if there
// is none. A file that is missing is being replaced, or gone for good: neither is
// a reason to read. s.mu must be held.
func (s *Server) changed() string {
	now := s.look()
	for _, name := range s.options.files() {
		if state, there := now[name]; there && state != s.known[name] {
			return name
		}
	}
	return ""
}

// Watch reloads when a file changes and when hangup is received from, renews the
// session ticket keys, and repeats warnings daily, until ctx ends. Files are looked
// at, not watched by inotify: that works on network file systems as well.
func (s *Server) Watch(ctx context.Context, hangup <-chan os.Signal) {
	ticker := time.NewTicker(lookInterval)
	defer ticker.Stop()
	warned := s.now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			s.reload("SIGHUP")
		case <-ticker.C:
			s.tick(ctx)
			if now := s.now(); now.Sub(warned) >= warnInterval {
				s.warn()
				warned = now
			}
		}
	}
}

// tick does what one look at the files calls for.
func (s *Server) tick(ctx context.Context) {
	s.mu.Lock()
	name := s.changed()
	if s.secret.advance(s.now()) {
		s.current.Load().setKeys(&s.secret)
	}
	s.mu.Unlock()
	if name == "" || !s.settled(ctx) {
		return
	}
	s.reload(name + " has changed")
}

// settled waits until two looks in a row find the same: a certificate and its key
// are two files, and replaced one after the other.
func (s *Server) settled(ctx context.Context) bool {
	for before := s.look(); ; {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(settleInterval):
		}
		now := s.look()
		if sameStates(before, now) {
			return true
		}
		before = now
	}
}

func sameStates(a, b map[string]fileState) bool {
	if len(a) != len(b) {
		return false
	}
	for name, state := range a {
		if b[name] != state {
			return false
		}
	}
	return true
}

func (s *Server) reload(why string) {
	before := s.Warnings()
	if err := s.Reload(); err != nil {
		s.options.Logger.Error("certificates not reloaded; those from before stay in force", "reason", why, "error", err)
		return
	}
	s.options.Logger.Info("certificates reloaded", "reason", why, "expiry", s.Expiry().UTC().Format(time.RFC3339))
	for _, warning := range s.Warnings() {
		if !slices.Contains(before, warning) {
			s.options.Logger.Warn(warning)
		}
	}
}

func (s *Server) warn() {
	for _, warning := range s.Warnings() {
		s.options.Logger.Warn(warning)
	}
}

// String is for logs.
func (v Verify) String() string {
	switch v {
	case Optional:
		return "optional"
	case Required:
		return "required"
	}
	return fmt.Sprintf("Verify(%d)", uint8(v))
}
