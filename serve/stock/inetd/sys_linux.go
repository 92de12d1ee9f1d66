package inetd

import (
	"net"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// credentials tells who is at the other end of a Unix socket.
func credentials(c net.Conn) []string {
	own, ok := c.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := own.SyscallConn()
	if err != nil {
		return nil
	}
	var peer *unix.Ucred
	if cerr := raw.Control(func(fd uintptr) {
		peer, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); cerr != nil || err != nil {
		return nil
	}
	return []string{
		"UNIXREMOTEPID=" + strconv.Itoa(int(peer.Pid)),
		"UNIXREMOTEEUID=" + strconv.Itoa(int(peer.Uid)),
		"UNIXREMOTEEGID=" + strconv.Itoa(int(peer.Gid)),
	}
}
