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

// Configure gives the processes that serve other settings while they run, and returns when all have taken them. Those that are started
// later have them too. When one refuses them, or fails, all get the old ones again. The settings are on probation then, as a new generation
// is: when more than MaxDeaths processes die in that time all get the old ones again, Status.Report says why and Status.Undone counts it.
//
// Errors: fault.Invalid with the reason when a process refuses the settings, fault.Conflict when they do not take any while
// they run, see Status.Live, fault.Lost when one dies, fault.Deadline when one does not answer within StartWithin,
// fault.NotFound before the first Deploy, and those of ctx.
func (k *Keeper) Configure(ctx context.Context, value json.RawMessage) error {
	const op = "configure"
	if len(value) > maxSettings || len(value) > 0 && !json.Valid(value) {
		return fault.Text(fault.Invalid, op, "", fmt.Sprintf("the settings are not JSON of at most %d bytes", maxSettings))
	}
	end, err := k.operate(ctx, op)
	if err != nil {
		return err
	}
	defer end()
	k.mu.Lock()
	live, g := k.liveLocked(), k.current
	was := g.settings.value
	k.mu.Unlock()
	if !live {
		return fault.Text(fault.Conflict, op, "", "not all processes take settings while they run").WithHint("deploy it with the settings")
	}
	k.mu.Lock()
	before := k.trying // they stand no probation any more, or stand it again
	k.trying = nil
	k.mu.Unlock()
	err = k.order(ctx, g, value)
	k.mu.Lock()
	if err == nil {
		k.report = ""
		k.tryLocked(&trying{g: g, was: was, before: before.left(time.Now())})
	} else if before != nil {
		k.tryLocked(before)
	}
	k.mu.Unlock()
	if err == nil {
		return nil
	}
	if back := k.order(k.open, g, was); back != nil {
		k.opts.Logger.Warn("not all processes have their old settings again", "err", back)
	}
	return fault.New(fault.KindOf(err), op, "", err)
}

// order lets the processes that serve have settings, and waits until each has said what it thinks of them.
func (k *Keeper) order(ctx context.Context, g *generation, value json.RawMessage) error {
	ctx, cancel := context.WithTimeout(ctx, k.opts.StartWithin)
	defer cancel()
	k.mu.Lock()
	k.orderLocked(g, value)
	number, died := k.orders, map[*slot]int{}
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

// orderLocked lets the processes that serve, and those that come, have settings.
func (k *Keeper) orderLocked(g *generation, value json.RawMessage) {
	k.orders++
	g.settings = settings{k.orders, value}
	for _, s := range k.serving {
		select {
		case <-s.orders: // nobody has heard it, and it is old
		default:
		}
		s.orders <- g.settings
	}
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
