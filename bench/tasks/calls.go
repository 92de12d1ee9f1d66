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
func (b *bench) call(ctx context.Context) ([]rig.Row, error) {
	u, rivals, stop, err := b.beside(ctx, peers.Erlang, peers.Socket)
	if err != nil {
		return nil, err
	}
	defer stop()
	erlang, socket := rivals[0], rivals[1]
	var last rig.Answer
	n := b.Size(10_000, 50)
	m, err := rig.InTurns(ctx, b.Rounds, u.side("call", n, &last), erlang.Side("call", n), socket.Side("call", n))
	if err != nil {
		return nil, err
	}
	row := erlang.Row("one call and its answer, p50", "µs", m[0], m[1], rig.AtMostTimes(1))
	row.Note = fmt.Sprintf("p99 %.0f µs; a byte there and back over a Unix socket between two Go processes %.0f µs", last.More["p99"], m[2])
	return []rig.Row{row}, nil
}

// flight: calls started one by one without waiting, then all their answers.
// asynq and Celery do fewer, at their own speed.
func (b *bench) flight(ctx context.Context) ([]rig.Row, error) {
	u, rivals, stop, err := b.beside(ctx, peers.Erlang, peers.Asynq, peers.Celery)
	if err != nil {
		return nil, err
	}
	defer stop()
	erlang, asynq, celery := rivals[0], rivals[1], rivals[2]
	n := b.Size(100_000, 500)
	m, err := rig.InTurns(ctx, b.Rounds, u.side("flight", n, nil),
		erlang.Side("flight", n), asynq.Side("flight", max(n/10, 10)), celery.Side("flight", max(n/50, 10)))
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("%d calls in flight", n)
	return []rig.Row{
		erlang.Row(name, "/s", m[0], m[1], rig.Times(1)),
		asynq.Row(name, "/s", m[0], m[2], rig.Times(20)),
		celery.Row(name, "/s", m[0], m[3], rig.Times(100)),
	}, nil
}

// mapped: Map over tiny tasks. The Pool does fewer of them with apply_async,
// and all of them with its own map, which cuts the input into a handful of chunks beforehand.
func (b *bench) mapped(ctx context.Context) ([]rig.Row, error) {
	u, rivals, stop, err := b.beside(ctx, peers.Pool)
	if err != nil {
		return nil, err
	}
	defer stop()
	pool := rivals[0]
	n := b.Size(1_000_000, 2000)
	m, err := rig.InTurns(ctx, b.Rounds, u.side("map", n, nil), pool.Side("flight", max(n/20, 10)), pool.Side("map", n))
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("Map over %d tiny tasks", n)
	chunked := pool.Row(name+", beside one fixed list cut in 8", "/s", m[0], m[2], nil)
	chunked.Peer = "Pool.map"
	async := pool.Row(name, "/s", m[0], m[1], rig.Times(20))
	async.Peer = "Pool.apply_async"
	return []rig.Row{
		{Measure: name, Unit: "/s", Us: m[0], Goal: rig.AtLeast(2_000_000)},
		async, chunked,
	}, nil
}

// seed: what the seed's boss does, nine factorials at a time.
func (b *bench) seed(ctx context.Context) ([]rig.Row, error) {
	u, rivals, stop, err := b.beside(ctx, peers.Seed)
	if err != nil {
		return nil, err
	}
	defer stop()
	seed := rivals[0]
	m, err := rig.InTurns(ctx, b.Rounds, u.side("seed", b.Size(2000, 5), nil), seed.Side("seed", 1))
	if err != nil {
		return nil, err
	}
	return []rig.Row{seed.Row("nine factorials, again and again", "/s", m[0], m[1], rig.Times(1000))}, nil
}
