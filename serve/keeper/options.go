package keeper

import (
	"io"
	"log/slog"
	"time"

	"github.com/universal-server/become/serve/wire"
)

// Options of a keeper. Zero and nil mean the defaults.
type Options struct {
	// StartWithin is how long a process may take from its start to Ready. Default 20 s.
	StartWithin time.Duration
	// DrainWithin is how long a process that has to leave may take to end its connections.
	// It is killed a moment later, at most one second. Default 30 s.
	DrainWithin time.Duration
	// Probation is how long a new version is watched after it is ready. Default 10 s.
	Probation time.Duration
	// MaxDeaths is how many processes of a new version may die until the end of its
	// probation; one more and it is undone. Negative means none. Default 3.
	MaxDeaths int

	// Steady is how long a process must have been ready for its death to be an
	// accident, which is repaired at once, and not one of a row. Default 250 ms.
	Steady time.Duration
	// BackoffFirst is the pause after the second early death in a row; each one more
	// doubles it up to BackoffMost. Defaults 20 ms and 2 s. Up to half is taken off at random.
	BackoffFirst, BackoffMost time.Duration
	// MaxCrashes is how many early deaths in a row within a minute a process may have, or ten
	// times as many deaths of any sort; with one more it counts as failed and is tried
	// again each RetryFailed only. Defaults 10 and 10 s.
	MaxCrashes  int
	RetryFailed time.Duration

	// Output gives the writers for what a process prints; either may be nil. They are
	// closed after its end. A writer that blocks holds up Close. One that holds something back, such as an
	// unfinished line, has a method Rest() []byte for it: at a handover it is written first to
	// the writer that takes its place.
	Output func(ID) (stdout, stderr io.WriteCloser)
	// Bus says how a process reaches the fleet's bus. Default: it does not.
	Bus func(ID) *wire.Bus `json:"-"`
	// Runs gets each process at its start, and again at its end, from any goroutine; one that could not be started
	// only then. Of a process that was adopted it gets the end. Processes of Close are told too, before it returns.
	Runs func(Run) `json:"-"`
	// Logger gets what happens. Default: nobody.
	Logger *slog.Logger
}

// ID names one process among those of a keeper, and its successors.
type ID struct {
	Generation uint64
	Number     int
}

// withDefaults returns a copy with every field set.
func (o *Options) withDefaults() Options {
	var out Options
	if o != nil {
		out = *o
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&out.StartWithin, 20 * time.Second},
		{&out.DrainWithin, 30 * time.Second},
		{&out.Probation, 10 * time.Second},
		{&out.Steady, 250 * time.Millisecond},
		{&out.BackoffFirst, 20 * time.Millisecond},
		{&out.BackoffMost, 2 * time.Second},
		{&out.RetryFailed, 10 * time.Second},
	} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	switch {
	case out.MaxDeaths == 0:
		out.MaxDeaths = 3
	case out.MaxDeaths < 0:
		out.MaxDeaths = 0
	}
	if out.MaxCrashes <= 0 {
		out.MaxCrashes = 10
	}
	if out.Output == nil {
		out.Output = func(ID) (stdout, stderr io.WriteCloser) { return nil, nil }
	}
	if out.Runs == nil {
		out.Runs = func(Run) {}
	}
	if out.Logger == nil {
		out.Logger = slog.New(slog.DiscardHandler)
	}
	return out
}
