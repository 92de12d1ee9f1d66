package timeserver

import (
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// originSize is room for what the system says of one datagram's own address. Unit: bytes.
var originSize = unix.CmsgSpace(unix.SizeofInet6Pktinfo)

// tellOrigins has the system tell to which address of this machine each datagram came. Why only at a socket of all
// addresses? At another one there is one answer, which is right.
func tellOrigins(c *net.UDPConn) bool {
	own, err := netip.ParseAddrPort(c.LocalAddr().String())
	if err != nil || !own.Addr().IsUnspecified() {
		return false
	}
	level, option := unix.IPPROTO_IP, unix.IP_PKTINFO
	if own.Addr().Is6() { // datagrams of IPv4 are told in its form too
		level, option = unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	failed := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), level, option, 1) })
	return failed == nil && err == nil
}

// answerFrom makes of what was told about a datagram what is to be told about its answer: the same address, and no
// interface, which the peer's own address says if it has to be said. Nil if nothing was told.
func answerFrom(told []byte) []byte {
	if len(told) < unix.SizeofCmsghdr {
		return nil
	}
	head, data, rest, err := unix.ParseOneSocketControlMessage(told)
	switch {
	case err != nil || len(rest) > 0:
		return nil
	case head.Level == unix.IPPROTO_IP && head.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
		clear(data[:4]) // struct in_pktinfo, see ip(7)
	case head.Level == unix.IPPROTO_IPV6 && head.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
		clear(data[16:20]) // struct in6_pktinfo, see ipv6(7)
	default:
		return nil
	}
	return told
}
