package keeper

import (
	"errors"
	"time"

	"github.com/universal-server/become/ground/fault"
)

// Run is one process from its start to its end.
type Run struct {
	ID
	Label   string // the program's
	PID     int    // 0 when it could not be started
	Started time.Time
	// Ended is zero while it runs.
	Ended time.Time
	// Told says that it ended because it was to.
	Told bool
	// Reason says why it ended, or, of one that was told to, why it had to be killed. Empty if it left in time.
	Reason string
}

// began tells Options.Runs of a process's start.
func (l *life) began() { l.s.k.opts.Runs(l.run()) }

// ended tells it of the end.
func (l *life) ended() {
	r := l.run()
	r.Ended, r.Told, r.Reason = time.Now(), l.end.told, l.end.killed
	if l.end.err != nil && !r.Told {
		r.Reason = why(l.end.err)
	}
	l.s.k.opts.Runs(r)
}

func (l *life) run() Run {
	return Run{ID: l.id, Label: l.s.gen.program.Label, PID: l.child.PID(), Started: l.started}
}

// why is an error of a slot without the name of its process, which the run has.
func why(err error) string {
	if f, ok := errors.AsType[*fault.Error](err); ok && f.Err != nil {
		return f.Err.Error()
	}
	return err.Error()
}

// failedToStart tells of a process that never was.
func (s *slot) failedToStart(id ID, err error) {
	now := time.Now()
	s.k.opts.Runs(Run{ID: id, Label: s.gen.program.Label, Started: now, Ended: now, Reason: err.Error()})
}

// wasLost tells of a process that ended while nobody looked after it.
func (s *slot) wasLost(e end) {
	s.k.mu.Lock()
	st := s.status
	s.k.mu.Unlock()
	r := Run{ID: st.ID, Label: s.gen.program.Label, PID: st.PID, Started: st.Started, Ended: time.Now(), Told: e.told}
	if !e.told {
		r.Reason = why(e.err)
	}
	s.k.opts.Runs(r)
}
