package tasks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/universal-server/become/bench/peers"
	"github.com/universal-server/become/bench/rig"
)

// Options of a run.
type Options struct {
	// Quick does a tenth of the work. The figures are rougher.
	Quick bool
	// Tiny does next to nothing: to see that the answers are right.
	Tiny bool
	// Alone leaves the peers out.
	Alone bool
	// RequirePeers makes a missing peer an error.
	RequirePeers bool
	// Rounds is how often each side has its turn. Default 3; 1 when Tiny.
	Rounds int
	// Dir is where homes and files are. Default: the system's temporary folder. What
	// disk it is on matters to the jobs.
	Dir string
	// Log says what is going on.
	Log io.Writer
}

// Bench is a run. Close it.
type Bench struct {
	Options
	become  string // the command, built
	program string // the user's program, built
}

// New builds what is measured.
func New(ctx context.Context, o Options) (*Bench, error) {
	if o.Rounds <= 0 {
		o.Rounds = 3
		if o.Tiny {
			o.Rounds = 1
		}
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	dir, err := os.MkdirTemp(o.Dir, "become-bench-")
	if err != nil {
		return nil, err
	}
	o.Dir = dir
	b := &Bench{Options: o}
	if err := b.build(ctx); err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

// Close removes every file.
func (b *Bench) Close() error { return os.RemoveAll(b.Dir) }

// Measure is one or more rows of the table.
type Measure struct {
	Name string
	Run  func(*Bench, context.Context) ([]rig.Row, error)
}

// Measures are all of them, in the order of the table.
var Measures = []Measure{
	{"call", (*Bench).call},
	{"flight", (*Bench).flight},
	{"map", (*Bench).mapped},
	{"mixed", (*Bench).mixed},
	{"jobs", (*Bench).jobs},
	{"durable", (*Bench).durable},
	{"kill", (*Bench).kill},
	{"cpu", (*Bench).cpu},
	{"first", (*Bench).first},
	{"seed", (*Bench).seed},
	{"idle", (*Bench).idle},
}

// measureWithin bounds one measure: a hang is an error, not a long wait.
const measureWithin = 10 * time.Minute

// Run does one measure.
func (b *Bench) Run(ctx context.Context, m Measure) ([]rig.Row, error) {
	ctx, cancel := context.WithTimeout(ctx, measureWithin)
	defer cancel()
	fmt.Fprintf(b.Log, "%s ", m.Name)
	began := time.Now()
	rows, err := m.Run(b, ctx)
	fmt.Fprintf(b.Log, "(%.1f s)\n", time.Since(began).Seconds())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.Name, err)
	}
	for i := range rows {
		rows[i].Judge()
		if b.RequirePeers && rows[i].Missing != "" {
			return rows, fmt.Errorf("%s: %s", m.Name, rows[i].Missing)
		}
	}
	return rows, nil
}

// size is how much to do: all, a tenth, or tiny.
func (b *Bench) size(all, tiny int) int {
	switch {
	case b.Tiny:
		return tiny
	case b.Quick:
		return max(all/10, tiny)
	}
	return all
}

// rival is a peer, or why there is none.
type rival struct {
	*peers.Peer
	missing string
}

// against starts a peer. One that is not installed is no error.
func (b *Bench) against(ctx context.Context, start func(context.Context, string) (*peers.Peer, error)) (rival, error) {
	if b.Alone {
		return rival{missing: "left out"}, nil
	}
	p, err := start(ctx, b.Dir)
	if missing, ok := errors.AsType[*rig.Missing](err); ok {
		return rival{missing: missing.Error()}, nil
	}
	return rival{Peer: p}, err
}

// beside starts us, with two workers, and rivals. stop ends all of them.
func (b *Bench) beside(ctx context.Context, starts ...func(context.Context, string) (*peers.Peer, error)) (u us, rivals []rival, stop func(), err error) {
	if u, err = b.ours(ctx, 2); err != nil {
		return us{}, nil, nil, err
	}
	stop = func() {
		for _, r := range slices.Backward(rivals) {
			r.Stop()
		}
		u.stop()
	}
	for _, start := range starts {
		r, err := b.against(ctx, start)
		if err != nil {
			stop()
			return us{}, nil, nil, err
		}
		rivals = append(rivals, r)
	}
	return u, rivals, stop, nil
}

// row begins a row against the rival.
func (r rival) row(measure, unit string, us, theirs float64, goal *rig.Goal) rig.Row {
	row := rig.Row{Measure: measure, Unit: unit, Us: us, Theirs: theirs, Missing: r.missing, Goal: goal}
	if r.Peer != nil {
		row.Peer = r.Name
	}
	return row
}

func atLeast(bound float64) *rig.Goal { return &rig.Goal{Bound: bound} }

func atMost(bound float64) *rig.Goal { return &rig.Goal{Bound: bound, AtMost: true} }

func times(bound float64) *rig.Goal { return &rig.Goal{Bound: bound, Ratio: true} }

func atMostTimes(bound float64) *rig.Goal { return &rig.Goal{Bound: bound, AtMost: true, Ratio: true} }
