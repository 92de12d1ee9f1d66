//go:build linux || darwin

package handoff

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/universal-server/become/ground/fault"
)

// room is for how many descriptors there is room: one more than may come, to see it. The kernel
// closes the rest.
const room = 2

// write writes b and sends the socket of c along with its first byte; n is how much of it was written.
func write(to *net.UnixConn, b []byte, c syscall.Conn) (n int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	// Control keeps the descriptor from being closed; File.Fd would make it blocking, here and
	// in the receiver.
	failed := raw.Control(func(fd uintptr) {
		n, _, err = to.WriteMsgUnix(b, unix.UnixRights(int(fd)), nil)
	})
	if failed != nil {
		return 0, failed
	}
	for err == nil && n < len(b) {
		var more int
		more, err = to.Write(b[n:])
		n += more
	}
	return n, err
}

// readFile reads at most len(b) bytes, at least one, and the file that was sent along with the first.
// The error is io.EOF, errNoDescriptor (b was read then), fault.Invalid, or the connection's.
func readFile(c *net.UnixConn, b []byte) (n int, f *os.File, err error) {
	oob := make([]byte, unix.CmsgSpace(4*room))
	n, oobn, flags, _, err := c.ReadMsgUnix(b, oob)
	if err != nil {
		return 0, nil, err
	}
	if n == 0 {
		return 0, nil, io.EOF
	}
	fds, err := descriptors(oob[:oobn])
	switch {
	case err == nil && len(fds) == 1 && flags&unix.MSG_CTRUNC == 0:
		return n, os.NewFile(uintptr(fds[0]), "handed over"), nil
	case err == nil && len(fds) == 0 && flags&unix.MSG_CTRUNC != 0:
		return n, nil, errNoDescriptor
	}
	for _, fd := range fds {
		unix.Close(fd)
	}
	if err == nil {
		err = fault.Text(fault.Invalid, "", "", "not one socket came, but none or several")
	}
	return 0, nil, err
}

func descriptors(oob []byte) (fds []int, err error) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, fault.New(fault.Invalid, "", "", err)
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SCM_RIGHTS {
			some, failed := unix.ParseUnixRights(&m)
			if failed != nil {
				err = fault.New(fault.Invalid, "", "", failed)
			}
			fds = append(fds, some...)
		}
	}
	return fds, err
}

// duplicate copies the descriptor of c without touching the flags that all copies share.
func duplicate(c syscall.Conn) (f *os.File, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	failed := raw.Control(func(fd uintptr) {
		var n int
		if n, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 3); err == nil {
			f = os.NewFile(uintptr(n), "handoff")
		}
	})
	if failed != nil {
		return nil, failed
	}
	return f, err
}

// gaveUp says that a descriptor could not be sent now, and nothing was.
func gaveUp(n int, err error) bool {
	if n > 0 {
		return false
	}
	for _, no := range []error{unix.ETOOMANYREFS, unix.ENOBUFS, unix.ENOMEM} {
		if errors.Is(err, no) {
			return true
		}
	}
	return false
}
