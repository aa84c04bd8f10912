package tlsauth

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"slices"
	"strings"
)

// Session is what one connection knows of its TLS session: an identifier that lasts
// as long as the session, over every connection that resumes it, for
// SSL_SESSION_ID. crypto/tls has none; so it travels in the session ticket, which
// nobody but a server with the ticket keys can read or make. With it goes the name
// that the session began under: it is resumed under no other (RFC 6066 section 3). The
// zero value is ready for one handshake.
type Session struct {
	fresh, resumed [sessionIDSize]byte // one of them, depending on how the handshake ends
	begun          bool
}

const sessionIDSize = 32

type sessionKey struct{}

// WithSession returns a context for tls.Conn.HandshakeContext: x is filled in by the
// handshake.
func WithSession(ctx context.Context, x *Session) context.Context {
	return context.WithValue(ctx, sessionKey{}, x)
}

// follow returns config for the connection of hello, whose Session it fills in. A
// connection without one gets config itself.
func follow(hello *tls.ClientHelloInfo, config *tls.Config) *tls.Config {
	ctx := hello.Context()
	if ctx == nil { // made by hand
		return config
	}
	x, _ := ctx.Value(sessionKey{}).(*Session)
	if x == nil {
		return config
	}
	x.begun = true
	_, _ = rand.Read(x.fresh[:]) // never fails since Go 1.24
	x.resumed = x.fresh
	own, name := config.Clone(), strings.ToLower(hello.ServerName)
	own.WrapSession = func(state tls.ConnectionState, session *tls.SessionState) ([]byte, error) {
		session.Extra = append(session.Extra, slices.Concat([]byte(sessionMark), x.id(state.DidResume), []byte(name)))
		return config.EncryptTicket(state, session)
	}
	own.UnwrapSession = func(ticket []byte, state tls.ConnectionState) (*tls.SessionState, error) {
		session, err := config.DecryptTicket(ticket, state)
		if session == nil || err != nil {
			return nil, err
		}
		for i, extra := range session.Extra {
			if own, ok := bytes.CutPrefix(extra, []byte(sessionMark)); ok && len(own) >= sessionIDSize && string(own[sessionIDSize:]) == name {
				copy(x.resumed[:], own)
				// WrapSession adds it again: TLS 1.3 has new tickets for each connection.
				session.Extra = append(session.Extra[:i:i], session.Extra[i+1:]...)
				return session, nil
			}
		}
		return nil, nil // a full handshake
	}
	return own
}

// sessionMark tells our part of a ticket from others' (tls.SessionState.Extra).
const sessionMark = "overlay session "

// id returns the identifier. A ticket that was opened and not used after all leads to
// a session of its own.
func (x *Session) id(didResume bool) []byte {
	if didResume {
		return x.resumed[:]
	}
	return x.fresh[:]
}

// text returns the identifier as mod_ssl writes it, "" before the handshake.
func (x *Session) text(didResume bool) string {
	if x == nil || !x.begun {
		return ""
	}
	return hex.EncodeToString(x.id(didResume))
}
