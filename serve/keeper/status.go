package keeper

import (
	"cmp"
	"slices"
	"time"

	"github.com/universal-server/become/serve/wire"
)

// State is where a process is in its life.
type State string

// The states of a process:
//
//	starting → ready → draining → (gone)
//	    ↑        │
//	    └ backoff, failed
const (
	Starting State = "starting" // started, not ready yet
	Ready    State = "ready"    // accepts
	Draining State = "draining" // told to leave
	Backoff  State = "backoff"  // died, and its successor waits a moment
	Failed   State = "failed"   // died too often; its successor waits for long
)

// Status is what a keeper and its processes do.
type Status struct {
	// Generation is the one that serves; 0 before the first. Procs is how many
	// processes it should have.
	Generation uint64
	Path       string // of the program
	Service    string
	Procs      int
	Paused     bool
	// Probation says that the generation, or settings that it took while it runs, may still be undone.
	Probation bool
	// Undone is how often such settings were.
	Undone uint64
	// Live says that all processes that serve take other settings while they run, see Keeper.Configure.
	Live bool
	// Report says why the last deploy did not last; empty if it did.
	Report string
	// Closed says that Close was called.
	Closed bool
	// Sockets are those of the version that serves.
	Sockets []wire.Socket
	// Held is what the processes of the version that serves are held to, for people: see
	// process.Process.Held.
	Held []string
	// Processes are sorted by generation and number. One that drains and
	// its successor may have the same.
	Processes []ProcessStatus
}

// ProcessStatus is what one process does, or why there is none at the moment.
type ProcessStatus struct {
	ID
	State   State
	PID     int // 0 while there is none
	Started time.Time
	// Live says that it takes other settings while it runs, see Keeper.Configure.
	Live bool `json:",omitempty"`
	// Open is how many connections it serves, Accepted how many it has accepted.
	Open     int
	Accepted uint64
	// Restarts is how many processes died in this place, Reason why the last one did: "exit status 2: panic: ...",
	// "killed by SIGKILL: over its memory limit of 256 MiB".
	Restarts int
	Reason   string
}

// Status returns what is going on now.
func (k *Keeper) Status() Status {
	k.mu.Lock()
	defer k.mu.Unlock()
	st := Status{Procs: k.procs, Paused: k.paused, Report: k.report, Undone: k.undone, Closed: k.closed}
	if k.current != nil {
		st.Generation, st.Probation = k.current.number, !k.current.trial.over || k.trying != nil
		st.Path, st.Service = k.current.program.Path, k.current.program.Service
		st.Held = slices.Clone(k.current.held)
	}
	sockets := k.sockets
	if k.current != nil {
		sockets = k.socketsOf(k.current.program)
	}
	for _, s := range sockets {
		st.Sockets = append(st.Sockets, s.Socket)
	}
	st.Live = k.liveLocked()
	for s := range k.slots {
		st.Processes = append(st.Processes, s.status)
	}
	slices.SortFunc(st.Processes, func(a, b ProcessStatus) int {
		return cmp.Or(cmp.Compare(a.Generation, b.Generation), cmp.Compare(a.Number, b.Number), a.Started.Compare(b.Started))
	})
	return st
}

// Changed returns a channel that is closed when the status is another than now. Ask for
// it before Status, so that no change is missed.
func (k *Keeper) Changed() <-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.changed
}

// changeLocked announces that something has changed.
func (k *Keeper) changeLocked() {
	close(k.changed)
	k.changed = make(chan struct{})
}
