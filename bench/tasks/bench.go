package tasks

import (
	"context"
	"slices"

	"github.com/universal-server/become/bench/peers"
	"github.com/universal-server/become/bench/rig"
)

// Suite is the measures of functions, jobs and processes.
var Suite = rig.Suite{
	Name: "tasks", About: "functions, jobs and the processes that run them", Rounds: 3,
	Measures: []rig.Measure{
		{Name: "call", Run: run((*bench).call)},
		{Name: "flight", Run: run((*bench).flight)},
		{Name: "map", Run: run((*bench).mapped)},
		{Name: "mixed", Run: run((*bench).mixed)},
		{Name: "jobs", Run: run((*bench).jobs)},
		{Name: "durable", Run: run((*bench).durable)},
		{Name: "kill", Run: run((*bench).kill)},
		{Name: "cpu", Run: run((*bench).cpu)},
		{Name: "first", Run: run((*bench).first)},
		{Name: "seed", Run: run((*bench).seed)},
		{Name: "idle", Run: run((*bench).idle)},
	},
}

// bench is a run with what it measures.
type bench struct {
	*rig.Bench
	become  string // the command, built
	program string // the user's program, built
}

// run builds what is measured before f measures it.
func run(f func(*bench, context.Context) ([]rig.Row, error)) func(context.Context, *rig.Bench) ([]rig.Row, error) {
	return func(ctx context.Context, r *rig.Bench) ([]rig.Row, error) {
		b := &bench{Bench: r}
		var err error
		if b.become, err = r.Become(ctx); err != nil {
			return nil, err
		}
		if b.program, err = r.Build(ctx, rig.Product+"/bench/program"); err != nil {
			return nil, err
		}
		return f(b, ctx)
	}
}

// beside starts us, with two workers, and rivals. stop ends all of them.
func (b *bench) beside(ctx context.Context, starts ...func(context.Context, string) (*peers.Peer, error)) (u us, rivals []peers.Rival, stop func(), err error) {
	if u, err = b.ours(ctx, 2); err != nil {
		return us{}, nil, nil, err
	}
	stop = func() {
		for _, r := range slices.Backward(rivals) {
			r.Stop()
		}
		u.stop()
	}
	for _, start := range starts {
		r, err := peers.Against(ctx, b.Bench, start)
		if err != nil {
			stop()
			return us{}, nil, nil, err
		}
		rivals = append(rivals, r)
	}
	return u, rivals, stop, nil
}
