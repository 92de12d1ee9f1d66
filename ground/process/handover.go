package process

import (
	"context"
	"io"

	"github.com/universal-server/become/ground/confine"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/reexec"
)

// State is what the program that replaces this one needs to go on with a child. It travels as
// JSON, beside the files it speaks of.
type State struct {
	PID  int    `json:"pid"`
	Name string `json:"name"`
	// Control, Stdout and Stderr are numbers of files; 0 is none.
	Control int `json:"control,omitempty"`
	Stdout  int `json:"stdout,omitempty"`
	Stderr  int `json:"stderr,omitempty"`
	// Confined says how it is held to limits, if it is.
	Confined *confine.State `json:"confined,omitempty"`
}

// hold is a handover of a child that has not been undone.
type hold struct {
	still  chan struct{} // closed when nobody reads output
	over   chan struct{} // closed when it is undone
	paused int           // pumps that wait for over
}

// Handover prepares the child for package reexec: its files stay open, nothing of what it prints is
// read any more, and if it ends, that is for the next program to see. It returns when all that was
// read is with the writers. Until TakeBack the child can be signalled, but Kill has no proof
// and Done does not close.
//
// Errors, after which nothing is changed: fault.Lost when the child has ended, fault.Conflict when it is
// handed over already, fault.Invalid when the program did not begin with reexec.Main, those of ctx when
// a writer blocks for so long.
func (p *Process) Handover(ctx context.Context, out *reexec.Out) (State, error) {
	s, err := p.handover(ctx, out)
	if err != nil {
		return State{}, fault.New(fault.KindOf(err), "hand over process", p.String(), err)
	}
	return s, nil
}

// TakeBack undoes a Handover.
func (p *Process) TakeBack() { p.takeBack() }

// Adopt goes on with a child that the program before has handed over. What it prints goes to stdout and stderr
// as with Spec; nil discards. fault.Lost when there is no such child any more; fault.NotFound when a file of
// it is missing.
func Adopt(s State, in *reexec.In, stdout, stderr io.Writer) (*Process, error) {
	p, err := adopt(s, in, [2]io.Writer{stdout, stderr})
	if err != nil {
		return nil, fault.New(fault.KindOf(err), "adopt process", s.Name, err)
	}
	return p, nil
}
