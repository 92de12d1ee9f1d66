package main

import (
	"context"
	"fmt"
	"time"

	"github.com/universal-server/become"
	"github.com/universal-server/become/bench/rig"
)

// mapTiny maps same over the numbers below n and checks that each came back
// once. The value is tasks per second.
func mapTiny(ctx context.Context, fleet *become.Fleet, n int) (rig.Answer, error) {
	began := time.Now()
	seen := make([]bool, n)
	answers := 0
	for a := range same.Map(ctx, fleet, numbers(n)) {
		if a.Err != nil || a.Value != a.Input || seen[a.Value] {
			return rig.Answer{}, wrong(a.Value, a.Input, a.Err)
		}
		seen[a.Value] = true
		answers++
	}
	if answers != n {
		return rig.Answer{}, fmt.Errorf("%d answers, want %d", answers, n)
	}
	return rate(n, began), nil
}

func numbers(n int) func(func(int) bool) {
	return func(yield func(int) bool) {
		for i := range n {
			if !yield(i) {
				return
			}
		}
	}
}
