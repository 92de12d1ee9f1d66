package tasks

import (
	"context"
	"fmt"

	"github.com/universal-server/become/bench/peers"
	"github.com/universal-server/become/bench/rig"
)

// jobs: submitted, run, their results kept and heard of, all acknowledged
// from the operating system's cache. The bare JetStream's work queue does the same with one message
// per task and keeps no results.
func (b *bench) jobs(ctx context.Context) ([]rig.Row, error) {
	u, rivals, stop, err := b.beside(ctx, peers.JetStream)
	if err != nil {
		return nil, err
	}
	defer stop()
	bare := rivals[0]
	n := b.Size(100_000, 100)
	if _, err := u.boss.Ask(ctx, "jobs", b.Size(10_000, 10)); err != nil { // warm
		return nil, err
	}
	var last rig.Answer
	m, err := rig.InTurns(ctx, b.Rounds, u.side("jobs", n, &last), bare.Side("jobs", n))
	if err != nil {
		return nil, err
	}
	row := bare.Row(fmt.Sprintf("%d jobs, os level", n), "/s", m[0], m[1], rig.Times(0.5))
	row.Note = fmt.Sprintf("submitted %.0f/s", last.More["submitted"])
	return []rig.Row{row}, nil
}

// durable: the same with every acknowledgement after an fsync, beside a
// program that writes one record after the other to the same disk.
func (b *bench) durable(ctx context.Context) ([]rig.Row, error) {
	u, err := b.ours(ctx, 2, "--durable")
	if err != nil {
		return nil, err
	}
	defer u.stop()
	n := b.Size(100_000, 100)
	if _, err := u.boss.Ask(ctx, "jobs", b.Size(10_000, 10)); err != nil { // warm
		return nil, err
	}
	var last rig.Answer
	m, err := rig.InTurns(ctx, b.Rounds, u.side("jobs", n, &last),
		func(context.Context) (float64, error) { return peers.Fsync(b.Dir, b.Size(5000, 20)) })
	if err != nil {
		return nil, err
	}
	return []rig.Row{{
		Measure: fmt.Sprintf("%d jobs, disk level", n), Unit: "/s", Us: m[0], Peer: "appends with fsync", Theirs: m[1], Goal: rig.Times(5),
		Note: fmt.Sprintf("submitted %.0f/s", last.More["submitted"]),
	}}, nil
}
