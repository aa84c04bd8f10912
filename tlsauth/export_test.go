package tlsauth

import (
	"context"
	"crypto/x509/pkix"
	"encoding/asn1"
)

// Generation tells one reading of the files from another.
func (s *Server) Generation() any { return s.current.Load() }

// TicketKeys returns the session ticket keys, the newest first.
func (s *Server) TicketKeys() [][32]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.secret.keys(s.current.Load().content)
}

// TicketKeyLife is how long a key makes tickets.
const TicketKeyLife = ticketKeyLife

// Gates returns the number of gates that path has to pass.
func (s *Server) Gates(path []byte) int { return len(s.current.Load().rules.gatesFor(path)) }

// DistinguishedName writes name in DER as text.
func DistinguishedName(name pkix.RDNSequence) (string, error) {
	raw, err := asn1.Marshal(name)
	return distinguishedName(raw), err
}

// Tick is one look at the files.
func (s *Server) Tick(ctx context.Context) { s.tick(ctx) }

// OtherNames returns the user principal names of the extension der.
func OtherNames(der []byte) []string { return parseOtherNames(der, oidPrincipalName) }

// Glob reports whether text fits pattern.
func Glob(pattern, text string) bool { return glob(pattern, text) }
