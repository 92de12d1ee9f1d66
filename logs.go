package become

import (
	"context"
	"flag"
	"log/slog"
	"os"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/slogs"
)

// logs is how this process logs, if it serves: slog's default is one for the process too.
var logs slogs.Program

// logFlags are how a service logs that runs alone.
type logFlags struct {
	level  slog.Level
	format slogs.Format
	given  bool
}

func (l *logFlags) define(set *flag.FlagSet) {
	l.level, l.format = slogs.LevelWarning, slogs.Seed
	set.Func("debug-level", "log from this `level` on: "+slogs.LevelNames+" (default WARNING)", func(text string) (err error) {
		l.given = true
		l.level, err = slogs.ParseLevel(text)
		return err
	})
	set.Func("log-format", "log in this `format`: seed, json or text (default seed)", func(text string) (err error) {
		l.given = true
		l.format, err = slogs.ParseFormat(text)
		return err
	})
}

// install lets the program's slog be what the flags say.
func (l *logFlags) install(name string) error {
	ok := logs.Install(slogs.Options{
		Level: l.level, Format: l.format, PID: os.Getpid(), Object: slogs.Object{Addr: slogs.Process, Name: name},
	})
	if !ok && l.given {
		return fault.Text(fault.Invalid, "set log level", name, "the program has set a slog default of its own").
			WithHint("leave --debug-level and --log-format out, or slog.SetDefault out of the program")
	}
	return nil
}

// Sample logs named values at level TRACE, to be tabulated: become logs NAME --sample hits,misses.
func Sample(ctx context.Context, values ...slog.Attr) { slogs.Sample(ctx, slog.Default(), values...) }
