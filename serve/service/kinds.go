package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
)

// Each serves every listener by a call of f.
func Each(f func(context.Context, net.Listener) error) func(context.Context, Sockets) error {
	return func(ctx context.Context, s Sockets) error {
		all, err := s.Listeners()
		if err != nil {
			return err
		}
		return each(ctx, s, all, f)
	}
}

// EachPacket serves every packet socket by a call of f.
func EachPacket(f func(context.Context, net.PacketConn) error) func(context.Context, Sockets) error {
	return func(ctx context.Context, s Sockets) error {
		all, err := s.Packets()
		if err != nil {
			return err
		}
		return each(ctx, s, all, f)
	}
}

type nameKey struct{}

func withName(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, nameKey{}, name)
}

// SocketName is the name of the socket that a context came with: that of a function of Each or EachPacket, of a connection of
// Conn, of a request of HTTP. Empty for a socket without a name, and for any other context.
func SocketName(ctx context.Context) string {
	name, _ := ctx.Value(nameKey{}).(string)
	return name
}

// each calls f for all, those of s, at once. The first error ends the context of the others.
func each[T interface{ Close() error }](ctx context.Context, s Sockets, all []T, f func(context.Context, T) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	errs := make([]error, len(all))
	for i, one := range all {
		wg.Go(func() {
			err := f(withName(ctx, s[i].Name), one)
			if err == nil || errors.Is(err, net.ErrClosed) {
				return
			}
			errs[i] = err
			cancel()
			for _, other := range all {
				other.Close()
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// Conn serves every connection by a call of f, in a goroutine of its own, and closes it after that. An
// error or a panic is logged and ends nothing else.
func Conn(f func(context.Context, net.Conn) error, log *slog.Logger) func(context.Context, Sockets) error {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return Each(func(ctx context.Context, l net.Listener) error {
		var wg sync.WaitGroup
		defer wg.Wait()
		for {
			c, err := l.Accept()
			if err != nil {
				return err
			}
			wg.Go(func() {
				defer c.Close()
				if err := protected(ctx, c, f); err != nil {
					log.Warn("a connection ended", "peer", c.RemoteAddr().String(), "err", err)
				}
			})
		}
	})
}

func protected(ctx context.Context, c net.Conn, f func(context.Context, net.Conn) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return f(ctx, c)
}
