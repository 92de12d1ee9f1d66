package peers

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/universal-server/become/bench/rig"
)

// Spin starts processes that compute and nothing else: what the machine gives
// to two at once, while others use it too.
func Spin(ctx context.Context, dir string) (*Peer, error) {
	p, err := newPeer("bare processes", dir)
	if err != nil {
		return nil, err
	}
	for range 2 {
		if err := p.role("spin"); err != nil {
			p.Stop()
			return nil, err
		}
	}
	return p.ready(ctx, nil)
}

// Spinning is one side of a comparison: n tasks shared by so many of the
// processes, in tasks per second.
func (p *Peer) Spinning(processes, n int) rig.Side {
	if p == nil {
		return nil
	}
	return func(ctx context.Context) (float64, error) {
		began := time.Now()
		errs := make([]error, processes)
		var wg sync.WaitGroup
		for i := range processes {
			wg.Go(func() { _, errs[i] = p.stopped[i].Ask(ctx, "cpu", n/processes) })
		}
		wg.Wait()
		for _, err := range errs {
			if err != nil {
				return 0, err
			}
		}
		return float64(n) / time.Since(began).Seconds(), nil
	}
}

func spin(ctx context.Context) error {
	cpu := func(_ context.Context, n int) (rig.Answer, error) {
		for range n {
			if v := fibonacci(32); v != 2178309 {
				return rig.Answer{}, fmt.Errorf("got %d", v)
			}
		}
		return rig.Answer{Value: 1}, nil
	}
	return rig.Serve(ctx, os.Stdin, os.Stdout, map[string]rig.Asked{"cpu": cpu, "ready": cpu})
}

func fibonacci(n int) int {
	if n < 2 {
		return n
	}
	return fibonacci(n-1) + fibonacci(n-2)
}
