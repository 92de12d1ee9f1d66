//go:build unix

package main

import (
	"context"
	"errors"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/universal-server/become/keep/register"
)

// client is a connection of a server that never waits for it: what cannot be written now is
// written later, and until then nothing more is read.
type client struct {
	session
	fd    int
	out   []byte // replies that are not written yet
	ended bool   // nothing more comes
}

// sockets are those of one process without threads.
type sockets struct {
	listener int
	clients  map[int]*client
	reg      register.Memory
}

func newSockets(ln *net.TCPListener) (s *sockets, err error) {
	raw, err := ln.SyscallConn()
	if err != nil {
		return nil, err
	}
	s = &sockets{clients: map[int]*client{}}
	err = raw.Control(func(fd uintptr) { s.listener = int(fd) }) // Go's own listeners never block
	return s, err
}

func (s *sockets) close() {
	for _, c := range s.clients {
		s.drop(c)
	}
}

func (s *sockets) drop(c *client) {
	unix.Close(c.fd)
	delete(s.clients, c.fd)
}

// later says that a call would have had to wait.
func later(err error) bool {
	return errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) || errors.Is(err, unix.ECONNABORTED)
}

// accept takes a connection if one is there.
func (s *sockets) accept() error {
	fd, _, err := unix.Accept(s.listener)
	if err != nil {
		if later(err) {
			return nil
		}
		return os.NewSyscallError("accept", err)
	}
	unix.CloseOnExec(fd)
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return os.NewSyscallError("fcntl", err)
	}
	s.clients[fd] = &client{fd: fd, session: session{reg: &s.reg}}
	return nil
}

// serve reads and writes what can be read and written now.
func (s *sockets) serve(c *client, buf []byte) {
	if len(c.out) == 0 && !c.ended {
		n, err := unix.Read(c.fd, buf)
		switch {
		case err != nil && later(err):
		case err != nil:
			s.drop(c)
			return
		case n == 0:
			c.out, c.ended = append(c.out, c.last()...), true
		default:
			replies, ok := c.take(buf[:n])
			c.out, c.ended = append(c.out, replies...), !ok
		}
	}
	if len(c.out) > 0 {
		n, err := unix.Write(c.fd, c.out)
		if err != nil && !later(err) {
			s.drop(c)
			return
		}
		c.out = c.out[max(n, 0):]
	}
	if c.ended && len(c.out) == 0 {
		s.drop(c)
	}
}

// busy asks every socket, again and again. It answers as well as the others; but it never
// sleeps, so it takes a processor from those who have something to do.
func busy(ctx context.Context, ln *net.TCPListener) error {
	s, err := newSockets(ln)
	if err != nil {
		return err
	}
	defer s.close()
	buf := make([]byte, 4096)
	for ctx.Err() == nil {
		if err := s.accept(); err != nil {
			return err
		}
		for _, c := range s.clients {
			s.serve(c, buf)
		}
	}
	return nil
}

// poll lets the kernel say which sockets have something to do, and sleeps until then. This is what Go's
// own network does below every goroutine that waits.
func poll(ctx context.Context, ln *net.TCPListener) error {
	s, err := newSockets(ln)
	if err != nil {
		return err
	}
	defer s.close()
	wake, woken, err := os.Pipe() // so that the end of ctx ends the sleep too
	if err != nil {
		return err
	}
	defer wake.Close()
	defer woken.Close()
	defer context.AfterFunc(ctx, func() { woken.Close() })()
	wakeFD := int(wake.Fd())
	buf := make([]byte, 4096)
	for ctx.Err() == nil {
		fds := []unix.PollFd{{Fd: int32(s.listener), Events: unix.POLLIN}, {Fd: int32(wakeFD), Events: unix.POLLIN}}
		for fd, c := range s.clients {
			events := int16(unix.POLLIN)
			if len(c.out) > 0 {
				events = unix.POLLOUT
			}
			fds = append(fds, unix.PollFd{Fd: int32(fd), Events: events})
		}
		if _, err := unix.Poll(fds, -1); err != nil && !later(err) {
			return os.NewSyscallError("poll", err)
		}
		if fds[0].Revents != 0 {
			if err := s.accept(); err != nil {
				return err
			}
		}
		for _, f := range fds[2:] {
			if f.Revents != 0 {
				s.serve(s.clients[int(f.Fd)], buf)
			}
		}
	}
	return nil
}

// processorTime is what this process has used so far.
func processorTime() time.Duration {
	var r unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
