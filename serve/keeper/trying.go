package keeper

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// trying is the time in which settings that processes took while they run can still be taken back.
type trying struct {
	g      *generation
	was    json.RawMessage // the settings before
	before *trying         // what was on trial when they came; nil for none
	trial  trial
	until  time.Time
}

// left is what of it has time left. Why not all? Who changes settings all the time would gather more and more.
func (t *trying) left(now time.Time) *trying {
	if t == nil || t.trial.err == nil && !now.Before(t.until) {
		return nil
	}
	t.before = t.before.left(now)
	return t
}

// tryLocked begins it.
func (k *Keeper) tryLocked(t *trying) {
	if k.closed {
		return
	}
	t.trial, t.until = trial{most: k.opts.MaxDeaths}, time.Now().Add(k.probation(t.g))
	k.watchTryingLocked(t)
}

// resumeLocked lets one that was interrupted go on to its own end.
func (k *Keeper) resumeLocked(t *trying) {
	if t = t.left(time.Now()); t == nil || k.closed {
		return
	}
	again := *t // who watched it may not have seen yet that it was interrupted
	k.watchTryingLocked(&again)
}

func (k *Keeper) watchTryingLocked(t *trying) {
	k.trying = t
	k.changeLocked()
	k.wg.Go(func() { k.watchTrying(t) })
}

// watchTrying takes the settings back when their processes do not last.
func (k *Keeper) watchTrying(t *trying) {
	ctx, cancel := context.WithDeadline(k.open, t.until)
	defer cancel()
	var failed error
	k.until(ctx, func() (bool, error) {
		failed = t.trial.err
		return failed != nil || k.trying != t || k.current != t.g || k.paused, nil
	})
	if failed != nil {
		k.unsettle(t, failed)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.trying == t {
		k.trying = nil
		k.changeLocked()
	}
}

// unsettle gives back the settings before, unless somebody has changed them, or deployed something, in the meantime.
func (k *Keeper) unsettle(t *trying, why error) {
	end, err := k.begin(k.open, "take settings back")
	if err != nil {
		return
	}
	defer end()
	k.mu.Lock()
	if k.trying != t || k.current != t.g {
		k.mu.Unlock()
		return
	}
	k.report = fmt.Sprintf("the settings did not stand their probation: %v", why)
	k.opts.Logger.Error("settings did not last", "generation", t.g.number, "err", why)
	k.orderLocked(t.g, t.was)
	k.changeLocked()
	k.mu.Unlock()
	said, err := k.settle(k.open, t.g, func() bool { return false })
	if err != nil { // the keeper closes
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.undone++
	k.report += "; those before are back"
	if said != "" {
		k.report += ": " + said
	}
	if k.trying = nil; t.before != nil {
		before := *t.before
		k.tryLocked(&before)
	}
	k.changeLocked()
}

// diedLocked counts a death for what is on trial: settings before the program that has them. A process that had not taken its
// settings yet proves nothing, and those that have failed already are not to blame for who comes after.
func (s *slot) diedLocked(e end) {
	t := s.k.trying
	switch {
	case !s.hasLocked():
	case t != nil && t.g == s.gen && t.trial.err == nil:
		t.trial.diedLocked(e.err, e.hopeless)
	default:
		s.trial.diedLocked(e.err, e.hopeless)
	}
}
