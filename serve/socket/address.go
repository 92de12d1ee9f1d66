package socket

import (
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"

	"github.com/universal-server/become/ground/fault"
)

// Address says where to listen.
type Address struct {
	// Name tells the sockets of a service apart; usually empty.
	Name string
	// Network is tcp, udp or unix.
	Network string
	// Addr is host:port, or a path.
	Addr string
	// TLS says that what is accepted there speaks TLS. The socket is the same.
	TLS bool
}

var goodName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_-]{0,62}$`)

// maxPath is the longest path that a Unix socket can have everywhere.
const maxPath = 103

// Parse reads an address. fault.Invalid when it is none.
func Parse(text string) (Address, error) {
	a := Address{Network: "tcp", Addr: text}
	if name, rest, ok := strings.Cut(text, "="); ok && goodName.MatchString(name) {
		a.Name, a.Addr = name, rest
	}
	for _, scheme := range []struct {
		prefix, network string
		tls             bool
	}{
		{"tcp://", "tcp", false}, {"tls://", "tcp", true}, {"udp://", "udp", false}, {"unix://", "unix", false}, {"unix:", "unix", false},
	} {
		if rest, ok := strings.CutPrefix(a.Addr, scheme.prefix); ok {
			a.Network, a.Addr, a.TLS = scheme.network, rest, scheme.tls
			break
		}
	}
	if err := a.check(); err != nil {
		return Address{}, fault.New(fault.Invalid, "read address", strconv.Quote(text), err).
			WithHint("an address is :8080, 127.0.0.1:8080, tls://:8443, udp://127.0.0.1:53 or unix:/path")
	}
	return a, nil
}

func (a Address) check() error {
	if a.Network == "unix" {
		switch {
		case a.Addr == "":
			return fmt.Errorf("there is no path")
		case len(a.Addr) > maxPath:
			return fmt.Errorf("the path has %d bytes, the limit is %d", len(a.Addr), maxPath)
		case strings.ContainsRune(a.Addr, 0):
			return fmt.Errorf("the path has a zero byte")
		}
		return nil
	}
	host, port, err := net.SplitHostPort(a.Addr)
	if err != nil || strings.ContainsAny(host, "=/ ") {
		return fmt.Errorf("want host:port")
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("%q is no port", port)
	}
	return nil
}

// String returns the address as Parse reads it.
func (a Address) String() string {
	text := a.Addr
	switch {
	case a.TLS:
		text = "tls://" + text
	case a.Network == "udp":
		text = "udp://" + text
	case a.Network == "unix":
		text = "unix:" + text
	}
	if a.Name != "" {
		text = a.Name + "=" + text
	}
	return text
}
