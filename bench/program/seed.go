package main

import (
	"context"
	"math/big"
	"time"

	"github.com/universal-server/become"
	"github.com/universal-server/become/bench/rig"
)

// factorial is the seed's example.
var factorial = become.Func("factorial", func(_ context.Context, n int) (*big.Int, error) {
	return new(big.Int).MulRange(1, int64(n)), nil
})

// factorials does what the seed's boss does, n times: it sends 1 to 9 and
// takes the answers. The value is tasks per second.
func factorials(ctx context.Context, fleet *become.Fleet, n int) (rig.Answer, error) {
	began := time.Now()
	for range n {
		var futures [9]*become.Future[*big.Int]
		for i := range futures {
			futures[i] = factorial.Go(ctx, fleet, i+1)
		}
		for i, f := range futures {
			v, err := f.Wait(ctx)
			if want := int64(fact(i + 1)); err != nil || v.Int64() != want {
				return rig.Answer{}, wrong(v, want, err)
			}
		}
	}
	return rate(9*n, began), nil
}

func fact(n int) int {
	if n < 2 {
		return 1
	}
	return n * fact(n-1)
}
