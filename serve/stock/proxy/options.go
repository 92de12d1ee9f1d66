package proxy

import (
	"log/slog"
	"time"

	"github.com/universal-server/become/ground/fault"
)

// Options are the settings of [New]. Zero values and nil are the defaults.
type Options struct {
	// RoundRobin takes the live backends in turn. The default is the one with the fewest connections.
	RoundRobin bool
	// Header is the version of the PROXY protocol's header that backends get: 1 or 2. Defaults to none.
	Header int

	// MaxConns is how many connections are open at once; further ones wait in the socket's
	// queue. Defaults to 10,000.
	MaxConns int
	// DialWithin is how long connecting to a backend may take. Defaults to 2 s.
	DialWithin time.Duration
	// WaitWithin is how long a client waits for a backend, all attempts together. Defaults to 10 s.
	WaitWithin time.Duration
	// CheckEvery is the time between two checks of a backend. Defaults to 2 s.
	CheckEvery time.Duration
	// IdleWithin is how long nothing may be sent either way. Defaults to 5 min; negative: without limit.
	IdleWithin time.Duration
	// DrainTimeout is how long connections may go on after the server's context ended. Defaults to 10 s.
	DrainTimeout time.Duration
	// Logger is told of backends that go down and come up, and of clients that found none; at level
	// Debug of each connection. Defaults to none.
	Logger *slog.Logger
}

func (o Options) check() error {
	switch {
	case o.MaxConns < 0:
		return fault.Text(fault.Invalid, "start proxy", "", "the limit of connections is below zero")
	case o.Header < 0 || o.Header > 2:
		return fault.Text(fault.Invalid, "start proxy", "", "the PROXY protocol has versions 1 and 2")
	}
	return nil
}

func (o Options) withDefaults() Options {
	if o.MaxConns == 0 {
		o.MaxConns = 10_000
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&o.DialWithin, 2 * time.Second}, {&o.WaitWithin, 10 * time.Second}, {&o.CheckEvery, 2 * time.Second}, {&o.DrainTimeout, 10 * time.Second},
	} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	switch {
	case o.IdleWithin == 0:
		o.IdleWithin = 5 * time.Minute
	case o.IdleWithin < 0:
		o.IdleWithin = 0
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}
