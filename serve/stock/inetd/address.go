package inetd

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// address is both ends of a connection.
type address struct {
	remote, local netip.AddrPort // of TCP
	path          string         // of a Unix socket
}

func addressOf(c net.Conn) (a address) {
	a.remote, a.local = tcp(c.RemoteAddr()), tcp(c.LocalAddr())
	if u, ok := c.LocalAddr().(*net.UnixAddr); ok {
		a.path = u.Name
	}
	return a
}

func tcp(a net.Addr) netip.AddrPort {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := t.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// key is what the limit of one peer counts by: all peers of a Unix socket are one.
func (a address) key() string {
	if a.remote.IsValid() {
		return a.remote.Addr().String()
	}
	return a.path
}

// String returns the peer.
func (a address) String() string {
	if a.remote.IsValid() {
		return a.remote.String()
	}
	return "unix:" + a.path
}

// environ is what a program is told about its connection.
func (a address) environ(c net.Conn) []string {
	if !a.remote.IsValid() {
		return append([]string{"PROTO=UNIX", "UNIXLOCALPATH=" + a.path}, credentials(c)...)
	}
	host, port := a.remote.Addr().String(), strconv.Itoa(int(a.remote.Port()))
	return []string{
		"PROTO=TCP",
		"TCPLOCALIP=" + a.local.Addr().String(), "TCPLOCALPORT=" + strconv.Itoa(int(a.local.Port())),
		"TCPREMOTEIP=" + host, "TCPREMOTEPORT=" + port,
		"REMOTE_HOST=" + host, "REMOTE_ADDR=" + host, "REMOTE_PORT=" + port,
	}
}

// ours begin the names of variables that environ sets, or that a program could take for it.
var ours = []string{"PROTO=", "TCPLOCAL", "TCPREMOTE", "UNIXLOCAL", "UNIXREMOTE", "REMOTE_"}

// withoutOurs leaves out what could be taken for what environ says.
func withoutOurs(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(e string) bool {
		return slices.ContainsFunc(ours, func(name string) bool { return strings.HasPrefix(e, name) })
	})
}
