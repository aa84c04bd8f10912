package tlsauth_test

import (
	"crypto/tls"
	"regexp"
	"testing"

	"overlay/tlsauth"
	"overlay/tlsauth/tlstest"
)

// SSL_SESSION_ID lasts as long as the session: over every connection that resumes
// it, and no longer.
func TestSessionID(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		f := newFixture(t)
		s := newServer(t, f.options(t))
		config := f.clientConfig(f.ca.Issue(t).TLS(t))
		config.MaxVersion, config.ClientSessionCache = version, tls.NewLRUClientSessionCache(4)
		id := func() (string, bool) {
			t.Helper()
			var session tlsauth.Session
			_, state, err := connectSession(t, s, config, &session)
			if err != nil {
				t.Fatal(err)
			}
			id := variables(t, s.ClientOf(state, &session).Environ())["SSL_SESSION_ID"]
			if !regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(id) {
				t.Errorf("SSL_SESSION_ID is %q", id)
			}
			return id, state.DidResume
		}
		first, _ := id()
		for range 3 { // TLS 1.3 has a new ticket each time
			if again, resumed := id(); !resumed || again != first {
				t.Errorf("%s: resumed %v, %s and then %s", tls.VersionName(version), resumed, first, again)
			}
		}
		// A list that changed ends the session: what follows is another one.
		f.write(t, f.revoked, f.ca.Revoke(t, []*tlstest.Leaf{f.ca.Issue(t)}))
		if err := s.Reload(); err != nil {
			t.Fatal(err)
		}
		second, resumed := id()
		if resumed || second == first {
			t.Errorf("%s: after a reload resumed %v, the same ID %v", tls.VersionName(version), resumed, second == first)
		}
		// Without a cache each connection is a session.
		config.ClientSessionCache = nil
		third, _ := id()
		if fourth, _ := id(); third == fourth || third == second {
			t.Errorf("%s: two sessions have one ID", tls.VersionName(version))
		}
	}
}

// A ticket that is opened and refused all the same begins another session.
func TestSessionIDOfARefusedTicket(t *testing.T) {
	f := newFixture(t)
	s := newServer(t, f.options(t))
	config := f.clientConfig(f.ca.Issue(t).TLS(t))
	config.MaxVersion, config.ClientSessionCache = tls.VersionTLS12, &oneSession{}
	config.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}
	connectID := func() (id string, resumed bool) {
		t.Helper()
		var session tlsauth.Session
		_, state, err := connectSession(t, s, config, &session)
		if err != nil {
			t.Fatal(err)
		}
		return variables(t, s.ClientOf(state, &session).Environ())["SSL_SESSION_ID"], state.DidResume
	}
	first, _ := connectID()
	config.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384} // not the session's
	if second, resumed := connectID(); resumed || second == first {
		t.Errorf("resumed %v, the same ID %v", resumed, second == first)
	}
}

// A connection that nobody follows has no variable.
func TestNoSessionID(t *testing.T) {
	f := newFixture(t)
	s := newServer(t, f.options(t))
	_, state, err := connect(t, s, f.clientConfig())
	if err != nil {
		t.Fatal(err)
	}
	for _, session := range []*tlsauth.Session{nil, {}} {
		if id, there := variables(t, s.ClientOf(state, session).Environ())["SSL_SESSION_ID"]; there {
			t.Errorf("SSL_SESSION_ID is %q", id)
		}
	}
}
