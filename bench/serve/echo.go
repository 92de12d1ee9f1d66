package serve

import (
	"context"
	"fmt"

	"github.com/universal-server/become/bench/load"
	"github.com/universal-server/become/bench/peers"
	"github.com/universal-server/become/bench/rig"
)

// echo: 64 bytes there and back, with so many clients.
func echo(ctx context.Context, b *rig.Bench) ([]rig.Row, error) {
	c := &contest{b: b}
	defer c.stop()
	ours, err := c.serving(ctx, "echo")
	if err != nil {
		return nil, err
	}
	rival, err := c.against(ctx, peers.BareEcho)
	if err != nil {
		return nil, err
	}
	var rows []rig.Row
	most := 1000
	if b.Tiny {
		most = 200
	}
	for _, clients := range []int{1, 100, most} {
		measure := fmt.Sprintf("echo of 64 bytes, clients: %d", clients)
		row, err := c.duel(ctx, measure, load.Spec{Dialog: "echo", Clients: clients}, ours, rival, rig.Times(0.95))
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// duel is a row of answers per second, of us and one rival, under the same load.
func (c *contest) duel(ctx context.Context, measure string, s load.Spec, ours *server, rival peers.Rival, goal *rig.Goal) (rig.Row, error) {
	us, err := c.clients(ctx, ours.addr, ours.PID(), s)
	if err != nil {
		return rig.Row{}, err
	}
	addr, pid := of(rival)
	them, err := c.clients(ctx, addr, pid, s)
	if err != nil {
		return rig.Row{}, err
	}
	t, err := c.turns(ctx, us, them)
	if err != nil {
		return rig.Row{}, err
	}
	row := c.row(rig.Row{Measure: measure, Unit: "/s", Goal: goal}, rival)
	row.Note = us.note(them.cost)
	return t.Compare(row, 0, 1), nil
}

// connect: a thousand clients at once, until each has had its first answer.
func connect(ctx context.Context, b *rig.Bench) ([]rig.Row, error) {
	c := &contest{b: b}
	defer c.stop()
	ours, err := c.serving(ctx, "echo")
	if err != nil {
		return nil, err
	}
	rival, err := c.against(ctx, peers.BareEcho)
	if err != nil {
		return nil, err
	}
	const clients = 1000
	sides := make([]rig.Side, 2)
	theirs, _ := of(rival)
	for i, addr := range []string{ours.addr, theirs} {
		if addr == "" {
			continue
		}
		g, err := load.Start(load.Spec{Addr: addr, Dialog: "echo"})
		if err != nil {
			return nil, err
		}
		c.stops = append(c.stops, g.Stop)
		sides[i] = g.Connect(clients)
	}
	t, err := rig.TakeTurns(ctx, b.Rounds, sides...)
	if err != nil {
		return nil, err
	}
	row := c.row(rig.Row{Measure: "1000 clients connected and served after", Unit: "ms", Goal: rig.AtMost(100)}, rival)
	return []rig.Row{t.Compare(row, 0, 1)}, nil
}
