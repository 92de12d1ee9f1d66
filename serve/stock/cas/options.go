package cas

import (
	"io"
	"log/slog"
	"time"

	"github.com/universal-server/become/keep/register"
)

// MaxLine is the length of the longest line there can be. Unit: bytes. No number in it is too long for a register.
const MaxLine = register.MaxDigits

// Options are the settings of [Serve]. Zero values and nil are the defaults.
type Options struct {
	// Register is what all connections share. Defaults to a new [register.Memory].
	Register register.Swapper
	// MaxLine is the length of the longest line, without its newline; a longer one is
	// [BadSyntax]. Unit: bytes. Defaults to 64 KiB, and is at most so.
	MaxLine int
	// MaxConns is how many connections are open at once; further ones wait in the
	// socket's queue. Defaults to 10,000.
	MaxConns int
	// LineTimeout is how long a line that has begun may take to end. Defaults to 30 s; negative:
	// without limit.
	LineTimeout time.Duration
	// IdleTimeout is how long a connection may be silent between two lines. Defaults to
	// 5 min; negative: without limit.
	IdleTimeout time.Duration
	// WriteTimeout is how long a peer may take to accept up to 64 KiB of replies. Defaults to
	// 30 s; negative: without limit.
	WriteTimeout time.Duration
	// DrainTimeout is how long connections may live on after the server's context ended. Defaults to 10 s.
	DrainTimeout time.Duration
	// Chatter is told what the lecture's server prints: each connection, and each line. Every line waits for it.
	// Defaults to none.
	Chatter io.Writer
	// Logger is told of connections that end by an error. Defaults to none.
	Logger *slog.Logger
}

func (o *Options) register() register.Swapper {
	if o == nil || o.Register == nil {
		return new(register.Memory)
	}
	return o.Register
}

func (o *Options) maxLine() int {
	if o == nil || o.MaxLine < 1 || o.MaxLine > MaxLine {
		return MaxLine
	}
	return o.MaxLine
}

func (o *Options) maxConns() int {
	if o == nil || o.MaxConns < 1 {
		return 10_000
	}
	return o.MaxConns
}

func (o *Options) lineTimeout() time.Duration {
	if o == nil {
		return 30 * time.Second
	}
	return orDefault(o.LineTimeout, 30*time.Second)
}

func (o *Options) idleTimeout() time.Duration {
	if o == nil {
		return 5 * time.Minute
	}
	return orDefault(o.IdleTimeout, 5*time.Minute)
}

func (o *Options) writeTimeout() time.Duration {
	if o == nil {
		return 30 * time.Second
	}
	return orDefault(o.WriteTimeout, 30*time.Second)
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

// orDefault returns the default for 0, and 0 for a negative time: no limit.
func orDefault(d, byDefault time.Duration) time.Duration {
	if d == 0 {
		return byDefault
	}
	return max(d, 0)
}
