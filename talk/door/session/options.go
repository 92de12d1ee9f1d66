package session

import (
	"log/slog"
	"time"
)

// Options of a door. Nil and zero mean the defaults.
type Options struct {
	// MaxSessions is how many clients may be connected at once; one more is refused with 503. Default 10,000.
	MaxSessions int
	// MaxRequests is how many requests of one session are under way at once. With 1 they are answered in
	// their order. Default 64.
	MaxRequests int
	// MaxMessage is how large a message of a client may be. Unit: bytes. Default 1 MiB.
	MaxMessage int64
	// MaxQueue is how many pushed messages may wait for a client, and MaxQueueBytes how large they may be
	// together. Defaults 1,024 and 1 MiB; a single one may be larger.
	MaxQueue, MaxQueueBytes int
	// WriteWithin is how long a client may take to take a message. Default 10 s.
	WriteWithin time.Duration
	// PingEvery is after how long a silent client is asked whether it is there, and PongWithin how long
	// it may take to answer. Defaults 30 s and 10 s.
	PingEvery, PongWithin time.Duration
	// Origins are the origins that browsers may connect from beside the server's own, "*" for any.
	Origins []string
	// Logger gets the beginnings and ends of sessions, at level debug. Default: none.
	Logger *slog.Logger
}

func (o *Options) withDefaults() Options {
	var out Options
	if o != nil {
		out = *o
	}
	or(&out.MaxSessions, 10_000)
	or(&out.MaxRequests, 64)
	or(&out.MaxMessage, 1<<20)
	or(&out.MaxQueue, 1024)
	or(&out.MaxQueueBytes, 1<<20)
	or(&out.WriteWithin, 10*time.Second)
	or(&out.PingEvery, 30*time.Second)
	or(&out.PongWithin, 10*time.Second)
	if out.Logger == nil {
		out.Logger = slog.New(slog.DiscardHandler)
	}
	return out
}

func or[N int | int64 | time.Duration](field *N, preset N) {
	if *field <= 0 {
		*field = preset
	}
}
