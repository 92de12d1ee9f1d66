package become

import (
	"context"
	"log/slog"

	"github.com/universal-server/become/fleet"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/work/control"
	"github.com/universal-server/become/work/engine"
	"github.com/universal-server/become/work/worker"
)

// host makes this program a worker of its own functions.
type host struct{}

// Open returns the program's functions.
func (host) Open(context.Context, control.Start) (engine.Engine, error) {
	e := engineOfProgram()
	if len(e.Exports()) == 0 {
		return nil, fault.Text(fault.Invalid, "serve", programName(), "the program declares no function")
	}
	return e, nil
}

// Join connects to the fleet and serves its jobs.
func (host) Join(ctx context.Context, start control.Start, w *worker.Worker, ready func(worker.Values)) error {
	f, err := fleet.ConnectChild(ctx, start, slog.Default())
	if err != nil {
		return err
	}
	defer f.Close()
	here.set(&Fleet{f: f, digest: start.Digest})
	ready(f.Values())
	return fleet.RunJobs(ctx, f, start, w)
}
