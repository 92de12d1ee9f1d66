package keeper

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/process"
	"github.com/universal-server/become/ground/reexec"
	"github.com/universal-server/become/serve/wire"
)

// standstill is a time in which all slots stand still, so that another program can go on
// with them.
type standstill struct {
	begun chan struct{} // closed when they shall stand still
	over  chan struct{} // closed when they go on

	// Set before begun is closed:
	ctx context.Context // how long they may take to stand still
	out *reexec.Out

	err error // why it cannot be; guarded by the keeper's mu
}

func newStandstill() *standstill {
	return &standstill{begun: make(chan struct{}), over: make(chan struct{})}
}

func (h *standstill) isBegun() bool {
	select {
	case <-h.begun:
		return true
	default:
		return false
	}
}

// still is what a slot says that stands still: what its process is, or how long it pauses.
type still struct {
	life  *life
	child process.State
	pause time.Duration
}

func (k *Keeper) nextStandstill() *standstill {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.standstill
}

// Handover prepares everything for the program that replaces this one, see package reexec: it returns
// what Adopt needs there. The processes serve on, and nobody looks after them until Adopt or
// TakeBack, one of which has to follow. Operations wait.
//
// Who hands connections over to the processes, see Seats, should have stopped: connections that a process
// has not taken when ctx ends are lost if it dies before it does.
//
// It waits for the operation under way and for processes that are starting or ending. Errors, after which all
// goes on as before: fault.Busy when ctx ends before that, with what was waited for;
// fault.Conflict when it is handed over already, those of process.Handover, fault.Canceled after Close.
func (k *Keeper) Handover(ctx context.Context, out *reexec.Out) (*Handover, error) {
	const op = "hand over"
	if k.nextStandstill().isBegun() {
		return nil, fault.Text(fault.Conflict, op, "", "it is handed over already")
	}
	if _, err := k.begin(ctx, op); err != nil {
		if doing := k.now(); doing != "" && ctx.Err() != nil {
			err = fault.Text(fault.Busy, op, "", "this is still under way: "+doing)
		}
		return nil, err
	}
	h := k.nextStandstill()
	h.ctx, h.out = ctx, out
	close(h.begun)
	err := k.until(ctx, func() (bool, error) { return k.stillLocked(), h.err })
	if err != nil {
		if ctx.Err() != nil {
			err = k.whoMoves(err)
		}
		k.TakeBack()
		return nil, fault.New(fault.KindOf(err), op, "", err)
	}
	return k.state(out), nil
}

// TakeBack undoes a Handover.
func (k *Keeper) TakeBack() {
	k.mu.Lock()
	h := k.standstill
	if !h.isBegun() {
		k.mu.Unlock()
		return
	}
	k.standstill = newStandstill()
	for s := range k.slots {
		s.still = nil // at once: the next handover is not to see that of this one
	}
	k.mu.Unlock()
	close(h.over)
	k.does("")
	<-k.ops
}

// now is the operation under way.
func (k *Keeper) now() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.doing
}

// stillLocked reports whether all slots stand still.
func (k *Keeper) stillLocked() bool {
	for s := range k.slots {
		if s.still == nil {
			return false
		}
	}
	return true
}

// whoMoves says who did not stand still in time.
func (k *Keeper) whoMoves(err error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for s := range k.slots {
		if s.still == nil {
			return fault.Text(fault.Busy, "", "", fmt.Sprintf("process %d of generation %d is still busy: %s", s.status.Number, s.status.Generation, s.status.State))
		}
	}
	return err
}

// fail lets a handover end.
func (s *slot) fail(h *standstill, err error) {
	s.k.mu.Lock()
	defer s.k.mu.Unlock()
	if h.err == nil {
		h.err = s.fault(fault.KindOf(err), err)
	}
	s.k.changeLocked()
}

// standStill returns when the handover is over.
func (s *slot) standStill(h *standstill, at *still) {
	s.setStill(at)
	select {
	case <-h.over:
	case <-s.k.alive.Done():
	}
	s.setStill(nil)
}

func (s *slot) setStill(at *still) {
	s.k.mu.Lock()
	defer s.k.mu.Unlock()
	s.still = at
	s.k.changeLocked()
}

// standStill returns when the handover is over; false when this process cannot be handed over: it is ending,
// or the handover has failed.
func (l *life) standStill(h *standstill) bool {
	child, err := l.quiet(h)
	if err != nil {
		if fault.KindOf(err) != fault.Lost {
			l.s.fail(h, err)
		}
		l.resume()
		return false
	}
	l.s.standStill(h, &still{life: l, child: child})
	l.child.TakeBack()
	l.resume()
	return true
}

// quiet lets nothing more come from the process, nor go to it.
func (l *life) quiet(h *standstill) (process.State, error) {
	l.passOn()
	sent := make(chan struct{})
	l.talk.Go(func() {
		defer close(sent)
		l.sends.Wait()
	})
	select {
	case <-sent:
	case <-h.ctx.Done():
		return process.State{}, fault.Text(fault.Busy, "", "", "it does not read what it is told")
	}
	if !l.silent {
		l.child.Control().SetReadDeadline(time.Unix(1, 0))
		for m := range l.heard {
			l.hearOrNot(m, true)
		}
		l.listens = false
		if !errors.Is(l.silence, os.ErrDeadlineExceeded) {
			l.hearOrNot(wire.FromProcess{}, false)
		}
	}
	if err := l.seats.freeze(h.ctx, h.out); err != nil {
		return process.State{}, err
	}
	return l.child.Handover(h.ctx, h.out)
}

// passOn tells the process what waits for it: the next program knows nothing of it.
func (l *life) passOn() {
	for {
		select {
		case n := <-l.s.share:
			l.takeShare(n)
		case to := <-l.s.log:
			l.takeLog(to)
		case o := <-l.s.orders:
			l.takeSettings(o)
		default:
			return
		}
	}
}

// resume hears the process again, and lets connections come to it.
func (l *life) resume() {
	l.thaw()
	if !l.silent && !l.listens {
		l.child.Control().SetReadDeadline(time.Time{})
		l.listen()
	}
}
