package main

import (
	"context"
	"fmt"
	"time"

	"github.com/universal-server/become"
	"github.com/universal-server/become/bench/rig"
)

// warm makes calls until n workers have answered some. The value is how many
// have.
func warm(ctx context.Context, fleet *become.Fleet, n int) (rig.Answer, error) {
	seen := map[int]bool{}
	for began := time.Now(); len(seen) < n; {
		if time.Since(began) > 20*time.Second {
			return rig.Answer{}, fmt.Errorf("only %d of %d workers answered within 20 s", len(seen), n)
		}
		var futures [32]*become.Future[span]
		for i := range futures {
			futures[i] = nap.Go(ctx, fleet, time.Millisecond)
		}
		for _, f := range futures {
			if _, err := f.Wait(ctx); err != nil {
				return rig.Answer{}, err
			}
			seen[f.Worker().PID] = true
		}
	}
	return rig.Answer{Value: float64(len(seen))}, nil
}
