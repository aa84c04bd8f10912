package certs

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
)

// ErrName is why a name is refused that no certificate can have.
var ErrName = errors.New("certs: not a host name or an IP address")

// localDomains are reserved for use within a network (RFC 6761, 6762, 8375, 9476).
var localDomains = []string{"localhost", "local", "lan", "home.arpa", "internal", "test"}

// localNetworks are addresses that belong to nobody on the Internet: loopback,
// private, link-local, shared, unique local, and those of documentation.
var localNetworks = []string{
	"127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10",
	"192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24",
	"::1/128", "fe80::/10", "fc00::/7", "2001:db8::/32",
}

// permitted returns the domains and networks that an authority may sign: the local
// ones, this machine, and names.
func permitted(names []string) (domains []string, networks []*net.IPNet, err error) {
	domains = slices.Clone(localDomains)
	if host, err := os.Hostname(); err == nil && hostName.MatchString(host) {
		names = append(slices.Clone(names), host)
	}
	for _, prefix := range localNetworks {
		networks = append(networks, networkOf(netip.MustParsePrefix(prefix)))
	}
	for _, name := range names {
		address, domain, err := parseName(name)
		if err != nil {
			return nil, nil, err
		}
		if domain != "" {
			if domain = strings.TrimPrefix(domain, "*."); !slices.Contains(domains, domain) {
				domains = append(domains, domain)
			}
		} else {
			networks = append(networks, networkOf(netip.PrefixFrom(address, address.BitLen())))
		}
	}
	return domains, networks, nil
}

// Permits reports whether the authority may sign name, a host name or an address. One
// that was made under another name of this machine does not know the new one.
func (a *Authority) Permits(name string) bool {
	address, domain, err := parseName(name)
	switch {
	case err != nil:
		return false
	case domain == "":
		return slices.ContainsFunc(a.certificate.PermittedIPRanges, func(n *net.IPNet) bool { return n.Contains(address.AsSlice()) })
	}
	return slices.ContainsFunc(a.certificate.PermittedDNSDomains, func(top string) bool {
		return strings.EqualFold(domain, top) || len(domain) > len(top) && strings.EqualFold(domain[len(domain)-len(top)-1:], "."+top)
	})
}

func networkOf(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Masked().Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// hostName is a host name in ASCII, with or without a wildcard in front.
var hostName = regexp.MustCompile(`^(\*\.)?[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$`)

// parseName reads an IP address, or a host name into lower case.
func parseName(name string) (address netip.Addr, domain string, err error) {
	if address, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		if address.Zone() != "" {
			return address, "", fmt.Errorf("%w: %q has a zone", ErrName, name)
		}
		return address.Unmap(), "", nil
	}
	if len(name) > 253 || !hostName.MatchString(name) {
		return address, "", fmt.Errorf("%w: %q", ErrName, name)
	}
	return address, strings.ToLower(name), nil
}
