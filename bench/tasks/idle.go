package tasks

import (
	"context"
	"time"

	"github.com/universal-server/become/bench/rig"
	"github.com/universal-server/become/ground/process"
)

// idle: what a node costs that has nothing to do, as the operating system
// counts its process, a few seconds after its start.
func (b *bench) idle(ctx context.Context) ([]rig.Row, error) {
	n, err := b.up(ctx)
	if err != nil {
		return nil, err
	}
	defer n.stop()
	settle, watch := 3*time.Second, 10*time.Second
	if b.Quick {
		watch = 4 * time.Second
	}
	if b.Tiny {
		settle, watch = 0, 100*time.Millisecond
	}
	time.Sleep(settle)
	_, before, err := process.Usage(n.proc.PID())
	if err != nil {
		return nil, err
	}
	began := time.Now()
	time.Sleep(watch)
	rss, after, err := process.Usage(n.proc.PID())
	if err != nil {
		return nil, err
	}
	share := (after - before).Seconds() / time.Since(began).Seconds()
	return []rig.Row{
		{Measure: "idle node, resident", Unit: "MB", Us: float64(rss) / 1e6, Goal: rig.AtMost(60)},
		{Measure: "idle node, of a core", Unit: "%", Us: 100 * share, Goal: rig.AtMost(1)},
	}, nil
}
