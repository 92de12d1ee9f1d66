package socket

import (
	"context"
	"errors"
	"net"
	"os"
	"strconv"
	"syscall"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/wire"
)

// Socket is an open socket: Listener is set for tcp and unix, Packet for udp.
type Socket struct {
	wire.Socket
	Listener net.Listener
	Packet   net.PacketConn
}

// OpListen is what the errors of Open say was tried.
const OpListen = "listen at"

// Open listens at an address. Errors: fault.Conflict, with syscall.EADDRINUSE in it, when it is in use, fault.Denied when
// this user may not, fault.Invalid when there is no such address here.
func Open(ctx context.Context, a Address) (*Socket, error) {
	s, err := open(ctx, a)
	if inUse(err) && a.Network == "unix" && stale(ctx, a.Addr) && os.Remove(a.Addr) == nil {
		s, err = open(ctx, a)
	}
	if err != nil {
		return nil, openError(a, err)
	}
	return s, nil
}

func open(ctx context.Context, a Address) (*Socket, error) {
	var lc net.ListenConfig
	s := &Socket{Socket: wire.Socket{Name: a.Name, Network: a.Network, TLS: a.TLS}}
	var err error
	if a.Network == "udp" {
		if s.Packet, err = lc.ListenPacket(ctx, "udp", a.Addr); err == nil {
			s.Addr = s.Packet.LocalAddr().String()
		}
	} else if s.Listener, err = lc.Listen(ctx, a.Network, a.Addr); err == nil {
		s.Addr = s.Listener.Addr().String()
	}
	return s, err
}

func inUse(err error) bool {
	return errors.Is(err, addrInUse) || errors.Is(err, syscall.EADDRINUSE)
}

// stale says whether path is a socket's file at which nobody listens.
func stale(ctx context.Context, path string) bool {
	// A plain file refuses connections as well.
	if info, err := os.Lstat(path); err != nil || info.Mode()&os.ModeSocket == 0 {
		return false
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", path)
	if err == nil {
		c.Close()
	}
	return errors.Is(err, connRefused) || errors.Is(err, syscall.ECONNREFUSED)
}

// usedError is said alike on every system.
type usedError struct{}

func (usedError) Error() string { return "address already in use" }
func (usedError) Unwrap() error { return syscall.EADDRINUSE }

func openError(a Address, err error) error {
	const op = OpListen
	id := strconv.Quote(a.String())
	var no syscall.Errno
	switch {
	case inUse(err) && a.Network == "unix":
		return fault.New(fault.Conflict, op, id, usedError{}).
			WithHint("end who uses it, or take another path")
	case inUse(err):
		return fault.New(fault.Conflict, op, id, usedError{}).
			WithHint("end who uses it, or take another port; port 0 is any that is free")
	case errors.Is(err, os.ErrPermission):
		return fault.Text(fault.Denied, op, id, "permission denied")
	case errors.As(err, &no):
		return fault.New(fault.Invalid, op, id, no)
	case noHost(err):
		return fault.New(fault.Invalid, op, id, fault.Reason(err))
	}
	return fault.New(fault.KindOf(err), op, id, err)
}

// noHost says that an error is about a name that nobody knows.
func noHost(err error) bool {
	e, ok := errors.AsType[*net.DNSError](err)
	return ok && e.IsNotFound
}

// File returns a copy of the socket to pass to a process, which the caller closes. The
// socket itself goes on as it is, non-blocking.
func (s *Socket) File() (*os.File, error) {
	var c any = s.Listener
	if s.Packet != nil {
		c = s.Packet
	}
	sc, ok := c.(syscall.Conn)
	if !ok {
		return nil, fault.Text(fault.Invalid, "copy socket", s.Socket.Addr, "it is none of the system's")
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil, fault.New(fault.Internal, "copy socket", s.Socket.Addr, err)
	}
	var f *os.File
	var failed error
	if err := raw.Control(func(fd uintptr) { f, failed = duplicate(fd, s.Socket.Addr) }); err != nil {
		failed = err
	}
	if failed != nil {
		return nil, fault.New(fault.KindOf(failed), "copy socket", s.Socket.Addr, failed)
	}
	return f, nil
}

// Close closes this process's copy.
func (s *Socket) Close() error {
	if s.Packet != nil {
		return s.Packet.Close()
	}
	return s.Listener.Close()
}

// Inherit makes a socket of the descriptor fd that this process was started with, and takes
// it. Network empty means whatever it is; Addr is set to what it is bound to. fault.NotFound when
// there is none, fault.Invalid when it is something else; such a descriptor stays open.
func Inherit(fd int, w wire.Socket) (*Socket, error) {
	s, err := inherit(fd, w)
	if err != nil {
		return nil, fault.New(fault.KindOf(err), "inherit socket", strconv.Itoa(fd), err)
	}
	return s, nil
}

// Of makes a socket of a file that holds one, and stays the caller's. The errors are those of Inherit.
func Of(f *os.File, w wire.Socket) (*Socket, error) {
	s, err := adopt(f, w, w.Network)
	if err != nil {
		return nil, fault.New(fault.KindOf(err), "use socket", w.Addr, err)
	}
	return s, nil
}

// adopt makes a socket of a file, which it does not close.
func adopt(f *os.File, w wire.Socket, network string) (s *Socket, err error) {
	s = &Socket{Socket: w}
	s.Network = network
	if network == "udp" {
		if s.Packet, err = net.FilePacketConn(f); err == nil {
			s.Addr = s.Packet.LocalAddr().String()
		}
	} else if s.Listener, err = net.FileListener(f); err == nil {
		s.Addr = s.Listener.Addr().String()
	}
	if err != nil {
		return nil, fault.New(fault.Invalid, "", "", err)
	}
	return s, nil
}
