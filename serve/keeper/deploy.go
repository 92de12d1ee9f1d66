package keeper

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/universal-server/become/ground/fault"
)

// Deploy starts procs processes of the program as a new generation, and when all of them are
// ready tells those of the old one to drain; it does not wait until they have left. It
// fails, and the old generation serves on, when a process cannot become ready or ctx
// ends. The new generation is on probation then, see Status.
//
// Errors: fault.Invalid for a program that cannot be one, fault.Conflict while paused, fault.Remote
// when the program says why it cannot serve, fault.Lost when its processes die, fault.Deadline when one
// is not ready in time, those of process.Start, and those of ctx.
func (k *Keeper) Deploy(ctx context.Context, p Program, procs int) error {
	const op = "deploy program"
	if err := p.check(); err != nil {
		return fault.New(fault.Invalid, op, p.Path, err)
	}
	if err := checkProcs(op, procs); err != nil {
		return err
	}
	end, err := k.begin(ctx, op)
	if err != nil {
		return err
	}
	defer end()
	p = p.clone()
	g, before, err := k.swap(ctx, p, procs)
	if err != nil {
		k.tell(err)
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.report = ""
	if before != nil {
		k.history = append(k.history, before.nowLocked())
		if extra := len(k.history) - historyKept; extra > 0 {
			k.history = k.history[extra:]
		}
	}
	if !k.closed {
		k.watchLocked(&probation{g, before, time.Now().Add(k.probation(g))})
	}
	return nil
}

// probation is the time in which a generation can still be undone.
type probation struct {
	g, before *generation // before is nil for the first one
	until     time.Time
}

// probation is how long a generation, or its settings, are watched.
func (k *Keeper) probation(g *generation) time.Duration {
	return cmp.Or(g.program.Probation, k.opts.Probation)
}

func (k *Keeper) watchLocked(p *probation) {
	k.watched = p
	k.wg.Go(func() { k.watch(p) })
}

func checkProcs(op string, n int) error {
	if n < 1 || n > MaxProcs {
		return fault.Text(fault.Invalid, op, "", fmt.Sprintf("%d processes, must be 1 to %d", n, MaxProcs))
	}
	return nil
}

// Rollback deploys the program that stood before the current one, with as many processes
// as now. There is no probation: who rolls back knows what he does. fault.NotFound when there
// is none; else the errors of Deploy.
func (k *Keeper) Rollback(ctx context.Context) error {
	const op = "roll back"
	end, err := k.begin(ctx, op)
	if err != nil {
		return err
	}
	defer end()
	k.mu.Lock()
	n, procs := len(k.history), k.procs
	var p Program
	if n > 0 {
		p = k.history[n-1]
	}
	k.mu.Unlock()
	if n == 0 {
		return fault.Text(fault.NotFound, op, "", "there is no program to go back to")
	}
	p.Certificate = reloaded(p.Certificate)
	g, _, err := k.swap(ctx, p, procs)
	if err != nil {
		k.tell(err)
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	g.trial.over = true
	k.report, k.history = "", k.history[:n-1]
	k.changeLocked()
	return nil
}

// swap puts a program in the place of the current generation, which it returns too, or leaves
// everything as it was. The caller has begun an operation.
func (k *Keeper) swap(ctx context.Context, p Program, procs int) (g, before *generation, err error) {
	t := &trial{most: k.opts.MaxDeaths}
	k.mu.Lock()
	if k.paused {
		k.mu.Unlock()
		return nil, nil, fault.Text(fault.Conflict, "deploy program", p.Path, "the service is paused").
			WithHint("resume it first")
	}
	k.last++
	g = &generation{number: k.last, program: p, certificate: p.Certificate, settings: settings{0, p.Settings}, trial: t, procs: procs}
	slots := k.startLocked(g, t, 1, procs)
	k.mu.Unlock()
	k.opts.Logger.Info("deploying", "generation", g.number, "program", p.Path, "procs", procs)

	var old []*slot
	err = k.until(ctx, func() (bool, error) {
		ok, err := readyLocked(slots, t)
		if !ok || err != nil {
			return false, err
		}
		before, old = k.current, k.serving
		k.current, k.serving, k.procs = g, slots, procs
		if before != nil {
			before.trial.over = true
		}
		k.changeLocked()
		return true, nil
	})
	if err != nil {
		stopAll(slots)
		return nil, nil, fault.New(fault.KindOf(err), "deploy generation", strconv.FormatUint(g.number, 10), err)
	}
	stopAll(old)
	k.opts.Logger.Info("deployed", "generation", g.number)
	return g, before, nil
}

// tell keeps a reason for Status, and logs it.
func (k *Keeper) tell(err error) {
	k.opts.Logger.Error("a new version did not last", "err", err)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.report = err.Error()
	k.changeLocked()
}

// watch follows the probation of a generation and goes back to the one before if it fails.
func (k *Keeper) watch(p *probation) {
	g, before := p.g, p.before
	ctx, cancel := context.WithDeadline(k.open, p.until)
	defer cancel()
	var failed error
	k.until(ctx, func() (bool, error) {
		failed = g.trial.err
		return g.trial.over || failed != nil, nil
	})
	if failed != nil {
		failed = fault.New(fault.KindOf(failed), "keep generation", strconv.FormatUint(g.number, 10),
			fmt.Errorf("it did not stand its probation: %w", failed))
		k.tell(failed)
		if before != nil {
			k.undo(g, before, failed)
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	g.trial.over = true
	if k.watched == p {
		k.watched = nil
	}
	k.changeLocked()
}

// undo starts the program of a generation again, unless somebody has
// deployed yet another in the meantime.
func (k *Keeper) undo(g, before *generation, why error) {
	end, err := k.begin(k.open, "roll back")
	if err != nil {
		return
	}
	defer end()
	k.mu.Lock()
	stale, procs, p := k.current != g || k.paused, k.procs, before.nowLocked()
	k.mu.Unlock()
	if stale {
		return
	}
	p.Certificate = reloaded(p.Certificate)
	now, _, err := k.swap(k.open, p, procs)
	if err != nil {
		k.tell(fmt.Errorf("%w; and the program before cannot come back: %v", why, err))
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	now.trial.over = true
	if n := len(k.history); n > 0 {
		k.history = k.history[:n-1]
	}
	k.report = fmt.Sprintf("%v; the program of generation %d is back as generation %d", why, before.number, now.number)
	k.changeLocked()
}
