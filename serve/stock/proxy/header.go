package proxy

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
)

// signature begins a header of version 2.
const signature = "\r\n\r\n\x00\r\nQUIT\n"

// header is the PROXY protocol's header for a connection; without a client it says that the proxy
// itself connects. Unix sockets have no addresses that could be told.
func header(version int, client, server net.Addr) []byte {
	from, to := endpoint(client), endpoint(server)
	known := from.IsValid() && to.IsValid() && from.Addr().Is4() == to.Addr().Is4()
	if version == 1 {
		return text(from, to, known)
	}
	b := []byte(signature)
	switch {
	case client == nil:
		return append(b, 0x20, 0x00, 0, 0) // LOCAL
	case !known:
		return append(b, 0x21, 0x00, 0, 0) // PROXY, of an unspecified family
	case from.Addr().Is4():
		b = append(b, 0x21, 0x11, 0, 12)
	default:
		b = append(b, 0x21, 0x21, 0, 36)
	}
	b = append(b, from.Addr().AsSlice()...)
	b = append(b, to.Addr().AsSlice()...)
	b = binary.BigEndian.AppendUint16(b, from.Port())
	return binary.BigEndian.AppendUint16(b, to.Port())
}

// text is the header of version 1.
func text(from, to netip.AddrPort, known bool) []byte {
	if !known {
		return []byte("PROXY UNKNOWN\r\n")
	}
	family := "TCP6"
	if from.Addr().Is4() {
		family = "TCP4"
	}
	return fmt.Appendf(nil, "PROXY %s %s %s %d %d\r\n", family, from.Addr(), to.Addr(), from.Port(), to.Port())
}

// endpoint is an address without zone, and as IPv4 where it is one.
func endpoint(a net.Addr) netip.AddrPort {
	t, ok := a.(*net.TCPAddr)
	if !ok || t == nil {
		return netip.AddrPort{}
	}
	ap := t.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port())
}
