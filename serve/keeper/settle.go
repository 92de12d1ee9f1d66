package keeper

import (
	"context"
	"fmt"
	"slices"

	"github.com/universal-server/become/ground/fault"
)

// goBack gives the processes their settings from before a change that failed, and lets what was on trial go on being so. It returns why
// the change failed, with what became of those that do not take the old settings. When ctx has ended or another operation waits, it
// does not wait for them.
func (k *Keeper) goBack(ctx context.Context, c change, why error) error {
	k.mu.Lock()
	k.owed = k.orderLocked(c.g, c.was)
	number := k.owed
	k.mu.Unlock()
	said, err := k.settle(ctx, c.g, k.isAwaited)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.resumeLocked(c.before)
	if err != nil {
		k.settleLaterLocked(c.g, number)
		return why
	}
	if k.owed = 0; said != "" {
		return fmt.Errorf("%w; of the settings before: %s", why, said)
	}
	return why
}

func (k *Keeper) isAwaited() bool { return k.waiting > 0 }

// settle waits until the processes that serve have the settings that were ordered last, and replaces those that have not taken them
// within StartWithin. said tells of these, "" if there are none. The error is that of ctx, or that it was cut short: cut, which is
// called with mu held, says when. The caller has begun an operation.
func (k *Keeper) settle(ctx context.Context, g *generation, cut func() bool) (said string, err error) {
	within, cancel := context.WithTimeout(ctx, k.opts.StartWithin)
	defer cancel()
	var without []*slot
	err = k.until(within, func() (bool, error) {
		waiting := false
		without = nil
		for _, s := range k.serving {
			if s.hasLocked() && s.refused == "" {
				continue
			}
			without = append(without, s)
			waiting = waiting || !s.hasLocked()
		}
		if waiting && cut() {
			return false, fault.Text(fault.Busy, "", "", "another operation waits")
		}
		return !waiting, nil
	})
	if err != nil && (ctx.Err() != nil || fault.KindOf(err) != fault.Deadline) {
		return "", err
	}
	return k.replaceAll(ctx, without)
}

// replaceAll replaces processes that did not take settings by such as begin with them, and tells of it. The first that cannot be replaced
// ends it: it serves on, as do the rest.
func (k *Keeper) replaceAll(ctx context.Context, all []*slot) (said string, err error) {
	for n, s := range all {
		k.mu.Lock()
		why, i := s.refused, slices.Index(k.serving, s)
		k.mu.Unlock()
		if why == "" {
			why = "no answer within " + k.opts.StartWithin.String()
		}
		err := k.replace(ctx, i)
		if ctx.Err() != nil {
			return "", err
		}
		k.opts.Logger.Warn("a process does not take settings back", "generation", s.gen.number, "process", s.status.Number, "reason", why, "err", err)
		if err != nil {
			return fmt.Sprintf("process %d does not take them (%s) and serves on without, for it cannot be replaced: %v", s.status.Number, why, err), nil
		}
		if n == 0 {
			said = fmt.Sprintf("process %d did not take them (%s) and was replaced", s.status.Number, why)
		}
	}
	if len(all) > 1 {
		said += fmt.Sprintf(", and so were %d more", len(all)-1)
	}
	return said, nil
}

// settleLaterLocked does what an operation had no time for.
func (k *Keeper) settleLaterLocked(g *generation, number uint64) {
	if k.closed {
		return
	}
	k.wg.Go(func() {
		for over := false; !over; {
			end, err := k.begin(k.open, "take settings back")
			if err != nil {
				return
			}
			over = k.settleOwed(g, number)
			end()
		}
	})
}

// settleOwed sees to it that the processes have the settings of a number; false when another operation is to go first.
func (k *Keeper) settleOwed(g *generation, number uint64) (over bool) {
	k.mu.Lock()
	stale := k.current != g || g.settings.number != number
	k.mu.Unlock()
	if stale {
		return true
	}
	said, err := k.settle(k.open, g, k.isAwaited)
	if err != nil {
		return k.open.Err() != nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.owed = 0; said != "" {
		k.report = "of the settings before: " + said
	}
	k.changeLocked()
	return true
}

// hasLocked says whether the process has heard of the settings of its generation: it has answered, or began with them; or there is
// none, and the next will.
func (s *slot) hasLocked() bool { return !s.begun || s.taken >= s.gen.settings.number }
