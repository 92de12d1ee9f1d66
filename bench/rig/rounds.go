package rig

import (
	"context"
	"slices"
)

// Side is one of those compared: it does one round and returns its figure.
type Side func(ctx context.Context) (float64, error)

// Turns are the figures of sides that took turns, by side and round; none of a side
// that was left out.
type Turns [][]float64

// TakeTurns lets every side do a round, rounds times, one after another; each second time in
// the other direction, so that a machine that becomes slower does so for all. A nil side is left out.
func TakeTurns(ctx context.Context, rounds int, sides ...Side) (Turns, error) {
	figures := make(Turns, len(sides))
	for round := range rounds {
		for i := range sides {
			if round%2 == 1 {
				i = len(sides) - 1 - i
			}
			if sides[i] == nil {
				continue
			}
			v, err := sides[i](ctx)
			if err != nil {
				return nil, err
			}
			figures[i] = append(figures[i], v)
		}
	}
	return figures, nil
}

// Medians returns each side's, 0 of one that was left out.
func (t Turns) Medians() []float64 {
	all := make([]float64, len(t))
	for i := range t {
		all[i] = Median(t[i])
	}
	return all
}

// Compare fills in the figures of a row in which side us is held against side them: the medians of
// both, and of the ratios of each round its median and its quartiles.
func (t Turns) Compare(r Row, us, them int) Row {
	r.Us, r.Theirs = Median(t[us]), Median(t[them])
	if len(t[them]) == 0 {
		return r
	}
	ratios := make([]float64, len(t[us]))
	for i := range ratios {
		ratios[i] = t[us][i] / t[them][i]
	}
	r.Ratio, r.Low, r.High = Median(ratios), Quantile(ratios, 0.25), Quantile(ratios, 0.75)
	return r
}

// InTurns is TakeTurns for who wants the medians only.
func InTurns(ctx context.Context, rounds int, sides ...Side) ([]float64, error) {
	t, err := TakeTurns(ctx, rounds, sides...)
	if err != nil {
		return nil, err
	}
	return t.Medians(), nil
}

// Median returns the middle of the figures, 0 of none.
func Median(figures []float64) float64 { return Quantile(figures, 0.5) }

// Quantile returns the figure below which a share q of them lie, 0 of none.
func Quantile(figures []float64, q float64) float64 {
	if len(figures) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(figures))
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}
