package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"overlay/certs"
	"overlay/tlsauth"

	"github.com/alecthomas/kong"
)

// certCommand is `overlay cert`: a small authority for sharing files.
type certCommand struct {
	Dir string `placeholder:"DIR" help:"Folder of the authority. Default: certs here if it holds one, else overlay in $$XDG_DATA_HOME or ~/.local/share."`

	Init   certInit   `cmd:"" help:"Make the authority: a trust anchor, its key and an empty revocation list."`
	Server certServer `cmd:"" help:"Issue a certificate for a server."`
	Client certClient `cmd:"" help:"Issue a certificate for a person or device: NAME.crt, NAME.key, and NAME.p12 for browsers and phones."`
	List   certList   `cmd:"" help:"List what was issued."`
	Revoke certRevoke `cmd:"" help:"Take certificates back. A server that runs refuses them within seconds."`
}

type certInit struct {
	Names []string `arg:"" optional:"" name:"name" help:"Host names and addresses that it may sign beside local ones, with everything below a name."`
}

type certServer struct {
	Names []string `arg:"" name:"name" help:"Host names and IP addresses of the server."`
	Days  int      `placeholder:"N" default:"397" help:"Days that it is valid."`
	Renew bool     `help:"Issue anew even if there is one that serves."`
}

type certClient struct {
	Names []string `arg:"" name:"name" help:"Names of the devices or persons."`
	Days  int      `placeholder:"N" default:"365" help:"Days that it is valid."`
	Renew bool     `help:"Issue anew even if there is one, or it is revoked."`
}

type certList struct{}

type certRevoke struct {
	Names []string `arg:"" name:"name" help:"Names of certificates."`
}

// certDir returns the folder of the authority. Without one, create is where a new
// one is made.
func certDir(asked, create string) string {
	if asked != "" {
		return asked
	}
	data := dataDir()
	for _, dir := range []string{"certs", data} {
		if _, err := os.Stat(filepath.Join(dir, "ca.crt")); dir != "" && err == nil {
			return dir
		}
	}
	if create == "" || os.Getenv("XDG_DATA_HOME") != "" {
		create = data
	}
	if create == "" {
		create = "certs" // no home directory
	}
	return create
}

// dataDir is where programs keep data of their user (XDG base directories), ""
// without a home directory.
func dataDir() string {
	if dir := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "overlay")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(home, ".local", "share", "overlay")
}

// openAuthority opens the authority for commands that need one.
func (c *certCommand) openAuthority() (*certs.Authority, error) {
	a, err := certs.Open(certDir(c.Dir, "certs"))
	return a, certError(err)
}

// certError adds what to do about an error of package certs.
func certError(err error) error {
	switch {
	case errors.Is(err, certs.ErrNoAuthority):
		return withHint(err, "overlay cert init makes one")
	case errors.Is(err, certs.ErrNotPermitted):
		return withHint(err, "it signs local names, private addresses, and what overlay cert init NAME said: make another one with --dir OTHER")
	case errors.Is(err, certs.ErrRevoked):
		return withHint(err, "choose another name, or issue it anew: overlay cert client NAME --renew (or server)")
	case errors.Is(err, certs.ErrOtherKind):
		return withHint(err, "choose another name")
	case errors.Is(err, certs.ErrFileThere):
		return withHint(err, "move it away, choose another name, or another folder with --dir OTHER")
	case errors.Is(err, certs.ErrBroken):
		return withHint(err, "put back what is missing from a copy, or make another one with --dir OTHER")
	case errors.Is(err, certs.ErrUnknown):
		return withHint(err, "overlay cert list tells the names")
	}
	return err
}

func (c *certInit) Run(cert *certCommand, p *program) error {
	dir := certDir(cert.Dir, "certs")
	a, created, err := certs.Init(dir, certs.Options{Names: c.Names})
	if err != nil {
		return certError(err)
	}
	if !created {
		if len(c.Names) > 0 {
			return withHint(fmt.Errorf("there is an authority in %s already: what it may sign cannot be changed", dir), "make another one with --dir OTHER")
		}
		return p.say("The authority in %s is there already; nothing was changed.\n", dir)
	}
	return p.say("Made the authority in %s, valid until %s.\n  trust anchor     %s\n  revocation list  %s\nNext: overlay cert server localhost, overlay cert client NAME\n",
		dir, date(a.Certificate().NotAfter), a.AnchorFile(), a.RevocationFile())
}

func (c *certServer) Run(cert *certCommand, p *program) error {
	life, err := certLife(c.Days)
	if err != nil {
		return err
	}
	a, err := cert.openAuthority()
	if err != nil {
		return err
	}
	issued, created, err := a.Server(c.Names, life, c.Renew)
	if err != nil {
		return certError(err)
	}
	return p.say("%s for %s, valid until %s.\n  certificate  %s\n  private key  %s\nServe with it: overlay --https-port 8443 --ssl-certificate %s --document-root .\n",
		madeOrThere(created), strings.Join(issued.Hosts, ", "), date(issued.Expires), issued.CertificateFile, issued.KeyFile,
		shellWord(strings.TrimSuffix(issued.CertificateFile, ".crt")))
}

func (c *certClient) Run(kctx *kong.Context, cert *certCommand, p *program) error {
	life, err := certLife(c.Days)
	if err != nil {
		return err
	}
	a, err := cert.openAuthority()
	if err != nil {
		return err
	}
	for _, name := range c.Names { // all of them, or none is made
		if err := certs.CheckClientName(name); err != nil {
			return err
		}
	}
	for _, name := range c.Names {
		issued, created, err := a.Client(name, life, c.Renew)
		if err != nil {
			return certError(err)
		}
		if err := p.say("%s for %s, valid until %s.\n  for browsers and phones  %s, password %s\n  for programs             %s and %s\n",
			madeOrThere(created), name, date(issued.Expires), issued.PKCS12File, issued.Password, issued.CertificateFile, issued.KeyFile); err != nil {
			return err
		}
		if note := lifeNote(issued, c.Days); note != "" && given(kctx)["days"] > 0 {
			if err := p.say("  %s: --renew issues it anew\n", note); err != nil {
				return err
			}
		}
	}
	return p.say("Ask for it: overlay --https-port 8443 --https-only --ssl-ca-certificate-file %s --ssl-crl-file %s --document-root .\n",
		shellWord(a.AnchorFile()), shellWord(a.RevocationFile()))
}

func (c *certList) Run(cert *certCommand, p *program) error {
	a, err := cert.openAuthority()
	if err != nil {
		return err
	}
	records, err := a.List()
	if err != nil {
		return err
	}
	now := time.Now()
	if err := p.say("%-24s %-7s %-11s %s\n", "NAME", "KIND", "EXPIRES", "STATE"); err != nil {
		return err
	}
	for _, r := range records {
		if err := p.say("%-24s %-7s %-11s %s\n", r.Name, r.Kind, date(r.Expires), certState(r, now)); err != nil {
			return err
		}
	}
	return nil
}

// certState says in a few words what became of a certificate.
func certState(r certs.Record, now time.Time) string {
	switch left := r.Expires.Sub(now); {
	case !r.Revoked.IsZero():
		return "revoked " + date(r.Revoked)
	case left <= 0:
		return "expired"
	case r.Replaced:
		return "replaced, still good"
	case left < 48*time.Hour:
		return count(int(left.Round(time.Hour)/time.Hour), "hour left", "hours left")
	default:
		return count(int(left.Round(24*time.Hour)/(24*time.Hour)), "day left", "days left")
	}
}

func (c *certRevoke) Run(cert *certCommand, p *program) error {
	a, err := cert.openAuthority()
	if err != nil {
		return err
	}
	for _, name := range c.Names {
		done, err := a.Revoke(name)
		if err != nil {
			return certError(err)
		}
		what := "Revoked"
		if !done {
			what = "Already revoked:"
		}
		if err := p.say("%s %s.\n", what, name); err != nil {
			return err
		}
	}
	return p.say("Servers with --ssl-crl-file %s refuse it from now on.\n", shellWord(a.RevocationFile()))
}

// certLife turns the value of --days into a time.
func certLife(days int) (time.Duration, error) {
	const most = int(certs.AuthorityLife / (24 * time.Hour))
	if days < 1 || days > most {
		return 0, usagef("for example: --days 30", "--days: got %d, want 1 to %d", days, most)
	}
	return time.Duration(days) * 24 * time.Hour, nil
}

// lifeNote says that a certificate was made for another time than days, "" if it was
// not: then the days that were asked for have no effect.
func lifeNote(issued *certs.Issued, days int) string {
	made := int(issued.Life().Round(24*time.Hour) / (24 * time.Hour))
	if made == days {
		return ""
	}
	return "made for " + count(made, "day", "days") + " before"
}

func madeOrThere(created bool) string {
	if created {
		return "Made a certificate"
	}
	return "There is a certificate already"
}

func date(t time.Time) string { return t.Local().Format(time.DateOnly) }

// say writes what a command was asked for.
func (p *program) say(format string, args ...any) error {
	_, err := io.WriteString(p.stdout, fmt.Sprintf(format, args...))
	return err
}

// selfMade returns a certificate for a site that was given none. It is the same the
// next time.
func (s *site) selfMade(info bannerInfo) (tlsauth.Certificate, error) {
	dir := certDir("", "")
	a, _, err := certs.Init(dir, certs.Options{Names: s.cfg.Names})
	if err != nil {
		return tlsauth.Certificate{}, selfMadeError(err, dir, nil)
	}
	names := append([]string{}, s.cfg.Names...)
	if len(names) == 0 {
		names = hostNamesOf(a, info)
	}
	issued, _, err := a.Server(names, certs.ServerLife, false)
	if err != nil {
		return tlsauth.Certificate{}, selfMadeError(err, dir, names)
	}
	return tlsauth.Certificate{File: issued.CertificateFile, KeyFile: issued.KeyFile}, nil
}

// selfMadeError says why the authority in dir makes no certificate for names, and what
// to do instead.
func selfMadeError(err error, dir string, names []string) error {
	hint := "give one: --ssl-certificate-file FILE --ssl-certificate-key-file FILE"
	switch {
	case errors.Is(err, certs.ErrNotPermitted):
		other := "overlay cert --dir OTHER "
		hint = "give one: --ssl-certificate PREFIX; for example that of " + other + "init " + names[0] + ", " + other + "server " + names[0]
	case errors.Is(err, certs.ErrFileThere):
		hint = "if it is the one to show: --ssl-certificate " + shellWord(filepath.Join(dir, names[0]))
	}
	return withHint(fmt.Errorf("make a certificate: %w", err), hint)
}

// hostNamesOf lists under which names a browser may find this machine, those that a
// may sign: a machine that was renamed after that has to do with its addresses.
func hostNamesOf(a *certs.Authority, info bannerInfo) []string {
	names := []string{"localhost", "127.0.0.1", "::1"}
	if host, err := os.Hostname(); err == nil && hostName.MatchString(host) && host != "localhost" {
		names = append(names, host)
		if !strings.Contains(host, ".") {
			names = append(names, host+".local") // as mDNS announces it
		}
	}
	for _, address := range info.Network {
		names = append(names, address.String())
	}
	return slices.DeleteFunc(names, func(name string) bool { return !a.Permits(name) })
}
