package main

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// metricsFlags are the options of the metrics page as they were typed; see
// serveCommand.
type metricsFlags struct {
	MetricsListen string `group:"Logs and metrics" placeholder:"HOST:PORT" help:"Serve metrics for Prometheus at http://HOST:PORT/metrics, to whoever reaches that address. PORT alone means this machine; 0 lets the system choose one."`
}

// metrics checks --metrics-listen. Without a host the page is for this machine: it
// tells much, and asks nobody who he is.
func (k *checker) metrics() error {
	if k.given["metrics-listen"] == 0 {
		return nil
	}
	const example = "for example: --metrics-listen 127.0.0.1:9113"
	host, port := "", strings.TrimPrefix(k.MetricsListen, ":")
	if strings.Contains(port, ":") {
		var err error
		if host, port, err = net.SplitHostPort(k.MetricsListen); err != nil {
			return usagef(example, "--metrics-listen: got %q, want HOST:PORT", k.MetricsListen)
		}
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return usagef(example, "--metrics-listen: got %q, want HOST:PORT with a port of 0 to 65535", k.MetricsListen)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	if _, err := netip.ParseAddr(host); err != nil && !hostName.MatchString(host) {
		return usagef(example, "--metrics-listen: got %q, want an address or a host name before the port", k.MetricsListen)
	}
	for _, other := range []struct {
		option string
		port   int
		on     bool
	}{{"port", k.Port, !k.cfg.NoHTTP}, {"https-port", k.HTTPSPort, k.cfg.HTTPS}} {
		if n != 0 && other.on && int(n) == other.port && host == k.cfg.Host {
			return usagef(fmt.Sprintf("take another one, such as --metrics-listen %s", net.JoinHostPort(host, strconv.Itoa(int(n)+1))),
				"--metrics-listen and --%s are both %d: what it tells is not for clients", other.option, n)
		}
	}
	k.cfg.MetricsListen = net.JoinHostPort(host, strconv.Itoa(int(n)))
	return nil
}
