package keeper

import (
	"context"
	"strconv"

	"github.com/universal-server/become/ground/fault"
)

// Scale changes the number of processes. It returns when the new ones are ready; those that
// are too many have been told to drain. When new ones fail it says why, and goes on trying.
// While paused it only notes the number. fault.NotFound before the first Deploy.
func (k *Keeper) Scale(ctx context.Context, procs int) error {
	const op = "scale"
	if err := checkProcs(op, procs); err != nil {
		return err
	}
	end, err := k.operate(ctx, op)
	if err != nil {
		return err
	}
	defer end()
	k.mu.Lock()
	k.procs, k.current.procs = procs, procs
	k.changeLocked()
	if k.paused {
		k.mu.Unlock()
		return nil
	}
	n := len(k.serving)
	stopAll(k.serving[min(n, procs):])
	k.serving = k.serving[:min(n, procs):min(n, procs)]
	k.shareLocked()
	k.mu.Unlock()
	return k.add(ctx, op, n+1, procs)
}

// Restart replaces the processes by new ones of the same version, one after another, each told
// to drain when its successor is ready. The first successor that fails ends it:
// its predecessor and the rest serve on. A certificate is loaded again before. fault.Conflict while paused.
func (k *Keeper) Restart(ctx context.Context) error {
	const op = "restart"
	end, err := k.operate(ctx, op)
	if err != nil {
		return err
	}
	defer end()
	k.mu.Lock()
	paused, n := k.paused, len(k.serving)
	k.mu.Unlock()
	if paused {
		return fault.Text(fault.Conflict, op, "", "the service is paused").WithHint("resume it first")
	}
	if err := k.renewCertificate(); err != nil {
		return fault.New(fault.KindOf(err), op, "", err)
	}
	for i := range n {
		if err := k.replace(ctx, i); err != nil {
			return fault.New(fault.KindOf(err), op, "process "+strconv.Itoa(i+1), err)
		}
	}
	return nil
}

func (k *Keeper) replace(ctx context.Context, i int) error {
	k.mu.Lock()
	t, done := k.trialLocked()
	next := k.startLocked(k.current, t, i+1, i+1)
	k.mu.Unlock()
	defer done()
	var old *slot
	err := k.until(ctx, func() (bool, error) {
		ok, err := readyLocked(next, t)
		if !ok || err != nil {
			return false, err
		}
		old, k.serving[i] = k.serving[i], next[0]
		return true, nil
	})
	if err != nil {
		stopAll(next)
		return err
	}
	old.stop()
	return nil
}

// Pause drains all processes and starts none until Resume. It returns when they have
// left: nobody accepts then, and connects wait. When ctx ends before, it is paused nevertheless.
// A generation that is paused has stood its probation.
func (k *Keeper) Pause(ctx context.Context) error {
	const op = "pause"
	end, err := k.operate(ctx, op)
	if err != nil {
		return err
	}
	defer end()
	k.mu.Lock()
	k.paused, k.current.trial.over = true, true
	stopAll(k.serving)
	k.serving = nil
	k.changeLocked()
	k.mu.Unlock()
	err = k.until(ctx, func() (bool, error) { return len(k.slots) == 0, nil })
	if err != nil {
		return fault.New(fault.KindOf(err), op, "", err)
	}
	return nil
}

// Resume starts the processes again after a Pause and returns when they are ready. When they
// fail it says why, and goes on trying.
func (k *Keeper) Resume(ctx context.Context) error {
	const op = "resume"
	end, err := k.operate(ctx, op)
	if err != nil {
		return err
	}
	defer end()
	k.mu.Lock()
	was, procs := k.paused, k.procs
	k.paused = false
	k.mu.Unlock()
	if !was {
		return nil
	}
	return k.add(ctx, op, 1, procs)
}

// add starts processes of the current generation and waits until they are ready.
func (k *Keeper) add(ctx context.Context, op string, first, last int) error {
	k.mu.Lock()
	t, done := k.trialLocked()
	added := k.startLocked(k.current, t, first, last)
	k.serving = append(k.serving, added...)
	k.mu.Unlock()
	defer done()
	if err := k.until(ctx, func() (bool, error) { return readyLocked(added, t) }); err != nil {
		return fault.New(fault.KindOf(err), op, "", err)
	}
	return nil
}

// operate begins an operation on the current generation.
func (k *Keeper) operate(ctx context.Context, op string) (end func(), err error) {
	end, err = k.begin(ctx, op)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	nothing := k.current == nil
	k.mu.Unlock()
	if nothing {
		end()
		return nil, fault.Text(fault.NotFound, op, "", "no program is deployed")
	}
	return end, nil
}

// trialLocked returns the trial of the current generation for more of its processes, or
// while there is none one that lasts until done.
func (k *Keeper) trialLocked() (t *trial, done func()) {
	if t := k.current.trial; !t.over {
		return t, func() {}
	}
	t = &trial{most: k.opts.MaxDeaths}
	return t, func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		t.over = true
	}
}
