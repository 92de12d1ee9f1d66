package socket

import (
	"net"
	"os"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/wire"
)

// Secure decides which sockets speak TLS when there is a certificate: those that say so, and if none does
// all of TCP. It sets their field TLS. fault.Invalid when no socket can, or when one says so and there is no
// certificate.
func Secure(all []wire.Socket, certificate bool) error {
	said, can := 0, 0
	for _, s := range all {
		if s.TLS {
			said++
		}
		if s.Network == "tcp" {
			can++
		}
	}
	const op = "serve TLS"
	switch {
	case said > 0 && !certificate:
		return fault.Text(fault.Invalid, op, "", "there is no certificate").
			WithHint("give --tls-cert and --tls-key, or --tls-self for development")
	case certificate && can == 0:
		return fault.Text(fault.Invalid, op, "", "there is no TCP address").WithHint("as in --listen tls://:8443")
	}
	for i := range all {
		all[i].TLS = certificate && all[i].Network == "tcp" && (all[i].TLS || said == 0)
	}
	return nil
}

// Hosts are the names and addresses by which the sockets with TLS are reached, as far as one can tell.
func Hosts(all []wire.Socket) (hosts []string) {
	for _, s := range all {
		host, _, err := net.SplitHostPort(s.Addr)
		if !s.TLS || err != nil {
			continue
		}
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			host, _ = os.Hostname() // without one it is for this machine only
		}
		hosts = append(hosts, host)
	}
	return hosts
}
