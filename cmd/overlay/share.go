package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"overlay/certs"

	"github.com/alecthomas/kong"
	"rsc.io/qr"
)

// shareCommand is `overlay share`: certificates for some devices, and a server
// that only they can use.
type shareCommand struct {
	Folder string       `arg:"" name:"dir" help:"Folder to share."`
	With   repeatedList `placeholder:"NAME" required:"" help:"Name of a device or person; it gets a certificate. Repeatable."`
	Days   int          `placeholder:"N" default:"7" help:"Days that new certificates of devices are valid."`
	Dir    string       `placeholder:"DIR" help:"Folder of the authority. Default: as for overlay cert."`
	Host   string       `placeholder:"ADDRESS" default:"0.0.0.0" help:"Address to listen on."`
	Port   int          `name:"https-port" placeholder:"N" default:"8443" help:"Port for HTTPS; 0 lets the system choose one."`
}

// share is what is said once the server runs.
type share struct {
	anchor  string
	clients []*certs.Issued
	days    int // that were asked for
}

// Run makes what is not there yet, and serves.
func (c *shareCommand) Run(_ *kong.Context, p *program) error {
	life, err := certLife(c.Days)
	if err != nil {
		return err
	}
	dir := certDir(c.Dir, "")
	if err := apart(c.Folder, dir); err != nil {
		return err
	}
	serving := []string{
		"--document-root", c.Folder, "--directory-listing", "--directory-download", "--disable-http",
		"--host", c.Host, "--https-port", strconv.Itoa(c.Port),
	}
	// Everything that can be wrong with what was typed is said before anything is made.
	if _, err := shareConfig(serving); err != nil {
		return err
	}
	for _, name := range c.With {
		if err := certs.CheckClientName(name); err != nil {
			return usagef("for example: --with laptop", "--with: %w", err)
		}
	}
	a, _, err := certs.Init(dir, certs.Options{})
	if err != nil {
		return certError(err)
	}
	info := bannerInfo{Network: networkAddrs()}
	if ip, err := netip.ParseAddr(c.Host); err == nil && !ip.IsUnspecified() && !ip.IsLoopback() {
		info.Network = append(info.Network, ip)
	}
	server, _, err := a.Server(hostNamesOf(a, info), certs.ServerLife, false)
	if err != nil {
		return certError(err)
	}
	said := &share{anchor: a.AnchorFile(), days: c.Days}
	serving = append(serving,
		"--ssl-certificate-file", server.CertificateFile, "--ssl-certificate-key-file", server.KeyFile,
		"--ssl-ca-certificate-file", a.AnchorFile(), "--ssl-crl-file", a.RevocationFile())
	for i, name := range c.With {
		if slices.Contains(c.With[:i], name) {
			continue
		}
		issued, _, err := a.Client(name, life, false)
		if err != nil {
			return certError(err)
		}
		said.clients = append(said.clients, issued)
		serving = append(serving, "--ssl-allow", "/", "sha256="+issued.SHA256)
	}
	cfg, err := shareConfig(serving)
	if err != nil {
		return err
	}
	cfg.Share = said
	return p.serve(context.Background(), cfg, p.stdout, p.stderr)
}

// shareConfig is the configuration of overlay with args.
func shareConfig(args []string) (*config, error) {
	cli, kctx, err := parse(args)
	if err != nil {
		return nil, err
	}
	here, err := os.Getwd()
	if err != nil {
		return nil, fmt.Errorf("find the working directory: %w", err)
	}
	return newConfig(&cli.StartServer, given(kctx), here)
}

// apart makes sure that folder is one, and that keys are not among the files that are
// shared.
func apart(folder, keys string) error {
	info, err := os.Stat(folder)
	if err != nil {
		return usagef(shellHint(folder), "folder to share: %v", pathError(err))
	}
	if !info.IsDir() {
		return usagef("share the folder that it is in: "+shellWord(filepath.Dir(folder)), "folder to share: %q is not a folder", folder)
	}
	if _, inside := within(folder, keys); inside {
		return withHint(fmt.Errorf("the authority's keys in %s are within the folder to share, %s", keys, folder), "keep them elsewhere: --dir OTHER")
	}
	return nil
}

// realPath makes name absolute and follows its links, as far as it exists.
func realPath(name string) (string, error) {
	name, err := filepath.Abs(name)
	if err != nil {
		return "", err
	}
	real, err := filepath.EvalSymlinks(name)
	if os.IsNotExist(err) && filepath.Dir(name) != name {
		parent, err := realPath(filepath.Dir(name))
		return filepath.Join(parent, filepath.Base(name)), err
	}
	return real, err
}

// say tells how to get in: what each device imports, and the address as text and,
// on a terminal, as a QR code.
func (s *share) say(w io.Writer, info bannerInfo) {
	if s == nil {
		return
	}
	address := s.address(info)
	var out strings.Builder
	fmt.Fprintf(&out, "\nOpen %s on a device that has one of these:\n", address)
	for _, c := range s.clients {
		fmt.Fprintf(&out, "  %-12s %s\n               password %s, valid until %s\n", c.Name, c.PKCS12File, c.Password, date(c.Expires))
		if note := lifeNote(c, s.days); note != "" {
			fmt.Fprintf(&out, "               %s; for %s: overlay cert --dir %s client %s --days %d --renew\n",
				note, count(s.days, "day", "days"), shellWord(filepath.Dir(s.anchor)), c.Name, s.days)
		}
	}
	fmt.Fprintf(&out, `Bring the file to the device and open it there:
  Android      Settings, Security, Install a certificate, VPN & app user certificate
  iOS, iPadOS  open it in Files, then Settings, Profile Downloaded
  macOS        double-click: Keychain Access
  Windows      double-click: for the current user, in the store it suggests
  Firefox      Settings, Certificates, Your Certificates, Import
  Chromium     chrome://certificate-manager, Your certificates, Import
The browser warns of the site itself until the device trusts its authority: import %s there, too.
Take it back: overlay cert --dir %s revoke %s
`, s.anchor, shellWord(filepath.Dir(s.anchor)), s.clients[0].Name)
	_, _ = w.Write(appendEscapedLines(nil, out.String())) // the server serves without it
	if code := qrCode(address); terminalColumns(w) >= qrColumns(code) {
		_, _ = w.Write(code)
	}
}

// address returns where others find the site: an address of this machine in the
// network rather than one that only this machine has, and of those the short ones of
// IPv4 first.
func (s *share) address(info bannerInfo) string {
	urls := info.urls()
	best := urls[0]
	for _, url := range slices.Backward(urls) { // the first of a kind wins
		host := strings.TrimSuffix(strings.TrimPrefix(url, "https://"), "/")
		h, _, _ := net.SplitHostPort(host)
		if ip, err := netip.ParseAddr(h); err == nil && !ip.IsLoopback() && (ip.Is4() || !isIPv4(best)) {
			best = url
		}
	}
	return best
}

// isIPv4 reports whether the host of url is an address of IPv4 that others can use.
func isIPv4(url string) bool {
	h, _, _ := net.SplitHostPort(strings.TrimSuffix(strings.TrimPrefix(url, "https://"), "/"))
	ip, err := netip.ParseAddr(h)
	return err == nil && ip.Is4() && !ip.IsLoopback()
}

// terminalColumns returns the width of the terminal that a person reads w at, -1
// when w is none.
func terminalColumns(w io.Writer) int {
	if locked, ok := w.(*lockedWriter); ok {
		w = locked.w
	}
	if file, ok := w.(*os.File); ok && windowWidth(file) > 0 {
		return windowWidth(file)
	}
	return -1
}

// qrColumns returns the width of what qrCode has drawn, 0 for nothing.
func qrColumns(code []byte) int {
	line, _, _ := bytes.Cut(code, []byte{'\n'})
	line = bytes.TrimSuffix(bytes.TrimPrefix(line, []byte(qrBegin)), []byte(qrEnd))
	return utf8.RuneCount(line)
}

// The colours of a line of a QR code, and their end.
const qrBegin, qrEnd = "\x1b[30;107m", "\x1b[0m"

// appendEscapedLines escapes control characters, but for line feeds.
func appendEscapedLines(dst []byte, text string) []byte {
	for line := range strings.Lines(text) {
		dst = append(appendEscaped(dst, strings.TrimSuffix(line, "\n")), '\n')
	}
	return dst
}

// qrCode draws text for a terminal: two rows of modules in each line, black on
// white whatever the colours of the terminal, with the quiet zone of four modules
// that readers want. It returns nil when text is too long.
func qrCode(text string) []byte {
	code, err := qr.Encode(text, qr.L)
	if err != nil {
		return nil
	}
	const quiet = 4
	var out []byte
	for y := -quiet; y < code.Size+quiet; y += 2 {
		out = append(out, qrBegin...)
		for x := -quiet; x < code.Size+quiet; x++ {
			// Black reports false outside of the code.
			switch top, bottom := code.Black(x, y), code.Black(x, y+1); {
			case top && bottom:
				out = append(out, "█"...)
			case top:
				out = append(out, "▀"...)
			case bottom:
				out = append(out, "▄"...)
			default:
				out = append(out, ' ')
			}
		}
		out = append(out, qrEnd+"\n"...)
	}
	return out
}
