package slogs

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"slices"
	"sync/atomic"

	"github.com/universal-server/become/ground/fault"
)

// late hands each record to what slog.Default is when it comes.
type late struct {
	with []func(slog.Handler) slog.Handler
	last *atomic.Pointer[derived]
}

// derived is what came of a default logger last.
type derived struct {
	of *slog.Logger
	to slog.Handler
}

// Default returns a logger that is whatever slog.Default is at each record, for what is made before a program
// has said how it logs.
func Default() *slog.Logger { return slog.New(late{last: new(atomic.Pointer[derived])}) }

func (h late) Enabled(ctx context.Context, l slog.Level) bool {
	to := slog.Default().Handler()
	_, self := to.(late) // somebody has made it the default: it has nobody to pass on to
	return !self && to.Enabled(ctx, l)
}

func (h late) Handle(ctx context.Context, r slog.Record) error {
	of := slog.Default()
	if d := h.last.Load(); d != nil && d.of == of {
		return d.to.Handle(ctx, r)
	}
	to := of.Handler()
	if _, self := to.(late); self {
		return fault.Text(fault.Invalid, "log", "", "slog's default is the logger that passes on to slog's default")
	}
	for _, f := range h.with {
		to = f(to)
	}
	h.last.Store(&derived{of, to})
	return to.Handle(ctx, r)
}

func (h late) WithAttrs(attrs []slog.Attr) slog.Handler {
	return h.and(func(to slog.Handler) slog.Handler { return to.WithAttrs(attrs) })
}

func (h late) WithGroup(name string) slog.Handler {
	return h.and(func(to slog.Handler) slog.Handler { return to.WithGroup(name) })
}

func (h late) and(f func(slog.Handler) slog.Handler) slog.Handler {
	return late{append(slices.Clip(h.with), f), new(atomic.Pointer[derived])}
}

// Program is how a program logs. The zero value has not been told yet. Its methods are for use by one goroutine
// at a time.
type Program struct {
	// To is where records go. Default: standard error.
	To io.Writer

	level     slog.LevelVar
	installed bool
}

// Install makes what o says slog's default, with a level that SetLevel changes; o.Level is what it is at
// first. The package log prints as before. false, and nothing is changed, when the program has set a slog default of its own.
func (p *Program) Install(o Options) bool {
	if !p.installed && fmt.Sprintf("%T", slog.Default().Handler()) != "*slog.defaultHandler" {
		return false
	}
	p.installed = true
	p.level.Set(LevelConsole)
	if o.Level != nil {
		p.level.Set(o.Level.Level())
	}
	o.Level = &p.level
	w := p.To
	if w == nil {
		w = os.Stderr
	}
	to, flags := log.Writer(), log.Flags()
	slog.SetDefault(slog.New(New(w, &o)))
	log.SetOutput(to)
	log.SetFlags(flags)
	return true
}

// SetLevel applies to the next record, once Install was called.
func (p *Program) SetLevel(l slog.Level) { p.level.Set(l) }
