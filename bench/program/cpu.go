package main

import (
	"context"
	"time"

	"github.com/universal-server/become"
	"github.com/universal-server/become/bench/rig"
)

// fib keeps one core busy, about 10 ms for 32.
var fib = become.Func("fib", func(_ context.Context, n int) (int, error) { return fibonacci(n), nil })

func fibonacci(n int) int {
	if n < 2 {
		return n
	}
	return fibonacci(n-1) + fibonacci(n-2)
}

// cpuBound runs n tasks of about 10 ms of computing. The value is tasks per
// second.
func cpuBound(ctx context.Context, fleet *become.Fleet, n int) (rig.Answer, error) {
	began := time.Now()
	futures := make([]*become.Future[int], n)
	for i := range futures {
		futures[i] = fib.Go(ctx, fleet, 32)
	}
	for _, f := range futures {
		if v, err := f.Wait(ctx); err != nil || v != 2178309 {
			return rig.Answer{}, wrong(v, 2178309, err)
		}
	}
	return rate(n, began), nil
}
