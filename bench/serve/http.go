package serve

import (
	"context"
	"os"
	"path/filepath"

	"github.com/universal-server/become/bench/peers"
	"github.com/universal-server/become/bench/rig"
)

// hello: a handler that says hello, in two processes behind the keeper. The seed's server serves a file,
// as it can do nothing else.
func hello(ctx context.Context, b *rig.Bench) ([]rig.Row, error) {
	c := &contest{b: b}
	defer c.stop()
	folder, err := os.MkdirTemp(b.Dir, "www-")
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(folder, "index.html"), []byte("hello world\n"), 0o644); err != nil {
		return nil, err
	}
	ours, err := c.hello(ctx, 2)
	if err != nil {
		return nil, err
	}
	us, err := c.web(ours.addr, ours.PID(), "/", true)
	if err != nil {
		return nil, err
	}
	sides := []rivalry{us}
	for _, start := range []func(context.Context, string) (*peers.Peer, error){peers.BareHTTP, peers.Gunicorn, peers.Prefork(folder)} {
		r, err := c.against(ctx, start)
		if err != nil {
			return nil, err
		}
		addr, pid := of(r)
		side, err := c.web(addr, pid, "/", len(sides) < 3) // the seed's fails some
		if err != nil {
			return nil, err
		}
		sides = append(sides, side)
	}
	t, err := c.turns(ctx, sides...)
	if err != nil {
		return nil, err
	}
	var rows []rig.Row
	for i, goal := range []float64{0.95, 6, 8} {
		row := c.row(rig.Row{Measure: "HTTP hello, 2 processes, 64 connections", Unit: "/s", Goal: rig.Times(goal)}, c.rivals[i])
		row.Note = us.note(sides[i+1].cost)
		rows = append(rows, t.Compare(row, 0, i+1))
	}
	return rows, nil
}
