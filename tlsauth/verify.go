package tlsauth

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"sync/atomic"
	"time"
)

// Verdict says whether a client certificate passes, and if not, why. The zero
// value is that none was sent.
type Verdict uint8

const (
	NoneSent Verdict = iota
	Passed
	Expired
	NotYetValid
	UnknownAuthority
	Revoked
	RevocationUnknown // the authority's revocation list is out of date
	WrongPurpose      // not a certificate for clients
	Invalid           // anything else that is wrong with it
	NotListed         // valid, but the rule of the path names others
	verdictCount
)

var verdictTexts = [verdictCount]string{
	NoneSent:          "no certificate was sent",
	Passed:            "passed",
	Expired:           "certificate has expired",
	NotYetValid:       "certificate is not valid yet",
	UnknownAuthority:  "certificate is from an unknown authority",
	Revoked:           "certificate is revoked",
	RevocationUnknown: "revocation list is out of date",
	WrongPurpose:      "certificate is not for clients",
	Invalid:           "certificate is not valid",
	NotListed:         "certificate is not on the list",
}

// String is for logs and environ: a few words, never text of the certificate.
func (v Verdict) String() string { return verdictTexts[v] }

// recheck bounds how long a verdict is kept, for SSL_CLIENT_V_REMAIN.
const recheck = time.Hour

// Client is who is at the other end of one connection. Methods may be called from
// several goroutines: HTTP/2 has many requests at once.
type Client struct {
	server *Server
	state  tls.ConnectionState
	id     string // of the session, "" when it is not known
	judged atomic.Pointer[judgement]
	fit    atomic.Pointer[fit] // of the host asked for last
}

// judgement is a verdict and what follows from it, for one generation of the files.
type judgement struct {
	generation *generation
	until      time.Time // judge again from then on
	verdict    Verdict
	listed     []bool // for each gate of the generation: its rules name the client
	environ    Environ
	user       string
}

// Client returns the client of a connection whose handshake is complete.
func (s *Server) Client(state tls.ConnectionState) *Client { return s.ClientOf(state, nil) }

// ClientOf is Client for a connection whose handshake has filled in session, which
// may be nil.
func (s *Server) ClientOf(state tls.ConnectionState, session *Session) *Client {
	return &Client{server: s, state: state, id: session.text(state.DidResume)}
}

// judgement returns what holds at this moment.
func (c *Client) judgement() *judgement {
	g, now := c.server.current.Load(), c.server.now()
	if j := c.judged.Load(); j != nil && j.generation == g && now.Before(j.until) {
		return j
	}
	j := g.judge(c, now)
	c.judged.Store(j) // whoever judges at the same time comes to the same
	return j
}

// Verdict says whether the client's certificate is valid at this moment, whatever
// the rules say.
func (c *Client) Verdict() Verdict { return c.judgement().verdict }

// Certificate returns the certificate that the client sent, nil if none.
func (c *Client) Certificate() *x509.Certificate {
	if len(c.state.PeerCertificates) == 0 {
		return nil
	}
	return c.state.PeerCertificates[0]
}

// judge verifies the certificates of c.
func (g *generation) judge(c *Client, now time.Time) *judgement {
	state := &c.state
	j := &judgement{generation: g, until: now.Add(recheck)}
	var chain []*x509.Certificate
	if g.anchors != nil {
		var until time.Time
		j.verdict, chain, until = g.verify(state.PeerCertificates, now)
		if !until.IsZero() && until.Before(j.until) {
			j.until = until
		}
	}
	if j.verdict == Passed {
		j.listed = g.rules.listed(chain)
	}
	j.environ, j.user = g.environ(c, j.verdict, chain, now)
	return j
}

// verify finds a path from certificates[0] to an anchor. until is the next moment
// at which the verdict may change by itself, zero if there is none.
func (g *generation) verify(certificates []*x509.Certificate, now time.Time) (verdict Verdict, chain []*x509.Certificate, until time.Time) {
	if len(certificates) == 0 {
		return NoneSent, nil, time.Time{}
	}
	leaf := certificates[0]
	options := x509.VerifyOptions{
		Roots:         g.anchors.pool,
		Intermediates: x509.NewCertPool(),
		CurrentTime:   now,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	for _, c := range certificates[1:] {
		options.Intermediates.AddCert(c)
	}
	chains, err := leaf.Verify(options)
	if err != nil {
		if now.Before(leaf.NotBefore) {
			until = leaf.NotBefore
		}
		return verdictOf(err, now), nil, until
	}
	// Of several paths one that is not revoked will do: an authority whose
	// certificate was renewed has two.
	verdict = Invalid
	for _, chain = range chains {
		if verdict, until = g.revoked.check(chain, now); verdict == Passed {
			break
		}
	}
	for _, c := range chain {
		until = earlier(until, c.NotAfter.Add(time.Second)) // the last second counts
	}
	return verdict, chain, until
}

// verdictOf sorts an error of x509.Certificate.Verify.
func verdictOf(err error, now time.Time) Verdict {
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &unknown):
		return UnknownAuthority
	case !errors.As(err, &invalid):
		return Invalid
	}
	switch invalid.Reason {
	case x509.Expired:
		if now.Before(invalid.Cert.NotBefore) {
			return NotYetValid
		}
		return Expired
	case x509.IncompatibleUsage:
		return WrongPurpose
	}
	return Invalid
}

// Decide says whether c may have path, the one decoded path of the request. It is
// Passed when no rule covers the path, too. A nil c is a client without TLS, which
// has no certificate. It is called for each request, so that what has expired or
// was revoked since the handshake passes no more.
func (s *Server) Decide(c *Client, path []byte) Verdict { return s.decide(c, path, (*rules).gatesFor) }

// DecideWithin is Decide for an answer that shows everything below the folder path,
// such as an archive: there must be nothing in it that c may not have.
func (s *Server) DecideWithin(c *Client, path []byte) Verdict {
	return s.decide(c, path, (*rules).gatesWithin)
}

func (s *Server) decide(c *Client, path []byte, gatesOf func(*rules, []byte) []*gate) Verdict {
	g := s.current.Load()
	gates := gatesOf(g.rules, path)
	if len(gates) == 0 {
		return Passed
	}
	if c == nil {
		return NoneSent
	}
	j := c.judgement()
	if j.verdict != Passed {
		return j.verdict
	}
	if j.generation != g { // reloaded in between: the numbers of the gates are others
		gates = gatesOf(j.generation.rules, path)
	}
	for _, gate := range gates {
		if !j.listed[gate.index] {
			return NotListed
		}
	}
	return Passed
}

// Subject returns the name in the certificate that the client sent, verified or
// not, for a log; "" if there is none.
func (c *Client) Subject() string {
	if leaf := c.Certificate(); leaf != nil {
		return distinguishedName(leaf.RawSubject)
	}
	return ""
}

// User returns the value of REMOTE_USER, "" if there is none.
func (c *Client) User() string { return c.judgement().user }
