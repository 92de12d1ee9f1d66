package become

import (
	"context"
	"log/slog"
	"time"

	"github.com/universal-server/become/ground/slogs"
	"github.com/universal-server/become/ground/trace/otlp"
	"github.com/universal-server/become/serve/service"
)

// traced lets the spans of a service go where the environment says (OTEL_EXPORTER_OTLP_ENDPOINT), from when the program's own Start has returned until its
// Stop has. A provider that the program has set by then is used in place of ours.
func traced(s service.Service) service.Service {
	start, stop := s.Start, s.Stop
	flush := func(context.Context) {}
	s.Start = func(ctx context.Context) error {
		if start != nil {
			if err := start(ctx); err != nil {
				return err
			}
		}
		flush = otlp.Start(otlp.Options{Name: s.Name, Logger: slogs.Default()})
		return nil
	}
	s.Stop = func(ctx context.Context) (err error) {
		if stop != nil {
			err = stop(ctx)
		}
		flush(ctx)
		return err
	}
	return s
}

// tracesWithin is how long the last spans of a program may take to the collector.
const tracesWithin = 2 * time.Second

// tracedProgram is traced for a program that has no service.
func tracedProgram() (end func()) {
	stop := otlp.Start(otlp.Options{Name: programName(), Logger: slog.Default()})
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), tracesWithin)
		defer cancel()
		stop(ctx)
	}
}
