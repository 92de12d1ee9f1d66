//go:build linux || darwin

package socket

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/wire"
)

const (
	addrInUse   = unix.EADDRINUSE
	connRefused = unix.ECONNREFUSED
)

// duplicate copies a descriptor without touching the flags that all copies share, as
// os.File.Fd would.
func duplicate(fd uintptr, name string) (*os.File, error) {
	n, err := unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(n), name), nil
}

func inherit(fd int, w wire.Socket) (*Socket, error) {
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil {
		return nil, fault.New(fault.NotFound, "", "", err)
	}
	network, err := kindOf(fd)
	if err != nil {
		return nil, err
	}
	if w.Network != "" && w.Network != network {
		return nil, fault.Text(fault.Invalid, "", "", fmt.Sprintf("it is of kind %s, not %s", network, w.Network))
	}
	unix.CloseOnExec(fd)
	// A socket that is blocking would block its poller's thread. All who share it want it so.
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "inherited")
	defer f.Close()
	return adopt(f, w, network)
}

// kindOf returns the network of a socket that one can serve on.
func kindOf(fd int) (string, error) {
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return "", fault.Text(fault.Invalid, "", "", "it is no socket")
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return "", err
	}
	_, isUnix := name.(*unix.SockaddrUnix)
	switch {
	case kind == unix.SOCK_DGRAM && !isUnix:
		return "udp", nil
	case kind != unix.SOCK_STREAM:
		return "", fault.Text(fault.Invalid, "", "", "it is neither a stream socket nor UDP")
	}
	if listens, err := listening(fd); err == nil && !listens {
		return "", fault.Text(fault.Invalid, "", "", "it does not listen")
	}
	if isUnix {
		return "unix", nil
	}
	return "tcp", nil
}

func listening(fd int) (bool, error) {
	n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	return n != 0, err
}
