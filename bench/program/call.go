package main

import (
	"context"
	"fmt"
	"time"

	"github.com/universal-server/become"
	"github.com/universal-server/become/bench/rig"
)

// same does nothing: it returns its argument.
var same = become.Func("same", func(_ context.Context, n int) (int, error) { return n, nil })

// serialCalls makes n calls, each after the answer of the one before. The
// value is the median of a call and its answer in µs.
func serialCalls(ctx context.Context, fleet *become.Fleet, n int) (rig.Answer, error) {
	for i := range n / 10 { // the machine and the lines get warm
		if _, err := same.Call(ctx, fleet, i); err != nil {
			return rig.Answer{}, err
		}
	}
	took := make([]float64, n)
	for i := range n {
		began := time.Now()
		v, err := same.Call(ctx, fleet, i)
		took[i] = micros(time.Since(began))
		if err != nil || v != i {
			return rig.Answer{}, wrong(v, i, err)
		}
	}
	return rig.Answer{Value: rig.Median(took), More: map[string]float64{"p99": rig.Quantile(took, 0.99)}}, nil
}

// callsInFlight starts n calls one by one, then waits for all their answers.
// The value is calls per second.
func callsInFlight(ctx context.Context, fleet *become.Fleet, n int) (rig.Answer, error) {
	began := time.Now()
	futures := make([]*become.Future[int], n)
	for i := range futures {
		futures[i] = same.Go(ctx, fleet, i)
	}
	for i, f := range futures {
		if v, err := f.Wait(ctx); err != nil || v != i {
			return rig.Answer{}, wrong(v, i, err)
		}
	}
	return rate(n, began), nil
}

func rate(n int, began time.Time) rig.Answer {
	return rig.Answer{Value: float64(n) / time.Since(began).Seconds()}
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func wrong(got, want any, err error) error {
	if err != nil {
		return err
	}
	return fmt.Errorf("got %v, want %v", got, want)
}
