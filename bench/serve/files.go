package serve

import (
	"bytes"
	"context"
	"os"
	"path/filepath"

	"github.com/universal-server/become/bench/peers"
	"github.com/universal-server/become/bench/rig"
)

// files: one of 1,024 bytes, asked for again and again. Nobody writes a log.
func files(ctx context.Context, b *rig.Bench) ([]rig.Row, error) {
	c := &contest{b: b}
	defer c.stop()
	folder, err := os.MkdirTemp(b.Dir, "www-")
	if err != nil {
		return nil, err
	}
	const name = "small.txt"
	if err := os.WriteFile(filepath.Join(folder, name), bytes.Repeat([]byte("become!\n"), 128), 0o644); err != nil {
		return nil, err
	}
	ours, err := c.serving(ctx, "static", folder, "--log=false")
	if err != nil {
		return nil, err
	}
	us, err := c.web(ours.addr, ours.PID(), "/"+name, true)
	if err != nil {
		return nil, err
	}
	sides := []rivalry{us}
	for _, start := range []func(context.Context, string) (*peers.Peer, error){peers.Nginx(folder), peers.BareFiles(folder)} {
		r, err := c.against(ctx, start)
		if err != nil {
			return nil, err
		}
		addr, pid := of(r)
		side, err := c.web(addr, pid, "/"+name, true)
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
	for i, goal := range []*rig.Goal{rig.Times(0.6), nil} {
		row := c.row(rig.Row{Measure: "file of 1 KiB, 64 connections", Unit: "/s", Goal: goal}, c.rivals[i])
		row.Note = us.note(sides[i+1].cost)
		rows = append(rows, t.Compare(row, 0, i+1))
	}
	return rows, nil
}
