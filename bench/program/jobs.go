package main

import (
	"context"
	"sync"
	"time"

	"github.com/universal-server/become"
	"github.com/universal-server/become/bench/rig"
)

// submitters is how many goroutines submit jobs at once, each waiting until its
// job is kept before it submits the next.
const submitters = 1024

// jobsDone submits n jobs and waits for the result of each. The value is jobs
// per second, from the first submission to the last result; submitted in More, until the last
// one was kept.
func jobsDone(ctx context.Context, fleet *become.Fleet, n int) (rig.Answer, error) {
	began := time.Now()
	jobs := make([]*become.Job[int], n)
	err := each(n, func(i int) (err error) {
		jobs[i], err = same.Submit(ctx, fleet, i)
		return err
	})
	if err != nil {
		return rig.Answer{}, err
	}
	submitted := rate(n, began).Value
	err = each(n, func(i int) error {
		v, err := jobs[i].Wait(ctx)
		if err != nil || v != i {
			return wrong(v, i, err)
		}
		return nil
	})
	a := rate(n, began)
	a.More = map[string]float64{"submitted": submitted}
	return a, err
}

// each runs f for the numbers below n on many goroutines and returns the
// first error.
func each(n int, f func(int) error) error {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var first error
	for g := range submitters {
		wg.Go(func() {
			for i := g; i < n; i += submitters {
				if err := f(i); err != nil {
					mu.Lock()
					if first == nil {
						first = err
					}
					mu.Unlock()
					return
				}
			}
		})
	}
	wg.Wait()
	return first
}
