//go:build linux || darwin

package process

import (
	"net"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/universal-server/become/ground/fault"
)

// Pair returns two connected ends of a Unix stream socket: a connection for this
// process and a file for a child. Close the file after the child was started. Both
// are close-on-exec and do not share flags.
func Pair() (parent net.Conn, childFile *os.File, err error) {
	parent, fd, err := pair()
	if err != nil {
		return nil, nil, fault.New(fault.Internal, "make socket pair", "", err)
	}
	return parent, os.NewFile(uintptr(fd), "control"), nil
}

func pair() (parent net.Conn, child int, err error) {
	fds, err := socketpair()
	if err != nil {
		return nil, -1, err
	}
	parent, err = connOf(os.NewFile(uintptr(fds[0]), "control"))
	if err != nil {
		unix.Close(fds[1])
		return nil, -1, err
	}
	return parent, fds[1], nil
}

// connOf turns a file into a connection and closes the file.
func connOf(f *os.File) (net.Conn, error) {
	defer f.Close()
	return net.FileConn(f)
}

// Inherited returns the connection a parent passed as descriptor fd, and sees to
// it that no child of this process inherits it in turn. It takes the descriptor: a
// second call for it fails. fault.NotFound when there is none, fault.Invalid when
// it is no socket; such a descriptor stays open.
func Inherited(fd int) (net.Conn, error) {
	id := strconv.Itoa(fd)
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil {
		return nil, fault.New(fault.NotFound, "use inherited descriptor", id, err)
	}
	if _, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE); err != nil {
		return nil, fault.New(fault.Invalid, "use inherited descriptor", id, err)
	}
	unix.CloseOnExec(fd)
	conn, err := connOf(os.NewFile(uintptr(fd), "control"))
	if err != nil {
		return nil, fault.New(fault.Invalid, "use inherited descriptor", id, err)
	}
	return conn, nil
}
