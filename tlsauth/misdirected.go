package tlsauth

import (
	"bytes"
	"slices"
	"strings"
)

// fit says whether requests for a host belong on a connection, for one generation of
// the files.
type fit struct {
	generation  *generation
	host        string
	misdirected bool
}

// Misdirected reports whether a request for host, without a port, belongs on another
// connection than c's (RFC 9110 section 15.5.20): that one was made for another
// name, its certificate does not hold for host, and there is one that does. Then
// whoever is at the other end has not made sure that he speaks with host. It is
// never so for a client that named no host in the handshake, and where there is but
// one certificate.
func (s *Server) Misdirected(c *Client, host []byte) bool {
	if c == nil || c.state.ServerName == "" {
		return false
	}
	if host = bytes.TrimSuffix(host, []byte{'.'}); len(host) == 0 || equalFold(host, c.state.ServerName) {
		return false
	}
	if len(s.options.Certificates)+len(s.options.Names) < 2 {
		return false
	}
	g := s.current.Load()
	if f := c.fit.Load(); f != nil && f.generation == g && f.host == string(host) {
		return f.misdirected
	}
	f := &fit{generation: g, host: string(host)}
	f.misdirected = g.misdirected(s.options.Names, strings.ToLower(c.state.ServerName), strings.ToLower(f.host))
	c.fit.Store(f)
	return f.misdirected
}

// misdirected does the work of Misdirected for two different names in lower case.
func (g *generation) misdirected(elsewhere []string, asked, host string) bool {
	fromFile := !slices.Contains(elsewhere, asked) // else its certificate has no other name
	served := slices.Contains(elsewhere, host)
	for i := range g.config.Certificates {
		leaf := g.config.Certificates[i].Leaf
		if leaf.VerifyHostname(host) != nil {
			continue
		}
		served = true
		if fromFile && leaf.VerifyHostname(asked) == nil {
			return false
		}
	}
	return served
}

// equalFold reports whether a and b are the same but for the case of ASCII letters.
func equalFold(a []byte, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i, c := range a {
		if lower(c) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}
