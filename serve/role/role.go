package role

import (
	"slices"
	"strings"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/master"
)

// State is what a role shall do.
type State string

// The states of a role.
const (
	Running State = "running"
	Paused  State = "paused"  // sockets open, nobody accepts: connects wait
	Stopped State = "stopped" // sockets closed
	Failed  State = "failed"  // stopped, because its only edition could not be started
)

// into names the change from one state to another, for the history.
func (s State) into(to State) string {
	switch {
	case to != Running:
		return string(to)
	case s == Paused:
		return "resumed"
	}
	return "started"
}

// Edition is one version of a role: what runs and how.
type Edition struct {
	// Number counts the changes of the role, from 1.
	Number uint64 `json:"number"`
	// Digest names the bundle; Stock, instead, a server that the node's own program has.
	Digest string `json:"digest,omitempty"`
	Stock  string `json:"stock,omitempty"`
	// Bundle is the bundle's own name, for people.
	Bundle string      `json:"bundle,omitempty"`
	Spec   master.Spec `json:"spec"`
	Since  time.Time   `json:"since"`
	By     string      `json:"by,omitempty"`
	// Proven says that it has stood its probation on a node.
	Proven bool `json:"proven,omitempty"`
}

// SameCode says whether two editions differ in nothing that a process would have to be
// replaced for.
func (e Edition) SameCode(other Edition) bool {
	return e.Digest == other.Digest && e.Stock == other.Stock && e.Spec.SameCode(other.Spec)
}

// What is what runs, for people.
func (e Edition) What() string {
	if e.Stock != "" {
		return e.Stock
	}
	return e.Digest[:min(12, len(e.Digest))]
}

// Role is a record.
type Role struct {
	Name string  `json:"name"`
	Now  Edition `json:"now"`
	// Before holds the editions before, newest first, ten at most.
	Before []Edition `json:"before,omitempty"`
	State  State     `json:"state"`
	// Restarts counts the restarts that were asked for.
	Restarts uint64 `json:"restarts,omitempty"`
	// Nodes are ids of nodes, or the beginning of one, or names of hosts. Empty: every node.
	Nodes []string `json:"nodes,omitempty"`
	// LogLevel goes before that of the editions; see package slogs. Empty: theirs.
	LogLevel string `json:"log_level,omitempty"`
	// Report says why the last edition was taken back; empty if it was not.
	Report string `json:"report,omitempty"`
	// Refused is the kind of that reason, as fault.Kind writes it; empty if nobody knows.
	Refused string `json:"refused,omitempty"`
	// Changes are the last things that were done to it, the newest last, a hundred at most.
	Changes []Change `json:"changes,omitempty"`
	// Revision is the store's; it grows with every change.
	Revision uint64 `json:"-"`
}

// Change is one thing that was done to a role.
type Change struct {
	At time.Time `json:"at"`
	By string    `json:"by,omitempty"`
	// Did says what, in the past tense; Edition is what the role was then.
	Did     string `json:"did"`
	Edition uint64 `json:"edition"`
	// Settings says that they were changed.
	Settings bool `json:"settings,omitempty"`
}

const (
	historyLength = 10
	changesKept   = 100
	maxDid        = 500 // bytes
)

// note keeps what was done.
func (r *Role) note(by, did string) *Change {
	r.Changes = append(r.Changes, Change{At: time.Now().UTC(), By: by, Did: strings.ToValidUTF8(did[:min(len(did), maxDid)], ""), Edition: r.Now.Number})
	r.Changes = r.Changes[max(0, len(r.Changes)-changesKept):]
	return &r.Changes[len(r.Changes)-1]
}

// Wants says whether a node is to serve the role.
func (r Role) Wants(node, host string) bool {
	return len(r.Nodes) == 0 || slices.ContainsFunc(r.Nodes, func(n string) bool {
		return n != "" && (strings.HasPrefix(node, n) || n == host)
	})
}

// deploy lets the role become e. It reports whether anything changed.
func (r *Role) deploy(e Edition, nodes []string) bool {
	if r.Now.Number > 0 && r.State == Running && r.Now.SameCode(e) && r.Now.Spec.Procs == e.Spec.Procs && slices.Equal(r.Nodes, nodes) {
		return false
	}
	r.become(e)
	r.Nodes, r.State = nodes, Running
	r.note(e.By, "deployed "+e.What())
	return true
}

// become puts e in the place of what is there, which is kept unless it never ran.
func (r *Role) become(e Edition) {
	e.Number = r.Now.Number + 1
	if r.Now.Number > 0 && r.State != Failed {
		r.Before = append([]Edition{r.Now}, r.Before...)
		r.Before = r.Before[:min(len(r.Before), historyLength)]
	}
	r.Now, r.Report, r.Refused = e, "", ""
}

// rollback lets the role become the edition before, or the newest one before whose
// digest or number is to.
func (r *Role) rollback(to, by string) error {
	i := slices.IndexFunc(r.Before, func(e Edition) bool { return !e.SameCode(r.Now) && e.is(to) })
	if i < 0 {
		return fault.Text(fault.NotFound, "roll back", r.Name, "there is no such edition before").WithHint("become describe " + r.Name + " lists them")
	}
	e := r.Before[i]
	e.Since, e.By = time.Now().UTC(), by
	r.Before = slices.Delete(slices.Clone(r.Before), i, i+1)
	r.become(e)
	r.note(by, "rolled back to "+e.What())
	return nil
}

func (e Edition) is(to string) bool {
	return to == "" || strings.HasPrefix(e.Digest, to) && e.Digest != "" || e.Stock == to && to != ""
}

// takeBack undoes edition number, which failed. It reports whether anything changed.
func (r *Role) takeBack(number uint64, failed error) bool {
	if r.Now.Number != number || r.Now.Proven || r.State == Failed {
		return false
	}
	why := failed.Error()
	r.Refused = fault.KindOf(failed).String()
	if len(r.Before) == 0 {
		r.State, r.Report = Failed, why
		r.note("", "failed "+why)
		return true
	}
	e := r.Before[0]
	e.Number = number + 1 // what failed is in the history no more
	r.Now, r.Before, r.Report = e, r.Before[1:], why
	r.note("", "taken back "+why)
	return true
}
