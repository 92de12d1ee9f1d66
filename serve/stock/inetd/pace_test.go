package inetd

import (
	"context"
	"testing"
	"time"
)

func TestPace_NeverMoreThanItsRate(t *testing.T) {
	start := time.Unix(1000, 0)
	for rate, at := range map[int][]time.Duration{
		1:  {0, 0, 0, 500 * time.Millisecond, 10 * time.Second, 10 * time.Second},
		10: {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 50 * time.Millisecond, 5 * time.Second},
	} {
		p := newPace(rate)
		var starts []time.Time
		for _, d := range at {
			starts = append(starts, start.Add(d).Add(p.reserve(start.Add(d))))
		}
		for i, s := range starts {
			if i >= rate && s.Sub(starts[i-rate]) < time.Second {
				t.Errorf("rate %d: starts %d and %d are %s apart", rate, i-rate, i, s.Sub(starts[i-rate]))
			}
			if i < rate && !s.Equal(start.Add(at[i])) {
				t.Errorf("rate %d: start %d waits", rate, i)
			}
		}
		if last := len(at) - 1; !starts[last].Equal(start.Add(at[last])) && rate == 10 {
			t.Errorf("rate %d: after a quiet time a start waits", rate)
		}
	}
}

func TestPace_EndsWithTheContext(t *testing.T) {
	p := newPace(1)
	ctx, cancel := context.WithCancel(context.Background())
	if !p.wait(ctx) {
		t.Error("the first turn is not there")
	}
	cancel()
	if p.wait(ctx) {
		t.Error("a turn came before its time")
	}
}
