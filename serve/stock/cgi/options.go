package cgi

import (
	"log/slog"
	"time"

	"github.com/universal-server/become/ground/fault"
)

// Options are the settings of [New]. Zero values and nil are the defaults.
type Options struct {
	// Env is what scripts get, "KEY=VALUE", beside the variables of the request and PATH, HOME, LANG,
	// LC_ALL, TZ and TMPDIR of this process.
	Env []string
	// Authorization passes the header field of that name on, to scripts that check it themselves.
	Authorization bool

	// Max is how many scripts run at once. Defaults to 32.
	Max int
	// WaitWithin is how long a request waits for one of these to end. Defaults to 10 s.
	WaitWithin time.Duration
	// Within is how long a script may run. Defaults to 1 min.
	Within time.Duration
	// Grace is what a script has to answer when its client has ended the connection, which may be
	// one side of it only, and then between SIGTERM and SIGKILL. Defaults to 1 s.
	Grace time.Duration

	// MaxBody is how large a request's body may be. Unit: bytes. Defaults to 64 MiB.
	MaxBody int64
	// BodyWithin is how long a client may take to send it. Defaults to 1 min.
	BodyWithin time.Duration
	// Spool is what all bodies under way may have together, in temporary files. Unit:
	// bytes. Defaults to 512 MiB.
	Spool int64
	// MaxHead is how large the header of a script's answer may be. Unit: bytes. Defaults to 64 KiB.
	MaxHead int
	// TakeWithin is how long a client may take for up to 32 KiB of the answer. Defaults to 30 s.
	TakeWithin time.Duration

	// Logger is told of scripts' ends, of failures, and what scripts say. Defaults to none.
	Logger *slog.Logger
}

func (o Options) check() error {
	if o.Max < 0 || o.MaxBody < 0 || o.Spool < 0 || o.MaxHead < 0 {
		return fault.Text(fault.Invalid, "serve scripts", "", "a limit is below zero")
	}
	return nil
}

func (o Options) withDefaults() Options {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&o.WaitWithin, 10 * time.Second}, {&o.Within, time.Minute}, {&o.Grace, time.Second},
		{&o.BodyWithin, time.Minute}, {&o.TakeWithin, 30 * time.Second},
	} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	if o.Max == 0 {
		o.Max = 32
	}
	if o.MaxBody == 0 {
		o.MaxBody = 64 << 20
	}
	if o.Spool == 0 {
		o.Spool = 512 << 20
	}
	if o.MaxHead == 0 {
		o.MaxHead = 64 << 10
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}
