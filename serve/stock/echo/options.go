package echo

import (
	"log/slog"
	"time"
)

// MaxConns is how many connections are open at once unless somebody says otherwise.
const MaxConns = 10_000

// Options are the settings of [Serve]. Zero values and nil are the defaults.
type Options struct {
	// MaxConns is how many connections are open at once; further ones wait in the
	// socket's queue. Default: MaxConns.
	MaxConns int
	// IdleTimeout is how long a peer may send nothing. Defaults to 5 min; negative: without limit.
	IdleTimeout time.Duration
	// WriteTimeout is how long a peer may take to accept up to 64 KiB. Defaults to 30 s; negative:
	// without limit.
	WriteTimeout time.Duration
	// DrainTimeout is how long connections may live on after the server's context ended. Defaults to 10 s.
	DrainTimeout time.Duration
	// Logger is told "Got connection from" with the address, and "Client closed". Defaults to none.
	Logger *slog.Logger
}

func (o *Options) maxConns() int {
	if o == nil || o.MaxConns < 1 {
		return MaxConns
	}
	return o.MaxConns
}

func (o *Options) idleTimeout() time.Duration {
	if o == nil || o.IdleTimeout == 0 {
		return 5 * time.Minute
	}
	return max(o.IdleTimeout, 0)
}

func (o *Options) writeTimeout() time.Duration {
	if o == nil || o.WriteTimeout == 0 {
		return 30 * time.Second
	}
	return max(o.WriteTimeout, 0)
}

func (o *Options) drainTimeout() time.Duration {
	if o == nil || o.DrainTimeout <= 0 {
		return 10 * time.Second
	}
	return o.DrainTimeout
}

func (o *Options) logger() *slog.Logger {
	if o == nil || o.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return o.Logger
}
