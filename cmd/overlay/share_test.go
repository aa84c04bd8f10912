package main

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"overlay/certs"
)

// The address that is told and drawn is one that other devices reach.
func TestShareAddress(t *testing.T) {
	everywhere, everywhere6 := &net.TCPAddr{IP: net.IPv4zero, Port: 8443}, &net.TCPAddr{IP: net.IPv6unspecified, Port: 8443}
	for _, row := range []struct {
		name string
		info bannerInfo
		want string
	}{
		{"in a network", bannerInfo{HTTPS: everywhere, Network: []netip.Addr{netip.MustParseAddr("192.168.1.5")}}, "https://192.168.1.5:8443/"},
		{"several", bannerInfo{HTTPS: everywhere6, Network: []netip.Addr{netip.MustParseAddr("fd00::5"), netip.MustParseAddr("192.168.1.5"), netip.MustParseAddr("10.0.0.5")}}, "https://192.168.1.5:8443/"},
		{"IPv6 alone", bannerInfo{HTTPS: everywhere6, Network: []netip.Addr{netip.MustParseAddr("fd00::5"), netip.MustParseAddr("fd00::6")}}, "https://[fd00::5]:8443/"},
		{"one address of IPv6", bannerInfo{HTTPS: &net.TCPAddr{IP: net.ParseIP("fd00::5"), Port: 1}}, "https://[fd00::5]:1/"},
		{"without one", bannerInfo{HTTPS: everywhere}, "https://localhost:8443/"},
		{"one address", bannerInfo{HTTPS: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 1}}, "https://10.0.0.1:1/"},
		{"this machine alone", bannerInfo{HTTPS: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}}, "https://127.0.0.1:1/"},
	} {
		if got := (&share{}).address(row.info); got != row.want {
			t.Errorf("%s: %s, want %s", row.name, got, row.want)
		}
	}
}

// The certificate of the site has every name under which it is found and that the
// authority may sign, and never one that it may not.
func TestHostNamesOf(t *testing.T) {
	a, _, err := certs.Init(t.TempDir(), certs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	info := bannerInfo{Network: []netip.Addr{netip.MustParseAddr("192.168.1.5"), netip.MustParseAddr("8.8.8.8"), netip.MustParseAddr("fd00::7"), netip.MustParseAddr("2606:4700::1")}}
	names := hostNamesOf(a, info)
	for name, want := range map[string]bool{"localhost": true, "127.0.0.1": true, "::1": true, "192.168.1.5": true, "fd00::7": true, "8.8.8.8": false, "2606:4700::1": false} {
		if slices.Contains(names, name) != want {
			t.Errorf("%s: %v, want %v in %q", name, !want, want, names)
		}
	}
	if _, _, err := a.Server(names, certs.ServerLife, false); err != nil {
		t.Error(err)
	}
}

// Nothing but lines of text is said, whatever a folder is called.
func TestShareSays(t *testing.T) {
	var out strings.Builder
	s := &share{anchor: "/a\x1b[2J/ca.crt", clients: []*certs.Issued{{Record: certs.Record{Name: "laptop"}, PKCS12File: "/a\x1b[2J/laptop.p12", Password: "abcd-efgh"}}}
	s.say(&out, bannerInfo{HTTPS: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}})
	if got := out.String(); strings.Contains(got, "\x1b") || !strings.Contains(got, "laptop.p12") || !strings.Contains(got, "password abcd-efgh") {
		t.Errorf("said %q", got)
	}
	(*share)(nil).say(&out, bannerInfo{}) // nothing to say
}

// The drawing has the quiet zone, and the three squares by which readers find it.
func TestQRCode(t *testing.T) {
	lines := strings.Split(strings.TrimSuffix(string(qrCode("https://192.168.1.5:8443/")), "\n"), "\n")
	var rows []string // of modules, # for black
	for _, line := range lines {
		line = strings.TrimSuffix(strings.TrimPrefix(line, "\x1b[30;107m"), "\x1b[0m")
		upper, lower := strings.NewReplacer("█", "#", "▀", "#", "▄", " "), strings.NewReplacer("█", "#", "▄", "#", "▀", " ")
		rows = append(rows, upper.Replace(line), lower.Replace(line))
	}
	const quiet = 4
	size := len(rows[0]) - 2*quiet
	if size < 21 || (size-17)%4 != 0 {
		t.Fatalf("%d modules", size)
	}
	finder := []string{"#######", "#     #", "# ### #", "# ### #", "# ### #", "#     #", "#######"}
	for _, corner := range [][2]int{{0, 0}, {size - 7, 0}, {0, size - 7}} {
		for y, want := range finder {
			if got := rows[quiet+corner[1]+y][quiet+corner[0]:][:7]; got != want {
				t.Errorf("square at %v, row %d: %q, want %q", corner, y, got, want)
			}
		}
	}
	for i, row := range rows {
		if i < quiet && strings.TrimSpace(row) != "" || strings.TrimSpace(row[:quiet]) != "" || strings.TrimSpace(row[len(row)-quiet:]) != "" {
			t.Errorf("row %d has modules in the quiet zone: %q", i, row)
		}
	}
	if qrCode(strings.Repeat("x", 10_000)) != nil {
		t.Error("a text that is too long was drawn")
	}
}
