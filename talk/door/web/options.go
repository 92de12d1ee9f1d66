package web

import "log/slog"

// Options of a door. Nil and zero mean the defaults.
type Options struct {
	// MaxBody is how large a request's body may be. Unit: bytes. Default 1 MiB.
	MaxBody int64
	// Origins are the origins that browsers may call from, "*" for any (CORS). Default: none but the server's own.
	Origins []string
	// Logger gets what could not be told to a client. Default: none.
	Logger *slog.Logger
}

func (o *Options) withDefaults() Options {
	var out Options
	if o != nil {
		out = *o
	}
	if out.MaxBody <= 0 {
		out.MaxBody = 1 << 20
	}
	if out.Logger == nil {
		out.Logger = slog.New(slog.DiscardHandler)
	}
	return out
}
