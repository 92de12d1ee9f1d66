package serve

import (
	"context"

	"github.com/universal-server/become/bench/load"
	"github.com/universal-server/become/bench/peers"
	"github.com/universal-server/become/bench/rig"
)

// cas: the compare-and-swap server. All clients of ours and of the bare one change one register; those of Redis,
// which then is faster, one key each.
func cas(ctx context.Context, b *rig.Bench) ([]rig.Row, error) {
	alone, err := casAgainst(ctx, b, "CAS, one client", load.Spec{Clients: 1}, rig.Times(0.9), nil)
	if err != nil {
		return nil, err
	}
	fifty, err := casAgainst(ctx, b, "CAS, 50 clients", load.Spec{Clients: 50}, rig.Times(0.9), rig.Times(1.3))
	return append(alone, fifty...), err
}

// pipelined: operations are sent without waiting for the answers to those before.
func pipelined(ctx context.Context, b *rig.Bench) ([]rig.Row, error) {
	const measure = "CAS, 4 clients, 128 operations at a time"
	rows, err := casAgainst(ctx, b, measure, load.Spec{Clients: 4, Depth: 128}, rig.Times(0.9), nil)
	if err != nil {
		return nil, err
	}
	return append([]rig.Row{{Measure: measure, Unit: "/s", Us: rows[0].Us, Goal: rig.AtLeast(1_000_000)}}, rows...), nil
}

// casAgainst measures us, a bare line server and Redis under the same load, with a goal for each.
func casAgainst(ctx context.Context, b *rig.Bench, measure string, s load.Spec, bare, redis *rig.Goal) ([]rig.Row, error) {
	c := &contest{b: b}
	defer c.stop()
	ours, err := c.serving(ctx, "cas")
	if err != nil {
		return nil, err
	}
	s.Dialog = "cas"
	us, err := c.clients(ctx, ours.addr, ours.PID(), s)
	if err != nil {
		return nil, err
	}
	sides := []rivalry{us}
	for _, one := range []struct {
		dialog string
		start  func(context.Context, string) (*peers.Peer, error)
	}{{"cas", peers.BareCAS}, {"redis", peers.RedisAlone}} {
		r, err := c.against(ctx, one.start)
		if err != nil {
			return nil, err
		}
		s.Dialog = one.dialog
		addr, pid := of(r)
		side, err := c.clients(ctx, addr, pid, s)
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
	for i, goal := range []*rig.Goal{bare, redis} {
		row := c.row(rig.Row{Measure: measure, Unit: "/s", Goal: goal}, c.rivals[i])
		row.Note = us.note(sides[i+1].cost)
		rows = append(rows, t.Compare(row, 0, i+1))
	}
	return rows, nil
}
