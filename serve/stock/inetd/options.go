package inetd

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/universal-server/become/ground/fault"
)

// mostPrograms is above what a machine can do.
const mostPrograms = 100_000

// Options are the settings of [New]. Zero values and nil are the defaults.
type Options struct {
	// Dir is the programs' working directory. Defaults to this process's.
	Dir string
	// Env is what the programs get, "KEY=VALUE", beside the variables about their connection and the
	// environment of this process without what is become's own.
	Env []string
	// Stderr sends what programs print on standard error to the peer too, as inetd did. Off by
	// default: the Logger is told.
	Stderr bool

	// Max is how many programs run at once; further peers wait in the socket's queue. Defaults to 100.
	Max int
	// PerPeer is how many of these one address may have. Defaults to no limit of its own.
	PerPeer int
	// Rate is how many programs are started within any second. Defaults to no limit.
	Rate int
	// Within is how long a connection may last. Defaults to no limit.
	Within time.Duration
	// Grace is what a program has between SIGTERM and SIGKILL, and before that when its peer has hung
	// up. Defaults to 2 s.
	Grace time.Duration
	// DrainTimeout is how long programs may go on after the server's context ended. Defaults to 10 s.
	DrainTimeout time.Duration
	// Logger is told of each start and end, of peers turned away, and what programs say. Defaults to none.
	Logger *slog.Logger
}

func (o Options) withDefaults() Options {
	if o.Max == 0 {
		o.Max = 100
	}
	if o.Grace <= 0 {
		o.Grace = 2 * time.Second
	}
	if o.DrainTimeout <= 0 {
		o.DrainTimeout = 10 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

func (o Options) check() error {
	switch {
	case o.Max < 0, o.PerPeer < 0, o.Rate < 0, o.Within < 0:
		return fault.Text(fault.Invalid, "start programs", "", "a limit is below zero")
	case o.Max > mostPrograms, o.Rate > mostPrograms:
		return fault.Text(fault.Invalid, "start programs", "", fmt.Sprintf("a limit is above %d", mostPrograms))
	}
	return nil
}
