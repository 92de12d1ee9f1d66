package main

import (
	"context"
	"time"

	"github.com/universal-server/become"
	"github.com/universal-server/become/bench/rig"
)

// firstAnswer connects and makes one call. The value is ms from the call to
// its answer; what is stored already and runs already is the asker's business.
func firstAnswer(ctx context.Context, n int) (rig.Answer, error) {
	return first(ctx, same, n)
}

// firstAnswerJS is firstAnswer of the function square.square, a script that
// was deployed before.
func firstAnswerJS(ctx context.Context, n int) (rig.Answer, error) {
	square, err := become.Named[int, int]("square.square")
	if err != nil {
		return rig.Answer{}, err
	}
	return first(ctx, square, n)
}

func first(ctx context.Context, f *become.Function[int, int], n int) (rig.Answer, error) {
	fleet, err := become.Connect(ctx, become.Config{})
	if err != nil {
		return rig.Answer{}, err
	}
	defer fleet.Close()
	began := time.Now()
	v, err := f.Call(ctx, fleet, n)
	took := time.Since(began)
	if err != nil || v != n && v != n*n {
		return rig.Answer{}, wrong(v, n, err)
	}
	began = time.Now()
	if _, err := f.Call(ctx, fleet, n); err != nil {
		return rig.Answer{}, err
	}
	return rig.Answer{Value: float64(took) / float64(time.Millisecond), More: map[string]float64{"second": micros(time.Since(began))}}, nil
}
