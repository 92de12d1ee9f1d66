package peers

import (
	"context"
	"errors"

	"github.com/universal-server/become/bench/rig"
)

// Rival is a peer, or why there is none.
type Rival struct {
	*Peer
	missing string
	rare    bool // it is no failure that it is missing
}

// Against starts a peer. One that is not installed is no error.
func Against(ctx context.Context, b *rig.Bench, start func(context.Context, string) (*Peer, error)) (Rival, error) {
	if b.Alone {
		return Rival{missing: "left out"}, nil
	}
	p, err := start(ctx, b.Dir)
	if missing, ok := errors.AsType[*rig.Missing](err); ok {
		return Rival{missing: missing.Error(), rare: missing.Rare}, nil
	}
	return Rival{Peer: p}, err
}

// Row begins a row against the rival.
func (r Rival) Row(measure, unit string, us, theirs float64, goal *rig.Goal) rig.Row {
	row := rig.Row{Measure: measure, Unit: unit, Us: us, Theirs: theirs, Missing: r.missing, Rare: r.rare, Goal: goal}
	if r.Peer != nil {
		row.Peer = r.Name
	}
	return row
}
