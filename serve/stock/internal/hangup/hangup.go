package hangup

import (
	"errors"
	"net"
	"syscall"
)

// raw returns a connection's descriptor, if it is the system's own.
func raw(c net.Conn) (syscall.RawConn, error) {
	s, ok := c.(syscall.Conn)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	return s.SyscallConn()
}

// Now reports whether a connection has hung up. It is false where that cannot be known.
func Now(c net.Conn) (over bool) {
	rc, err := raw(c)
	if err != nil {
		return false
	}
	rc.Control(func(fd uintptr) { over = isOver(fd) })
	return over
}

// Wait returns nil when a connection has hung up, and an error when it is closed here, its
// read deadline has passed, or errors.ErrUnsupported: it is none of the system's.
func Wait(c net.Conn) error {
	if !supported {
		return errors.ErrUnsupported
	}
	rc, err := raw(c)
	if err != nil {
		return err
	}
	// Called once, and then whenever something has happened: input too.
	return rc.Read(isOver)
}
