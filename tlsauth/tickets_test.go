package tlsauth_test

import (
	"crypto/tls"
	"os"
	"testing"
	"time"

	"overlay/tlsauth"
	"overlay/tlsauth/tlstest"
)

// A key makes tickets for one period, opens them for another, and is gone then.
func TestTicketKeys(t *testing.T) {
	f := newFixture(t)
	now := time.Now()
	options := f.options(t)
	options.Now = func() time.Time { return now }
	s := newServer(t, options)
	keys := s.TicketKeys()
	if len(keys) != 2 || keys[0] == keys[1] {
		t.Fatalf("%d keys", len(keys))
	}
	later := func(d time.Duration) [][32]byte {
		now = now.Add(d)
		s.Tick(t.Context())
		return s.TicketKeys()
	}
	if got := later(tlsauth.TicketKeyLife - 1); got[0] != keys[0] || got[1] != keys[1] {
		t.Error("other keys before the period was over")
	}
	second := later(1)
	if second[0] == keys[0] || second[1] != keys[0] {
		t.Error("in the second period the key of the first does not open tickets, or still makes them")
	}
	if third := later(tlsauth.TicketKeyLife); third[1] != second[0] || third[0] == keys[0] {
		t.Error("in the third period the key of the first is still there")
	}
	if far := later(100 * tlsauth.TicketKeyLife); far[0] == far[1] || far[0] == second[0] {
		t.Error("after a long sleep the keys are old ones")
	}
	// The same files read again are the same generation to whoever has a ticket.
	before := s.TicketKeys()
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	if got := s.TicketKeys(); got[0] != before[0] {
		t.Error("SIGHUP alone ended every session")
	}
	f.write(t, f.revoked, f.ca.Revoke(t, []*tlstest.Leaf{f.ca.Issue(t)}))
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	if got := s.TicketKeys(); got[0] == before[0] || got[1] == before[1] {
		t.Error("a new revocation list ended no session")
	}
}

// TestSharedTickets: a session of one process is resumed by another one that has the
// secret, at whatever time that got it, and by none that has not; nor by one that
// has read other files.
func TestSharedTickets(t *testing.T) {
	f := newFixture(t)
	now := time.Now()
	secret := tlsauth.NewTicketSecret(now.Add(-3 * tlsauth.TicketKeyLife))
	start := func(secret *tlsauth.TicketSecret) *tlsauth.Server {
		options := f.options(t)
		options.Tickets = secret
		return newServer(t, options)
	}
	one := start(&secret)
	secret.Advance(now) // as for a process that is started later
	text, err := secret.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	var handed tlsauth.TicketSecret
	if err := handed.UnmarshalBinary(text); err != nil {
		t.Fatal(err)
	}
	two, stranger := start(&handed), start(nil)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		resumes := func(by *tlsauth.Server) bool {
			t.Helper()
			client := f.clientConfig(f.ca.Issue(t).TLS(t))
			client.MaxVersion, client.ClientSessionCache = version, tls.NewLRUClientSessionCache(4)
			if _, _, err := connect(t, one, client); err != nil {
				t.Fatal(err)
			}
			_, state, err := connect(t, by, client)
			if err != nil {
				t.Fatal(err)
			}
			return state.DidResume
		}
		if !resumes(one) || !resumes(two) {
			t.Errorf("%s: the other process does not resume the session", tls.VersionName(version))
		}
		if resumes(stranger) {
			t.Errorf("%s: resumed without the secret", tls.VersionName(version))
		}
	}
	if err := handed.UnmarshalBinary(text[1:]); err == nil {
		t.Error("a secret that is cut short was taken")
	}
	old, err := os.ReadFile(f.revoked)
	if err != nil {
		t.Fatal(err)
	}
	f.write(t, f.revoked, f.ca.Revoke(t, []*tlstest.Leaf{f.ca.Issue(t)}))
	if err := two.Reload(); err != nil {
		t.Fatal(err)
	}
	if one.TicketKeys()[0] == two.TicketKeys()[0] {
		t.Error("processes that have read different lists resume each other's sessions")
	}
	f.write(t, f.revoked, old)
	if err := two.Reload(); err != nil {
		t.Fatal(err)
	}
	if one.TicketKeys()[0] != two.TicketKeys()[0] {
		t.Error("processes that have read the same list do not")
	}
}
