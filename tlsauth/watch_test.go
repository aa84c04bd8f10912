package tlsauth_test

import (
	"crypto/x509"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"overlay/tlsauth"
)

// What ends soon is in the log when the server starts to use it, and every day from
// then on, without anybody having to restart or reload anything.
func TestWarningsWhileRunning(t *testing.T) {
	f := newFixture(t)
	start := time.Now()
	var ahead atomic.Int64 // how far the clock of the server is ahead of start
	long := func(d time.Duration) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.NotAfter = start.Add(d) }
	}
	const day = 24 * time.Hour
	f.server = f.serverCA.Issue(t, long(15*day))
	options := f.options(t)
	options.AnchorFile, options.RevocationFiles = "", nil
	options.Now = func() time.Time { return start.Add(time.Duration(ahead.Load())) }
	s := newServer(t, options)
	if warnings := s.Warnings(); len(warnings) > 0 {
		t.Fatalf("at first: %q", warnings)
	}
	hangup := make(chan os.Signal)
	watch(t, s, hangup)
	hangup <- syscall.SIGHUP // from here on it watches
	ends := "expires at " + f.server.Certificate.NotAfter.UTC().Format(time.RFC3339)
	for n := 1; n <= 3; n++ {
		ahead.Add(int64(day) + int64(time.Minute)) // beyond 14 days before the end
		pollUntil(t, "the warning of a day", func() bool { return f.log.count(ends) >= n })
	}
	if n := f.log.count(ends); n != 3 {
		t.Errorf("%d warnings in three days", n)
	}
	// A certificate that is put in its place and ends even sooner is warned about at once.
	next := f.serverCA.Issue(t, long(10*day))
	f.write(t, options.KeyFile, next.KeyPEM)
	f.write(t, options.CertificateFile, next.CertificatePEM)
	pollUntil(t, "the warning about the new certificate", func() bool {
		return f.log.contains("expires at " + next.Certificate.NotAfter.UTC().Format(time.RFC3339))
	})
}

// A file that stays broken is complained about once, not every second.
func TestBrokenFileIsNamedOnce(t *testing.T) {
	f := newFixture(t)
	options := f.options(t)
	s := newServer(t, options)
	f.write(t, f.revoked, []byte("no list"))
	for range 3 {
		s.Tick(t.Context())
	}
	if n := f.log.count("not reloaded"); n != 1 {
		t.Errorf("%d complaints, want 1", n)
	}
	f.write(t, f.revoked, f.ca.Revoke(t, nil))
	before := s.Generation()
	if s.Tick(t.Context()); s.Generation() == before || f.log.count("not reloaded") != 1 {
		t.Error("the good file was not taken")
	}
}

// Nobody resumes a session for longer than a day without a full handshake.
func TestTicketKeyLife(t *testing.T) {
	if most := 2 * tlsauth.TicketKeyLife; most > 24*time.Hour {
		t.Errorf("tickets are opened for up to %v, want a day at most", most)
	}
}
