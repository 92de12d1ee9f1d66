package boss

import (
	"sync/atomic"
	"time"

	"github.com/universal-server/become/ground/trace"
	"github.com/universal-server/become/work/engine"
	"github.com/universal-server/become/work/task"
)

// Call is one function call. The fields up to Sink are the caller's to set and
// not to be changed after Start.
type Call struct {
	Digest   string
	Function string
	Format   engine.Format
	Input    task.Value
	// Timeout ends the task; 0 means the function's own.
	Timeout time.Duration
	// Tries is how often the call is sent to a worker at most. Default 3.
	Tries int
	// Place is what it is called from, in a trace. Nil: nobody knows. Calls that share it travel together.
	Place *trace.Place
	// Sink gets the outcome. Index is the sink's own.
	Sink  Sink
	Index int

	state atomic.Uint32

	pool atomic.Pointer[pool] // where it is held; nil before Start took it

	// Guarded by the pool's mutex.
	lost     int // workers that died with it
	tried    int
	ln       *workerLine // while running
	pack     *pack
	position int // in the pack
	canceled bool
	answered bool // its outcome is on the way to its sink
	waiting  bool // it is in a backlog
	size     int  // what it weighs in the boss's memory
}

// Sink takes what becomes of a call. Its methods run on the goroutine that
// reads a line: they must be quick and must not call the boss.
type Sink interface {
	// Done is called exactly once. o.Value is only valid until it returns.
	Done(c *Call, o task.Outcome, by Worker)
	// Progress is called for each report of the running function. value is only
	// valid until it returns.
	Progress(c *Call, value []byte)
}

// Batch is a Sink that would rather take the outcomes that came together
// together. Its type must be comparable.
type Batch interface {
	Sink
	// DoneAll is called instead of Done, with calls that all have this Sink. ends
	// and the values in it are only valid until it returns.
	DoneAll(ends []Ending)
}

// Ending is a call with its outcome and who ran it.
type Ending struct {
	Call    *Call
	Outcome task.Outcome
	By      Worker
}

// Worker says who ran a call.
type Worker struct {
	ID   string
	Node string
	PID  int
}

// State is a station in a call's life. It only grows, but for a call that is
// sent again.
type State uint32

const (
	Queued State = iota
	Running
	Ended
)

// State returns where the call is now.
func (c *Call) State() State { return State(c.state.Load()) }

func (c *Call) tries() int {
	if c.Tries > 0 {
		return c.Tries
	}
	return 3
}

// alike reports whether two calls can travel in one pack.
func (c *Call) alike(other *Call) bool {
	return c.Format == other.Format && c.Timeout == other.Timeout && samePlace(c.Place, other.Place) && c.lost == 0 && other.lost == 0
}

// samePlace compares what places say: each call has a value of its own.
func samePlace(a, b *trace.Place) bool { return a == b || a != nil && b != nil && *a == *b }
