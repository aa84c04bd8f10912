package tlsauth

import (
	"context"
	"crypto/x509/pkix"
	"encoding/asn1"
	"time"
)

// Generation tells one reading of the files from another.
func (s *Server) Generation() any { return s.current.Load() }

// TicketKeys returns how many session ticket keys there are, and when the newest was made.
func (s *Server) TicketKeys() (int, time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.current.Load()
	return len(g.keys), g.keysSet
}

// Gates returns the number of gates that path has to pass.
func (s *Server) Gates(path []byte) int { return len(s.current.Load().rules.gatesFor(path)) }

// DistinguishedName writes name in DER as text.
func DistinguishedName(name pkix.RDNSequence) (string, error) {
	raw, err := asn1.Marshal(name)
	return distinguishedName(raw), err
}

// Tick is one look at the files.
func (s *Server) Tick(ctx context.Context) { s.tick(ctx) }

// Glob reports whether text fits pattern.
func Glob(pattern, text string) bool { return glob(pattern, text) }
