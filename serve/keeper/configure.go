package keeper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/wire"
)

// settings are what a generation has. Those of a program have number 0, each change that processes took live a higher one.
type settings struct {
	number uint64
	value  json.RawMessage
}

// nowLocked is the generation's program with the settings that it has now.
func (g *generation) nowLocked() Program {
	p := g.program
	p.Settings = g.settings.value
	return p
}

// liveLocked says whether all that serves takes other settings while it runs.
func (k *Keeper) liveLocked() bool {
	for _, s := range k.serving {
		if !s.status.Live || s.status.State != Ready {
			return false
		}
	}
	return len(k.serving) > 0
}

// change is a change of settings under way.
type change struct {
	g      *generation
	was    json.RawMessage // the settings before
	before *trying         // what is on trial; nil for none
}

// Configure gives the processes that serve other settings while they run, and returns when all have taken them. Those that are started
// later have them too. When one refuses them, or fails, all get the old ones again; who does not take those is replaced. The settings are
// on probation then, as a new generation is: when more than MaxDeaths processes die in that time all get the old ones again,
// Status.Report says why and Status.Undone counts it. The newest change wins: one that is not done when another is asked for has failed.
//
// Errors: fault.Invalid with the reason when a process refuses the settings, fault.Conflict when they do not take any while
// they run, see Status.Live, fault.Lost when one dies, fault.Deadline when one does not answer within StartWithin, fault.Canceled when
// it is overtaken by a newer change, fault.NotFound before the first Deploy, and those of ctx. It waits until all have the old settings, but
// not when ctx has ended or another operation waits: then that is seen to later.
func (k *Keeper) Configure(ctx context.Context, value json.RawMessage) error {
	const op = "configure"
	if len(value) > maxSettings || len(value) > 0 && !json.Valid(value) {
		return fault.Text(fault.Invalid, op, "", fmt.Sprintf("the settings are not JSON of at most %d bytes", maxSettings))
	}
	ctx, done := k.newest(ctx)
	defer done()
	end, err := k.operate(ctx, op)
	if err != nil {
		return err
	}
	defer end()
	c, err := k.change(ctx)
	if err == nil {
		err = k.order(ctx, c, value)
	}
	if err == nil {
		return nil
	}
	return fault.New(fault.KindOf(err), op, "", err)
}

var errOvertaken = errors.New("overtaken by a newer change")

// newest returns a context for the newest change, and ends that of the one before.
func (k *Keeper) newest(ctx context.Context) (_ context.Context, done func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.overtake != nil {
		k.overtake(errOvertaken)
	}
	k.overtake = cancel
	return ctx, func() { cancel(nil) }
}

// change begins a change. What is on trial is not while it is under way.
func (k *Keeper) change(ctx context.Context) (c change, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return c, fault.New(fault.KindOf(ctx.Err()), "", "", context.Cause(ctx))
	case !k.liveLocked():
		return c, fault.Text(fault.Conflict, "", "", "not all processes take settings while they run").WithHint("deploy it with the settings")
	}
	c = change{k.current, k.current.settings.value, k.trying}
	k.trying = nil
	return c, nil
}

// order lets the processes that serve have settings, on probation, or those before again.
func (k *Keeper) order(ctx context.Context, c change, value json.RawMessage) error {
	err := k.tryOrder(ctx, c, value)
	if err != nil {
		return k.goBack(ctx, c, err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.report, k.owed = "", 0
	k.tryLocked(&trying{g: c.g, was: c.was, before: c.before.left(time.Now())})
	return nil
}

// tryOrder waits until each process has said what it thinks of the settings.
func (k *Keeper) tryOrder(ctx context.Context, c change, value json.RawMessage) error {
	ctx, cancel := context.WithTimeout(ctx, k.opts.StartWithin)
	defer cancel()
	k.mu.Lock()
	number, died := k.orderLocked(c.g, value), map[*slot]int{}
	for _, s := range k.serving {
		died[s] = s.status.Restarts
	}
	k.mu.Unlock()
	return k.until(ctx, func() (bool, error) {
		done := true
		for s, before := range died {
			switch {
			case s.status.Restarts != before:
				return false, fault.Text(fault.Lost, "", "", s.status.Reason)
			case s.taken < number:
				done = false
			case s.refused != "":
				return false, s.fault(fault.Invalid, errors.New(s.refused))
			}
		}
		return done, nil
	})
}

// orderLocked lets the processes that serve, and those that come, have settings, and returns their number.
func (k *Keeper) orderLocked(g *generation, value json.RawMessage) uint64 {
	k.orders++
	g.settings = settings{k.orders, value}
	for _, s := range k.serving {
		select {
		case <-s.orders: // nobody has heard it, and it is old
		default:
		}
		s.orders <- g.settings
	}
	return k.orders
}

// takeSettings passes settings on, unless the process began with them.
func (l *life) takeSettings(o settings) {
	k := l.s.k
	k.mu.Lock()
	has := l.s.taken >= o.number
	k.mu.Unlock()
	if l.conn != nil && !has {
		l.say(wire.ToProcess{Settings: &wire.Settings{Number: o.number, Value: o.value}})
	}
}

// tookLocked notes an answer, unless newer settings were ordered meanwhile.
func (s *slot) tookLocked(t *wire.Took) {
	if t.Number == s.gen.settings.number {
		s.taken, s.refused = t.Number, shown([]byte(t.Reason))
	}
}
