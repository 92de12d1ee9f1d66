package tasks

import (
	"context"
	"fmt"

	"github.com/universal-server/become/bench/peers"
	"github.com/universal-server/become/bench/rig"
)

// call: one call after another, each with its answer. Erlang does the same
// between two nodes, and two processes that do nothing but pass a byte over a Unix socket
// say what the floor is.
func (b *Bench) call(ctx context.Context) ([]rig.Row, error) {
	u, rivals, stop, err := b.beside(ctx, peers.Erlang, peers.Socket)
	if err != nil {
		return nil, err
	}
	defer stop()
	erlang, socket := rivals[0], rivals[1]
	var last rig.Answer
	n := b.size(10_000, 50)
	m, err := rig.InTurns(ctx, b.Rounds, u.side("call", n, &last), erlang.Side("call", n), socket.Side("call", n))
	if err != nil {
		return nil, err
	}
	row := erlang.row("one call and its answer, p50", "µs", m[0], m[1], atMostTimes(1))
	row.Note = fmt.Sprintf("p99 %.0f µs; a byte there and back over a Unix socket between two Go processes %.0f µs", last.More["p99"], m[2])
	return []rig.Row{row}, nil
}

// flight: calls started one by one without waiting, then all their answers.
// asynq and Celery do fewer, at their own speed.
func (b *Bench) flight(ctx context.Context) ([]rig.Row, error) {
	u, rivals, stop, err := b.beside(ctx, peers.Erlang, peers.Asynq, peers.Celery)
	if err != nil {
		return nil, err
	}
	defer stop()
	erlang, asynq, celery := rivals[0], rivals[1], rivals[2]
	n := b.size(100_000, 500)
	m, err := rig.InTurns(ctx, b.Rounds, u.side("flight", n, nil),
		erlang.Side("flight", n), asynq.Side("flight", max(n/10, 10)), celery.Side("flight", max(n/50, 10)))
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("%d calls in flight", n)
	return []rig.Row{
		erlang.row(name, "/s", m[0], m[1], times(1)),
		asynq.row(name, "/s", m[0], m[2], times(20)),
		celery.row(name, "/s", m[0], m[3], times(100)),
	}, nil
}

// mapped: Map over tiny tasks. The Pool does fewer of them with apply_async,
// and all of them with its own map, which cuts the input into a handful of chunks beforehand.
func (b *Bench) mapped(ctx context.Context) ([]rig.Row, error) {
	u, rivals, stop, err := b.beside(ctx, peers.Pool)
	if err != nil {
		return nil, err
	}
	defer stop()
	pool := rivals[0]
	n := b.size(1_000_000, 2000)
	m, err := rig.InTurns(ctx, b.Rounds, u.side("map", n, nil), pool.Side("flight", max(n/20, 10)), pool.Side("map", n))
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("Map over %d tiny tasks", n)
	chunked := pool.row(name+", beside one fixed list cut in 8", "/s", m[0], m[2], nil)
	chunked.Peer = "Pool.map"
	async := pool.row(name, "/s", m[0], m[1], times(20))
	async.Peer = "Pool.apply_async"
	return []rig.Row{
		{Measure: name, Unit: "/s", Us: m[0], Goal: atLeast(2_000_000)},
		async, chunked,
	}, nil
}

// seed: what the seed's boss does, nine factorials at a time.
func (b *Bench) seed(ctx context.Context) ([]rig.Row, error) {
	u, rivals, stop, err := b.beside(ctx, peers.Seed)
	if err != nil {
		return nil, err
	}
	defer stop()
	seed := rivals[0]
	m, err := rig.InTurns(ctx, b.Rounds, u.side("seed", b.size(2000, 5), nil), seed.Side("seed", 1))
	if err != nil {
		return nil, err
	}
	return []rig.Row{seed.row("nine factorials, again and again", "/s", m[0], m[1], times(1000))}, nil
}
