package service

import (
	"github.com/universal-server/become/serve/handoff"
	"github.com/universal-server/become/serve/socket"
	"github.com/universal-server/become/serve/wire"
)

// inherit takes a socket, or what stands for one whose connections are handed over.
func inherit(fd int, w wire.Socket) (*socket.Socket, error) {
	if w.Route == "" {
		return socket.Inherit(fd, w)
	}
	l, err := handoff.Inherit(fd, w.Network, w.Addr)
	if err != nil {
		return nil, err
	}
	return &socket.Socket{Socket: w, Listener: l}, nil
}

// Connections that were handed over keep their type's methods too.
type (
	handedTCP struct {
		*handoff.TCPConn
		tracked
	}
	handedUnix struct {
		*handoff.UnixConn
		tracked
	}
)

func (c *handedTCP) Close() error  { defer c.closed(c); return c.TCPConn.Close() }
func (c *handedUnix) Close() error { defer c.closed(c); return c.UnixConn.Close() }
