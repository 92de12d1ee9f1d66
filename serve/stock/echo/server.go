package echo

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/universal-server/become/serve/stock/internal/accept"
)

const (
	smallBuffer = 4 << 10
	largeBuffer = 64 << 10
)

// large are the buffers of connections whose peers send much.
var large = sync.Pool{New: func() any { return new([largeBuffer]byte) }}

// Serve answers connections that it accepts from ln until ctx ends; then it drains as the
// package says and returns nil. It closes ln. An error of ln ends it too, with
// that error, when everything is closed. A nil o is the defaults.
func Serve(ctx context.Context, ln net.Listener, o *Options) error {
	s := &server{idle: o.idleTimeout(), write: o.writeTimeout(), log: o.logger()}
	return accept.Serve(ctx, ln, accept.Settings{Max: o.maxConns(), Drain: o.drainTimeout(), Log: s.log}, s.serve)
}

type server struct {
	idle, write time.Duration
	log         *slog.Logger
}

func (s *server) serve(c *accept.Conn) {
	s.arrived(c)
	err := s.echo(c)
	if errors.Is(err, io.EOF) || errors.Is(err, accept.ErrDrained) {
		c.Finish()
		s.log.Info("Client closed", "peer", c.RemoteAddr().String())
		return
	}
	c.Close()
	s.log.Info("Client closed", "peer", c.RemoteAddr().String(), "error", err)
}

// arrived says so in a goroutine of its own: to format text takes a deep stack, which a connection that
// idles would keep.
func (s *server) arrived(c *accept.Conn) {
	var wg sync.WaitGroup
	wg.Go(func() { s.log.Info("Got connection from", "peer", c.RemoteAddr().String()) })
	wg.Wait()
}

// echo sends back until the connection ends. A peer that fills the buffer gets a
// large one, until it sends little again.
func (s *server) echo(c *accept.Conn) error {
	small := make([]byte, smallBuffer)
	b := small
	var borrowed *[largeBuffer]byte
	defer func() {
		if borrowed != nil {
			large.Put(borrowed)
		}
	}()
	for {
		n, err := c.Receive(b, s.idle)
		if err != nil {
			return err
		}
		if err := c.Send(b[:n], s.write); err != nil {
			return err
		}
		switch {
		case borrowed == nil && n == len(b):
			borrowed = large.Get().(*[largeBuffer]byte)
			b = borrowed[:]
		case borrowed != nil && n <= smallBuffer:
			large.Put(borrowed)
			b, borrowed = small, nil
		}
	}
}
