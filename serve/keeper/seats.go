package keeper

import (
	"context"
	"os"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/reexec"
	"github.com/universal-server/become/serve/handoff"
	"github.com/universal-server/become/serve/wire"
)

// Seats are the processes that connections of the socket at an address shall be handed over to
// now, by their number: those of the version that serves which are ready. None when it does not ask for
// that, see wire.Socket. Changed tells when they may be others.
func (k *Keeper) Seats(network, addr string) []handoff.Seat {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.current == nil {
		return nil
	}
	for i, s := range k.socketsOf(k.current.program) {
		if s.Network == network && s.Addr == addr && s.Route != "" {
			return k.seatsLocked(i, s.Route)
		}
	}
	return nil
}

func (k *Keeper) seatsLocked(socket int, route string) (all []handoff.Seat) {
	for _, s := range k.serving {
		// One that has lost its pair is about to end.
		if s.status.State == Ready && socket < len(s.senders) && s.senders[socket] != nil {
			all = append(all, handoff.Seat{Number: s.status.Number, Route: route, Sender: s.senders[socket]})
		}
	}
	return all
}

// seats are what one process inherits: sockets, and ends of pairs in the place of those whose
// connections are handed over to it.
type seats struct {
	files   []*os.File
	sockets []wire.Socket
	senders []*handoff.Sender // in the order of the sockets; nil for those that it shares
	own     []*os.File        // to be closed when the process has started
	frozen  frozenSeats       // during a handover
}

func newSeats(sockets []Socket) (*seats, error) {
	s := &seats{senders: make([]*handoff.Sender, len(sockets))}
	for i, one := range sockets {
		file := one.File
		if one.Route != "" {
			var err error
			if s.senders[i], file, err = handoff.New(); err != nil {
				s.started()
				s.finish()
				return nil, err
			}
			s.own = append(s.own, file)
		}
		s.files, s.sockets = append(s.files, file), append(s.sockets, one.Socket)
	}
	return s, nil
}

// started closes what only the process needs.
func (s *seats) started() {
	for _, f := range s.own {
		f.Close()
	}
}

// finish hears the last of a process that is gone.
func (s *seats) finish() {
	for _, sender := range s.senders {
		if sender != nil {
			sender.Finish(hearWithin)
		}
	}
}

// frozenSeats are pairs that go on with another sender, by socket; nil for those that do not.
type frozenSeats []*frozenSeat

type frozenSeat struct {
	file *os.File
	seatState
}

type seatState struct {
	File int `json:"file,omitempty"` // 0 for none
	handoff.State
}

// freeze lets nothing more be sent to the process. An error when it does not take what was sent.
func (s *seats) freeze(ctx context.Context, out *reexec.Out) error {
	s.frozen = make(frozenSeats, len(s.senders))
	for i, sender := range s.senders {
		if sender == nil {
			continue
		}
		file, st, err := sender.Freeze(ctx)
		if fault.KindOf(err) == fault.Lost && err != nil { // it drains, or ends
			continue
		}
		if err != nil {
			return err
		}
		f := &frozenSeat{file: file, seatState: seatState{State: st}}
		s.frozen[i] = f
		if f.File, err = out.Add(file); err != nil {
			return err
		}
	}
	return nil
}

// states are what is written down.
func (all frozenSeats) states() []seatState {
	states := make([]seatState, len(all))
	for i, f := range all {
		if f != nil {
			states[i] = f.seatState
		}
	}
	return states
}

// thaw undoes a freeze.
func (l *life) thaw() {
	s := l.seats
	next := make([]*handoff.Sender, len(s.senders))
	copy(next, s.senders)
	for i, f := range s.frozen {
		if f == nil {
			continue
		}
		if sender, err := handoff.Resume(f.file, f.State); err == nil {
			next[i] = sender
		}
		f.file.Close()
	}
	s.frozen = nil
	l.s.set(func(*ProcessStatus) { s.senders, l.s.senders = next, next })
}

// seats goes on with the pairs of a process. One whose pair is lost notices it, ends and is replaced.
func (r *reading) seats(all []seatState) *seats {
	s := &seats{senders: make([]*handoff.Sender, len(all))}
	for i, st := range all {
		if st.File == 0 {
			continue
		}
		f, err := r.in.File(st.File)
		if err != nil {
			continue
		}
		if sender, err := handoff.Resume(f, st.State); err == nil {
			s.senders[i] = sender
		}
		f.Close()
	}
	return s
}
