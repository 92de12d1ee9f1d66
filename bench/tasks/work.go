package tasks

import (
	"context"
	"fmt"

	"github.com/universal-server/become/bench/peers"
	"github.com/universal-server/become/bench/rig"
)

// mixed: tasks of 1 ms to 1 s that sleep, on 2 workers of 4 slots.
func (b *bench) mixed(ctx context.Context) ([]rig.Row, error) {
	u, err := b.ours(ctx, 2, "--slots", "4")
	if err != nil {
		return nil, err
	}
	defer u.stop()
	n := 800
	if b.Quick {
		n = 200
	}
	if b.Tiny {
		n = 20
	}
	a, err := u.boss.Ask(ctx, "mixed", n)
	if err != nil {
		return nil, err
	}
	row := rig.Row{
		Measure: fmt.Sprintf("%d tasks of 1 ms to 1 s on 2 × 4 slots, makespan", n), Unit: "s",
		Us: a.Value * a.More["least"], Peer: "at least, whatever the schedule", Theirs: a.More["least"], Goal: rig.AtMostTimes(1.05),
		Note: fmt.Sprintf("a schedule that does not know the lengths and gives each task to the slot that is free first takes %.3f × the least, we %.3f ×; the longest time a slot was free while a task waited was %.1f ms",
			a.More["greedy"], a.Value, a.More["idle"]),
	}
	return []rig.Row{row}, nil
}

// cpu: computing on two workers of one slot, and on one. Two processes that
// compute without a fleet, beside one, say how much the machine had to give meanwhile.
func (b *bench) cpu(ctx context.Context) ([]rig.Row, error) {
	two, err := b.ours(ctx, 2, "--slots", "1")
	if err != nil {
		return nil, err
	}
	defer two.stop()
	one, err := b.ours(ctx, 1, "--slots", "1")
	if err != nil {
		return nil, err
	}
	defer one.stop()
	bare, err := peers.Against(ctx, b.Bench, peers.Spin)
	if err != nil {
		return nil, err
	}
	defer bare.Stop()
	n := b.Size(100, 8)
	m, err := rig.InTurns(ctx, 2*b.Rounds, two.side("cpu", n, nil), one.side("cpu", n, nil), bare.Spinning(2, n), bare.Spinning(1, n))
	if err != nil {
		return nil, err
	}
	row := rig.Row{Measure: "CPU-bound tasks, 2 workers", Unit: "/s", Us: m[0], Peer: "1 worker", Theirs: m[1], Goal: rig.Times(1.9)}
	if bare.Peer != nil {
		row.Note = fmt.Sprintf("two processes that do nothing else, beside one, came to %.2f ×", m[2]/m[3])
	}
	return []rig.Row{row}, nil
}

// kill: a worker is killed with SIGKILL in the middle of its calls.
func (b *bench) kill(ctx context.Context) ([]rig.Row, error) {
	u, err := b.ours(ctx, 2, "--slots", "4")
	if err != nil {
		return nil, err
	}
	defer u.stop()
	var took []float64
	rounds := b.Size(7, 1)
	if b.Quick {
		rounds = 3
	}
	for range rounds {
		a, err := u.boss.Ask(ctx, "kill", 4)
		if err != nil {
			return nil, err
		}
		took = append(took, a.Value)
	}
	return []rig.Row{{
		Measure: "worker killed: all its calls run elsewhere after", Unit: "ms", Us: rig.Median(took), Goal: rig.AtMost(50),
		Note: fmt.Sprintf("the slowest of %d times %.1f ms", rounds, rig.Quantile(took, 1)),
	}}, nil
}
