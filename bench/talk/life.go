package talk

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"github.com/universal-server/become/bench/rig"
)

// life: from the start of an API's process until it says that it serves, and from Ctrl-C until it is gone.
func life(ctx context.Context, b *rig.Bench) ([]rig.Row, error) {
	var start, end []float64
	for range b.Size(40, 2) {
		began := time.Now()
		child, _, err := started(ctx, b, "crunch", nil)
		if err != nil {
			return nil, err
		}
		start = append(start, ms(began))
		began = time.Now()
		if err := syscall.Kill(child.PID(), syscall.SIGINT); err != nil {
			child.Stop()
			return nil, err
		}
		for err == nil { // what it says until its output ends, with itself
			_, err = child.Line(ctx)
		}
		end = append(end, ms(began))
		child.Stop()
		if ctx.Err() != nil {
			return nil, err
		}
	}
	row := func(measure string, took []float64, bound float64) rig.Row {
		return rig.Row{Measure: measure, Unit: "ms", Us: rig.Median(took), Goal: rig.AtMost(bound),
			Note: fmt.Sprintf("the slowest of %d times %.1f ms", len(took), rig.Quantile(took, 1))}
	}
	return []rig.Row{row("an API: start to listening", start, 50), row("an API: Ctrl-C to gone, idle", end, 100)}, nil
}

func ms(began time.Time) float64 { return float64(time.Since(began)) / float64(time.Millisecond) }
