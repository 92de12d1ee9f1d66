package keeper

import (
	"sync"
	"time"

	"github.com/universal-server/become/serve/handoff"
	"github.com/universal-server/become/serve/wire"
)

// slot is the place of one process in a generation. Its goroutine, run, keeps a process in it
// until stop.
type slot struct {
	k       *Keeper
	gen     *generation
	trial   *trial
	once    sync.Once
	stopped chan struct{} // closed by stop
	crashes crashes       // of run
	next    next          // how run begins
	share   chan int      // holds the processors of the process, if they have changed
	orders  chan settings // holds its settings, if they have changed
	log     chan wire.Log // holds how it logs, if that has changed

	// Guarded by k.mu:
	status  ProcessStatus
	still   *still            // while the slot stands still
	senders []*handoff.Sender // of the process, by socket; see seats
	begun   bool              // there is a process, and it was told settings
	taken   uint64            // number of the last settings that it took or refused
	refused string            // why, if it did
}

// next is what a slot does next: it goes on with a process, hears that one is lost, or starts one after
// a pause.
type next struct {
	life  *life
	lost  *end
	pause time.Duration
}

func newSlot(k *Keeper, g *generation, t *trial, number int) *slot {
	return &slot{
		k: k, gen: g, trial: t, stopped: make(chan struct{}), share: make(chan int, 1), orders: make(chan settings, 1), log: make(chan wire.Log, 1),
		status: ProcessStatus{ID: ID{g.number, number}, State: Starting, Started: time.Now()},
	}
}

// stop tells the process in the slot to drain, and lets none follow it.
func (s *slot) stop() { s.once.Do(func() { close(s.stopped) }) }

// run returns when the slot was stopped and its process is gone.
func (s *slot) run() {
	defer s.leave()
	for n := s.next; ; {
		var e end
		switch {
		case n.life != nil:
			e = n.life.live()
		case n.lost != nil:
			e = *n.lost
			s.wasLost(e)
		case s.pause(n.pause):
			e = s.live()
		default:
			return
		}
		if e.told {
			return
		}
		n = next{pause: s.died(e)}
	}
}

func (s *slot) isStopped() bool {
	select {
	case <-s.stopped:
		return true
	default:
		return false
	}
}

// pause waits and reports whether the slot goes on. During a handover it stands still.
func (s *slot) pause(d time.Duration) bool {
	end := alarmIn(d)
	for {
		h := s.k.nextStandstill()
		switch {
		case s.isStopped():
			return false
		case h.isBegun():
			s.standStill(h, &still{pause: time.Until(end.at)})
			continue
		case d <= 0:
			return true
		}
		select {
		case <-end.c:
			d = 0
		case <-s.stopped:
		case <-h.begun:
		}
	}
}

// died notes the death of the slot's process and returns how long its successor waits.
func (s *slot) died(e end) time.Duration {
	k := s.k
	wait := s.crashes.add(&k.opts, time.Now(), e.ready)
	k.opts.Logger.Warn("serving process died", "generation", s.gen.number, "process", s.status.Number, "err", e.err, "wait", wait)
	k.mu.Lock()
	defer k.mu.Unlock()
	st := &s.status
	st.State, st.PID, st.Open = Backoff, 0, 0
	st.Restarts++
	st.Reason = e.err.Error()
	if s.crashes.failed {
		st.State = Failed
	}
	s.diedLocked(e)
	s.begun = false
	k.changeLocked()
	return jitter(wait)
}

func (s *slot) leave() {
	s.k.mu.Lock()
	defer s.k.mu.Unlock()
	delete(s.k.slots, s)
	s.k.changeLocked()
}

// set changes the status.
func (s *slot) set(f func(*ProcessStatus)) {
	s.k.mu.Lock()
	defer s.k.mu.Unlock()
	f(&s.status)
	s.k.changeLocked()
}
