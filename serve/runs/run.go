package runs

import (
	"time"
	"unicode/utf8"
)

// Outcome says how a run ended.
type Outcome string

// The outcomes of runs.
const (
	Running Outcome = "running"
	Left    Outcome = "left"    // it was told to
	Killed  Outcome = "killed"  // it was told to, and did not in time
	Crashed Outcome = "crashed" // by itself, whatever its exit status
	Lost    Outcome = "lost"    // with its node, and nobody saw it: Ended is about right
)

// Run is one process of a role on a node.
type Run struct {
	Generation uint64    `json:"generation"`     // of the node's, counted from its start
	Process    int       `json:"process"`        // its number in it
	PID        int       `json:"pid"`            // 0 when it could not be started
	What       string    `json:"what,omitempty"` // stock server or bundle
	Started    time.Time `json:"started"`
	Ended      time.Time `json:"ended,omitzero"` // zero while it runs
	Outcome    Outcome   `json:"outcome"`
	Reason     string    `json:"reason,omitempty"`
}

// same says whether two are the same process.
func (r Run) same(other Run) bool {
	return r.PID == other.PID && r.Generation == other.Generation && r.Process == other.Process && r.Started.Equal(other.Started)
}

// Lasted is how long it ran, or has run until now.
func (r Run) Lasted(now time.Time) time.Duration {
	if !r.Ended.IsZero() {
		now = r.Ended
	}
	return max(0, now.Sub(r.Started))
}

const maxReason = 500 // bytes

// bounded cuts what may be long.
func (r Run) bounded() Run {
	if len(r.Reason) > maxReason {
		cut := maxReason
		for cut > 0 && !utf8.RuneStart(r.Reason[cut]) {
			cut--
		}
		r.Reason = r.Reason[:cut] + "…"
	}
	return r
}

// Subject is where every node is asked for the runs of a role, with a Question; each answers with an Answer.
const Subject = "become.runs"

// Question asks for the newest runs of a role.
type Question struct {
	Role  string `json:"role"`
	Count int    `json:"count"` // at most; Most if it is 0 or more than that
}

// Answer is a node's, the newest run last.
type Answer struct {
	Node string `json:"node"`
	Host string `json:"host"`
	Runs []Run  `json:"runs"`
}
