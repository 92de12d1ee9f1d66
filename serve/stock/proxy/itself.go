package proxy

import (
	"net"

	"github.com/universal-server/become/serve/socket"
)

// itself returns the backend that is a listener of the proxy, or "". A name but localhost
// is not looked up.
func (p *pool) itself(listener net.Addr) string {
	for _, b := range p.backends {
		if sameSocket(b.addr, listener) {
			return b.addr.String()
		}
	}
	return ""
}

func sameSocket(a socket.Address, listener net.Addr) bool {
	if u, ok := listener.(*net.UnixAddr); ok {
		return a.Network == "unix" && a.Addr == u.Name
	}
	l, ok := listener.(*net.TCPAddr)
	if !ok || a.Network != "tcp" {
		return false
	}
	host, port, err := net.SplitHostPort(a.Addr)
	if err != nil {
		return false
	}
	n, err := net.LookupPort("tcp", port)
	if err != nil || n != l.Port {
		return false
	}
	ip := net.ParseIP(host)
	switch {
	case host == "" || host == "localhost" || ip != nil && ip.IsUnspecified(): // one dials this machine
		return l.IP.IsLoopback() || l.IP.IsUnspecified()
	case ip == nil:
		return false
	}
	return ip.Equal(l.IP) || l.IP.IsUnspecified() && own(ip)
}

// own says whether an address is one of this machine.
func own(ip net.IP) bool {
	if ip.IsLoopback() {
		return true
	}
	all, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && n.IP.Equal(ip) {
			return true
		}
	}
	return false
}
