package serve

import (
	"context"
	"errors"
	"time"

	"github.com/universal-server/become/bench/load"
	"github.com/universal-server/become/bench/peers"
	"github.com/universal-server/become/bench/rig"
)

// Suite is the measures of services.
var Suite = rig.Suite{
	Name: "serve", About: "services on sockets", Rounds: 15,
	Measures: []rig.Measure{
		{Name: "http", Run: hello},
		{Name: "static", Run: files},
		{Name: "echo", Run: echo},
		{Name: "connect", Run: connect},
		{Name: "cas", Run: cas},
		{Name: "pipelined", Run: pipelined},
		{Name: "swap", Run: swapped},
		{Name: "replace", Run: replaced},
		{Name: "memory", Run: memory},
	},
}

// turn is how long a side's turn is: short, so that what else the machine does meets both.
func turn(b *rig.Bench) time.Duration {
	return time.Duration(b.Size(500, 100)) * time.Millisecond
}

// contest is us and rivals, started, and what puts the load on them.
type contest struct {
	b       *rig.Bench
	stops   []func()
	rivals  []peers.Rival
	missing string // what the load needs and this machine has not
}

func (c *contest) stop() {
	for i := len(c.stops) - 1; i >= 0; i-- {
		c.stops[i]()
	}
}

// against starts a rival.
func (c *contest) against(ctx context.Context, start func(context.Context, string) (*peers.Peer, error)) (peers.Rival, error) {
	r, err := peers.Against(ctx, c.b, start)
	if err == nil {
		c.stops = append(c.stops, r.Stop)
		c.rivals = append(c.rivals, r)
	}
	return r, err
}

// rivalry is a server under a load: its side, and what it costs. The side is nil without a server.
type rivalry struct {
	rig.Side
	*cost
}

// clients is a server at addr, of process pid, under the load of clients.
func (c *contest) clients(ctx context.Context, addr string, pid int, s load.Spec) (r rivalry, err error) {
	r.cost = &cost{pid: pid}
	if addr == "" {
		return r, nil
	}
	s.Addr = addr
	g, err := load.Start(s)
	if err != nil {
		return r, err
	}
	c.stops = append(c.stops, g.Stop)
	if _, err := g.Rate(time.Millisecond)(ctx); err != nil { // the clients connect
		return r, err
	}
	r.Side = r.side(g.Rate(turn(c.b)), turn(c.b))
	return r, nil
}

// web is a server at addr, of process pid, under wrk's load. If it is strict, a failure ends all.
func (c *contest) web(addr string, pid int, path string, strict bool) (r rivalry, err error) {
	r.cost = &cost{pid: pid}
	if addr == "" {
		return r, nil
	}
	w, err := load.NewWeb("http://" + addr + path)
	if missing, ok := errors.AsType[*rig.Missing](err); ok {
		c.missing = missing.Error()
		return r, nil
	}
	if err != nil {
		return r, err
	}
	d := max(time.Second, 2*turn(c.b)) // wrk counts in seconds
	r.Side = r.side(w.Loosely(d), d)
	if strict {
		r.Side = r.side(w.Rate(d), d)
	}
	return r, nil
}

// row begins a row; without what the load needs it only says so.
func (c *contest) row(r rig.Row, with peers.Rival) rig.Row {
	whole := with.Row(r.Measure, r.Unit, r.Us, r.Theirs, r.Goal)
	if c.missing != "" {
		whole.Missing = c.missing
	}
	return whole
}

// turns lets them take turns.
func (c *contest) turns(ctx context.Context, all ...rivalry) (rig.Turns, error) {
	sides := make([]rig.Side, len(all))
	for i, r := range all {
		sides[i] = r.Side
	}
	return rig.TakeTurns(ctx, c.b.Rounds, sides...)
}

// of returns the address of a rival and its process; none if there is no rival.
func of(r peers.Rival) (addr string, pid int) {
	if r.Peer == nil {
		return "", 0
	}
	return r.Addr, r.PID()
}
