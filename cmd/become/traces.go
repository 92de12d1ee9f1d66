package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/universal-server/become/ground/trace"
	"github.com/universal-server/become/ground/trace/otlp"
	spans "github.com/universal-server/become/ground/trace/span"
)

// tracesWithin is how long the last spans may take to the collector.
const tracesWithin = 2 * time.Second

// traced does something in a span of its own, which goes where the environment says.
func (a *app) traced(ctx context.Context, kind spans.Kind, name string, f func(context.Context) error) error {
	stop := otlp.Start(otlp.Options{Name: "become", Logger: slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	ctx, s := spans.Begin(ctx, kind, name)
	err := f(ctx)
	s.End(err)
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), tracesWithin)
	defer cancel()
	stop(end)
	return err
}

// placeOf is the place in a trace that a context is of; nil for none.
func placeOf(ctx context.Context) *trace.Place {
	if place := trace.From(ctx); place.Valid() {
		return &place
	}
	return nil
}
