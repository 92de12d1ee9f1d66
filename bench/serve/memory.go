package serve

import (
	"context"
	"fmt"
	"time"

	"github.com/universal-server/become/bench/load"
	"github.com/universal-server/become/bench/peers"
	"github.com/universal-server/become/bench/rig"
)

// memory: what a connection costs that has asked once and is kept open.
func memory(ctx context.Context, b *rig.Bench) ([]rig.Row, error) {
	var rows []rig.Row
	for _, kind := range []struct {
		what, dialog string
		rival        func(context.Context, string) (*peers.Peer, error)
		start        func(*contest) (*server, error)
	}{
		{"HTTP", "http", peers.BareHTTP, func(c *contest) (*server, error) { return c.hello(ctx, 2) }},
		{"echo", "echo", peers.BareEcho, func(c *contest) (*server, error) { return c.serving(ctx, "echo") }},
		{"CAS", "cas", peers.BareCAS, func(c *contest) (*server, error) { return c.serving(ctx, "cas") }},
	} {
		c := &contest{b: b}
		row, err := c.memory(ctx, kind.what, kind.dialog, kind.rival, kind.start)
		c.stop()
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func (c *contest) memory(ctx context.Context, what, dialog string, rival func(context.Context, string) (*peers.Peer, error), start func(*contest) (*server, error)) (row rig.Row, err error) {
	n := c.b.Size(10_000, 100)
	ours, err := start(c)
	if err != nil {
		return row, err
	}
	pids, err := ours.processes()
	if err != nil {
		return row, err
	}
	us, err := c.perConnection(ctx, ours.addr, dialog, n, pids)
	if err != nil {
		return row, err
	}
	bare, err := c.against(ctx, rival)
	if err != nil {
		return row, err
	}
	row = c.row(rig.Row{Measure: fmt.Sprintf("memory per idle connection, %s, %d of them", what, n), Unit: "KB", Us: us, Goal: rig.AtMost(12)}, bare)
	if bare.Peer != nil {
		row.Theirs, err = c.perConnection(ctx, bare.Addr, dialog, n, []int{bare.PID()})
	}
	return row, err
}

// settle is how long processes have to come to rest.
const settle = 2 * time.Second

// perConnection is how much more memory processes have with n connections, each, in KB.
func (c *contest) perConnection(ctx context.Context, addr, dialog string, n int, pids []int) (float64, error) {
	g, err := load.Start(load.Spec{Addr: addr, Dialog: dialog})
	if err != nil {
		return 0, err
	}
	defer g.Stop()
	const first = 10
	if err := g.Hold(ctx, first); err != nil { // it is awake
		return 0, err
	}
	before, err := resident(pids...)
	if err != nil {
		return 0, err
	}
	more := n - first // n of them: so many as a server takes at most
	if err := g.Hold(ctx, more); err != nil {
		return 0, err
	}
	if !c.b.Tiny {
		time.Sleep(time.Duration(c.b.Size(int(settle), int(settle/4))))
	}
	after, err := resident(pids...)
	if err != nil {
		return 0, err
	}
	return (float64(after) - float64(before)) / float64(more) / 1000, g.Drop(ctx)
}
