package keeper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/line"
	"github.com/universal-server/become/ground/process"
	"github.com/universal-server/become/ground/reexec"
	"github.com/universal-server/become/serve/wire"
)

// Adopt returns the keeper that the program before has handed over. Its processes serve as if nothing had been;
// one that has died in between is replaced. Sockets are files of in, for the caller to close after Close, as those
// given to New.
//
// Errors: fault.Invalid for a state of another version, fault.NotFound when a file is missing. All
// processes are killed then.
func Adopt(st *Handover, in *reexec.In, opts *Options) (*Keeper, error) {
	k, err := New(nil, opts)
	if err != nil {
		return nil, err
	}
	r := &reading{Handover: st, in: in, k: k, gens: map[uint64]*generation{}}
	if err := r.all(); err != nil {
		now, cancel := context.WithCancel(context.Background())
		cancel()
		k.Close(now)
		return nil, fault.New(fault.KindOf(err), "adopt processes", "", err)
	}
	return k, nil
}

// reading is a state that is being read.
type reading struct {
	*Handover
	in   *reexec.In
	k    *Keeper
	open []Socket
	gens map[uint64]*generation
}

func (r *reading) all() error {
	if r.Handover == nil {
		return fault.Text(fault.Invalid, "", "", "there is no state")
	}
	if err := r.check(); err != nil {
		return err
	}
	for _, s := range r.Sockets {
		one := Socket{Socket: s.Socket}
		if s.File != 0 {
			var err error
			if one.File, err = r.in.File(s.File); err != nil {
				return err
			}
		}
		r.open = append(r.open, one)
	}
	slots, err := r.slots()
	if err == nil {
		err = r.keeper()
	}
	r.k.mu.Lock()
	defer r.k.mu.Unlock()
	for _, s := range slots { // those too that have to be killed
		r.k.slots[s] = struct{}{}
		r.k.wg.Go(s.run)
	}
	if err == nil {
		err = r.serving(slots)
	}
	if err == nil {
		err = r.probation()
	}
	if t := r.trying(r.Trying); err == nil && t != nil {
		r.k.watchTryingLocked(t)
	}
	if err == nil && r.Owed && r.k.current != nil {
		r.k.owed = r.k.orderLocked(r.k.current, r.k.current.settings.value)
		r.k.settleLaterLocked(r.k.current, r.k.owed)
	}
	return err
}

func (r *reading) trying(st *tryingState) *trying {
	if st == nil || r.k.current == nil {
		return nil
	}
	t := &trying{g: r.k.current, was: st.Was, before: r.trying(st.Before), until: st.Until}
	t.trial = trial{most: r.k.opts.MaxDeaths, deaths: st.Deaths, err: unmarshal(st.Err)}
	if string(t.was) == "null" { // as JSON has none
		t.was = nil
	}
	return t
}

// keeper reads what belongs to no slot.
func (r *reading) keeper() (err error) {
	k := r.k
	k.last, k.procs, k.paused, k.report = r.Last, r.Procs, r.Paused, r.Report
	k.orders, k.undone, k.logLevel = r.Orders, r.Undone, r.LogLevel
	for _, text := range r.Unproven {
		k.unproven = append(k.unproven, errors.New(text))
	}
	if k.sockets, err = r.sockets(r.Default); err != nil {
		return err
	}
	for _, s := range r.History {
		p, err := r.program(s)
		if err != nil {
			return err
		}
		k.history = append(k.history, p)
	}
	if r.Current != 0 {
		k.current, err = r.generation(r.Current)
	}
	return err
}

func (r *reading) sockets(places []int) (all []Socket, err error) {
	for _, place := range places {
		if place < 0 || place >= len(r.open) {
			return nil, fault.Text(fault.Invalid, "", "", fmt.Sprintf("there is no socket %d", place))
		}
		all = append(all, r.open[place])
	}
	return all, nil
}

func (r *reading) program(s programState) (Program, error) {
	p, err := s.Program, error(nil)
	if string(p.Settings) == "null" { // as JSON has none
		p.Settings = nil
	}
	p.Sockets, err = r.sockets(s.Sockets)
	return p, err
}

// generation returns the one of a number, the same for all who ask.
func (r *reading) generation(number uint64) (*generation, error) {
	if g := r.gens[number]; g != nil {
		return g, nil
	}
	i := slices.IndexFunc(r.Generations, func(s generationState) bool { return s.Number == number })
	if i < 0 {
		return nil, fault.Text(fault.Invalid, "", "", fmt.Sprintf("there is no generation %d", number))
	}
	s := r.Generations[i]
	p, err := r.program(s.Program)
	if err != nil {
		return nil, err
	}
	t := &trial{most: s.Trial.Most, deaths: s.Trial.Deaths, over: s.Trial.Over, err: unmarshal(s.Trial.Err)}
	g := &generation{number: number, program: p, certificate: p.Certificate, settings: settings{0, p.Settings}, trial: t}
	r.gens[number] = g
	return g, nil
}

// slots returns those that it could read, in case of an error too.
func (r *reading) slots() (all []*slot, err error) {
	for _, st := range r.Slots {
		s, serr := r.slot(st)
		if serr != nil {
			err = serr
			continue
		}
		all = append(all, s)
	}
	return all, err
}

func (r *reading) slot(st slotState) (*slot, error) {
	g, err := r.generation(st.Generation)
	if err != nil {
		return nil, err
	}
	t := g.trial
	if !st.Trial { // an operation's, which has ended
		t = &trial{over: true}
	}
	s := newSlot(r.k, g, t, st.Status.Number)
	s.status = st.Status
	s.crashes = crashes{all: st.All, early: st.Early, failed: st.Failed}
	s.next.pause = st.Pause
	if st.Stopped {
		s.stop()
	}
	if st.Life == nil {
		return s, nil
	}
	s.next.life, err = r.life(s, st.Life)
	if fault.KindOf(err) == fault.Lost {
		s.next.lost, err = &end{told: st.Life.Told, err: s.fault(fault.Lost, err)}, nil
	}
	return s, err
}

// life goes on with a process.
func (r *reading) life(s *slot, st *lifeState) (*life, error) {
	l := newLife(s)
	for _, held := range []struct {
		w    io.Writer
		rest []byte
	}{{l.stdout, st.Stdout}, {l.stderr, st.Stderr}} {
		if held.w != nil && len(held.rest) > 0 {
			held.w.Write(held.rest)
		}
	}
	l.words.tail, l.words.headline = st.Words, st.Headline
	l.ready, l.silent = st.Ready, st.Silent
	l.late, l.deadline = alarmAt(st.Late), alarmAt(st.Deadline)
	l.end = end{told: st.Told, err: unmarshal(st.Err), hopeless: st.Hopeless}
	var stdout io.Writer
	if l.stdout != nil {
		stdout = l.stdout
	}
	s.begun = true
	child, err := process.Adopt(st.Child, r.in, stdout, l.words)
	if err != nil {
		closeAll(l.stdout, l.stderr)
		return nil, err
	}
	l.child, l.started, s.gen.held = child, s.status.Started, child.Held()
	l.seats = r.seats(st.Seats)
	s.senders = l.seats.senders
	nc := child.Control()
	if nc != nil {
		l.conn = line.New(nc, &line.Options{Received: st.Received})
	}
	if nc == nil || l.silent {
		l.silent = true
		heard := make(chan wire.FromProcess)
		close(heard)
		l.heard = heard
	} else {
		l.listen()
	}
	return l, nil
}

// serving puts the slots that serve in their order.
func (r *reading) serving(slots []*slot) error {
	places := map[int]*slot{}
	for i, st := range r.Slots {
		if st.Serving > 0 {
			places[st.Serving] = slots[i]
		}
	}
	for i := range len(places) {
		s := places[i+1]
		if s == nil {
			return fault.Text(fault.Invalid, "", "", fmt.Sprintf("process %d of those that serve is missing", i+1))
		}
		r.k.serving = append(r.k.serving, s)
	}
	return nil
}

func (r *reading) probation() error {
	st := r.Probation
	if st == nil {
		return nil
	}
	p := &probation{until: st.Until}
	var err error
	if p.g, err = r.generation(st.Generation); err != nil {
		return err
	}
	if st.Before != 0 {
		if p.before, err = r.generation(st.Before); err != nil {
			return err
		}
	}
	r.k.watchLocked(p)
	return nil
}
