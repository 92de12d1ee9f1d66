package rig

import (
	"context"
	"slices"
)

// Side is one of those compared: it does one round and returns its figure.
type Side func(ctx context.Context) (float64, error)

// InTurns lets every side do a round, rounds times, one after another, and
// returns each side's median. A nil side is left out.
func InTurns(ctx context.Context, rounds int, sides ...Side) ([]float64, error) {
	figures := make([][]float64, len(sides))
	for range rounds {
		for i, side := range sides {
			if side == nil {
				continue
			}
			v, err := side(ctx)
			if err != nil {
				return nil, err
			}
			figures[i] = append(figures[i], v)
		}
	}
	medians := make([]float64, len(sides))
	for i := range sides {
		medians[i] = Median(figures[i])
	}
	return medians, nil
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
