package router

import (
	"log/slog"
	"time"

	"github.com/universal-server/become/serve/handoff"
)

// Options of a router. Zero and nil mean the defaults.
type Options struct {
	// MaxPending is how many connections the router has at most that no process has taken yet, beside the one
	// that it has just accepted. The others wait in the kernel's queue. Default 1024.
	MaxPending int
	// KeyWithin is how long a client may take to send its key. Default 5 s.
	KeyWithin time.Duration
	// MaxKey is up to where a key is looked for, in bytes. Default 16 KiB, at most handoff.MaxRead.
	MaxKey int
	// Patience is how long a connection waits for the process that its key belongs to when that
	// takes none. Default 1 s.
	Patience time.Duration
	// Logger. Default: none.
	Logger *slog.Logger
}

func (o *Options) withDefaults() Options {
	var d Options
	if o != nil {
		d = *o
	}
	if d.MaxPending <= 0 {
		d.MaxPending = 1024
	}
	if d.KeyWithin <= 0 {
		d.KeyWithin = 5 * time.Second
	}
	if d.MaxKey <= 0 {
		d.MaxKey = 16 << 10
	}
	d.MaxKey = min(d.MaxKey, handoff.MaxRead)
	if d.Patience <= 0 {
		d.Patience = time.Second
	}
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	return d
}
