package tlsauth_test

import (
	"crypto/tls"
	"crypto/x509"
	"testing"
	"time"

	"overlay/tlsauth"
	"overlay/tlsauth/tlstest"
)

// What becomes of each kind of client, in both modes and versions of TLS.
func TestVerdicts(t *testing.T) {
	f := newFixture(t)
	lower := f.ca.NewCA(t, "lower authority")
	stranger := tlstest.NewCA(t)
	good, revoked := f.ca.Issue(t), f.ca.Issue(t)
	f.write(t, f.revoked, f.ca.Revoke(t, []*tlstest.Leaf{revoked}))
	past := func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }
	future := func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }
	forServers := func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }
	badDNS := func(c *x509.Certificate) {
		c.UnhandledCriticalExtensions = nil
		c.ExtraExtensions = append(c.ExtraExtensions, criticalUnknown)
	}
	rows := []struct {
		name        string
		certificate *tls.Certificate
		want        tlsauth.Verdict
	}{
		{"none", nil, tlsauth.NoneSent},
		{"good", leaf(good.TLS(t)), tlsauth.Passed},
		{"good, by way of an intermediate", leaf(lower.Issue(t).TLS(t, lower)), tlsauth.Passed},
		{"the intermediate is missing", leaf(lower.Issue(t).TLS(t)), tlsauth.UnknownAuthority},
		{"expired", leaf(f.ca.Issue(t, past).TLS(t)), tlsauth.Expired},
		{"not yet valid", leaf(f.ca.Issue(t, future).TLS(t)), tlsauth.NotYetValid},
		{"of another authority with the same name", leaf(stranger.Issue(t).TLS(t)), tlsauth.UnknownAuthority},
		{"of another authority, which is sent along", leaf(stranger.Issue(t).TLS(t, stranger)), tlsauth.UnknownAuthority},
		{"revoked", leaf(revoked.TLS(t)), tlsauth.Revoked},
		{"for servers", leaf(f.ca.Issue(t, forServers).TLS(t)), tlsauth.WrongPurpose},
		{"critical extension that nobody knows", leaf(f.ca.Issue(t, badDNS).TLS(t)), tlsauth.Invalid},
		{"the server's own", leaf(f.server.TLS(t)), tlsauth.UnknownAuthority},
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, mode := range []tlsauth.Verify{tlsauth.Optional, tlsauth.Required} {
			options := f.options(t)
			options.Verify = mode
			s := newServer(t, options)
			for _, row := range rows {
				t.Run(tls.VersionName(version)+", "+mode.String()+", "+row.name, func(t *testing.T) {
					var certificates []tls.Certificate
					if row.certificate != nil {
						certificates = append(certificates, *row.certificate)
					}
					config := f.clientConfig(certificates...)
					config.MaxVersion = version
					_, state, err := connect(t, s, config)
					if mode == tlsauth.Required && row.want != tlsauth.Passed {
						if err == nil {
							t.Fatal("the handshake went through")
						}
						return
					}
					if err != nil {
						t.Fatal(err)
					}
					client := s.Client(state)
					if got := client.Verdict(); got != row.want {
						t.Errorf("verdict %v, want %v", got, row.want)
					}
					if got := s.Decide(client, []byte("/file")); got != row.want {
						t.Errorf("Decide = %v, want %v", got, row.want)
					}
				})
			}
			if got := s.Decide(nil, []byte("/")); got != tlsauth.NoneSent {
				t.Errorf("Decide without TLS = %v, want none sent", got)
			}
		}
	}
}

func leaf(c tls.Certificate) *tls.Certificate { return &c }

// A verdict of an open connection ends with the dates that it depends on.
func TestVerdictEnds(t *testing.T) {
	f := newFixture(t)
	start := time.Now()
	now := start
	options := f.options(t)
	options.Now = func() time.Time { return now }
	s := newServer(t, options)
	short := f.ca.Issue(t, func(c *x509.Certificate) { c.NotAfter = start.Add(20 * time.Minute).Truncate(time.Second) })
	early := f.ca.Issue(t, func(c *x509.Certificate) { c.NotBefore = start.Add(20 * time.Minute) })
	long := f.ca.Issue(t)
	f.write(t, f.revoked, f.ca.Revoke(t, nil, func(l *x509.RevocationList) { l.NextUpdate = start.Add(30 * time.Minute) }))
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	clients := map[*tlstest.Leaf]*tlsauth.Client{}
	for _, l := range []*tlstest.Leaf{short, early, long} {
		clients[l] = f.clientOf(t, s, f.clientConfig(l.TLS(t)))
	}
	for _, row := range []struct {
		name  string
		after time.Duration
		leaf  *tlstest.Leaf
		want  tlsauth.Verdict
	}{
		{"short, at first", 0, short, tlsauth.Passed},
		{"early, at first", 0, early, tlsauth.NotYetValid},
		{"short, before its end", 19 * time.Minute, short, tlsauth.Passed},
		{"short, after its end", 21 * time.Minute, short, tlsauth.Expired},
		{"early, after its beginning", 21 * time.Minute, early, tlsauth.Passed},
		{"long, while the list is good", 29 * time.Minute, long, tlsauth.Passed},
		{"long, once the list is out of date", 31 * time.Minute, long, tlsauth.RevocationUnknown},
	} {
		now = start.Add(row.after)
		if got := s.Decide(clients[row.leaf], []byte("/")); got != row.want {
			t.Errorf("%s: %v, want %v", row.name, got, row.want)
		}
	}
}

// A session is resumed with what is true now, not with what was when it began.
func TestResumption(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, row := range []struct {
			name    string
			between func(t *testing.T, f *fixture, client *tlstest.Leaf, config *tls.Config)
			resumed bool
			want    tlsauth.Verdict
		}{
			{"nothing happened", func(*testing.T, *fixture, *tlstest.Leaf, *tls.Config) {}, true, tlsauth.Passed},
			{"revoked", func(t *testing.T, f *fixture, client *tlstest.Leaf, _ *tls.Config) {
				f.write(t, f.revoked, f.ca.Revoke(t, []*tlstest.Leaf{client}))
			}, false, tlsauth.Revoked},
			{"other anchors", func(t *testing.T, f *fixture, _ *tlstest.Leaf, _ *tls.Config) {
				other := tlstest.NewCA(t)
				f.write(t, f.anchors, other.PEM())
				f.write(t, f.revoked, other.Revoke(t, nil))
			}, false, tlsauth.UnknownAuthority},
			{"another name", func(_ *testing.T, _ *fixture, _ *tlstest.Leaf, config *tls.Config) {
				config.ServerName = "127.0.0.1" // no SNI at all
			}, false, tlsauth.Passed},
		} {
			t.Run(tls.VersionName(version)+", "+row.name, func(t *testing.T) {
				f := newFixture(t)
				s := newServer(t, f.options(t))
				client := f.ca.Issue(t)
				config := f.clientConfig(client.TLS(t))
				config.MaxVersion = version
				config.ClientSessionCache = tls.NewLRUClientSessionCache(4)
				first := f.clientOf(t, s, config)
				if got := first.Verdict(); got != tlsauth.Passed {
					t.Fatalf("first connection: %v", got)
				}
				generation := s.Generation()
				row.between(t, f, client, config)
				if row.want != tlsauth.Passed {
					if err := s.Reload(); err != nil {
						t.Fatal(err)
					}
					if s.Generation() == generation {
						t.Fatal("Reload made no new generation")
					}
				}
				_, state, err := connect(t, s, config)
				if err != nil {
					t.Fatal(err)
				}
				if state.DidResume != row.resumed {
					t.Errorf("resumed: %v, want %v", state.DidResume, row.resumed)
				}
				if got := s.Client(state).Verdict(); got != row.want {
					t.Errorf("second connection: %v, want %v", got, row.want)
				}
				// The connection from before is judged anew as well.
				if got := s.Decide(first, []byte("/")); got != row.want {
					t.Errorf("first connection, later: %v, want %v", got, row.want)
				}
			})
		}
	}
}

// Even where crypto/tls resumes a session of a certificate revoked since, the
// request is refused: the ticket keys are not what keeps it out.
func TestResumedStateIsJudged(t *testing.T) {
	f := newFixture(t)
	s := newServer(t, f.options(t))
	client := f.ca.Issue(t)
	config := f.clientConfig(client.TLS(t))
	config.ClientSessionCache = tls.NewLRUClientSessionCache(4)
	f.clientOf(t, s, config)
	_, state, err := connect(t, s, config)
	if err != nil || !state.DidResume {
		t.Fatalf("resumed: %v, %v", state.DidResume, err)
	}
	f.write(t, f.revoked, f.ca.Revoke(t, []*tlstest.Leaf{client}))
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	if got := s.Decide(s.Client(state), []byte("/")); got != tlsauth.Revoked {
		t.Errorf("Decide = %v, want revoked", got)
	}
}

// oneSession is a cache that offers the same session whatever the name is.
type oneSession struct{ session *tls.ClientSessionState }

func (c *oneSession) Get(string) (*tls.ClientSessionState, bool) {
	return c.session, c.session != nil
}

func (c *oneSession) Put(_ string, session *tls.ClientSessionState) {
	if session != nil {
		c.session = session
	}
}

// A session that began under one name is not resumed under another (RFC 6066 section
// 3), whatever the client offers: with several certificates it was another server.
func TestResumptionUnderAnotherName(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		f := newFixture(t)
		f.server = f.serverCA.Issue(t, func(c *x509.Certificate) { c.DNSNames = []string{"localhost", "other.test"} })
		s := newServer(t, f.options(t))
		config := f.clientConfig(f.ca.Issue(t).TLS(t))
		config.MaxVersion, config.ClientSessionCache = version, &oneSession{}
		for _, row := range []struct {
			name    string
			resumed bool
		}{{"localhost", false}, {"localhost", true}, {"other.test", false}, {"other.test", true}, {"LOCALHOST", false}, {"localhost", true}} {
			config.ServerName = row.name
			_, state, err := connect(t, s, config)
			if err != nil || state.DidResume != row.resumed {
				t.Errorf("%s, %s: resumed %v, %v", tls.VersionName(version), row.name, state.DidResume, err)
			}
			if got := s.Client(state).Verdict(); got != tlsauth.Passed {
				t.Errorf("%s, %s: %v", tls.VersionName(version), row.name, got)
			}
		}
	}
}
