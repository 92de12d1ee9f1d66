package become

import (
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/work/engine"
)

// Error is an error that keeps its kind, its cause and a panic's stack on its
// way between processes. errors.As finds it in every error of a fleet.
type Error = fault.Error

// Kind says what went wrong in a way a program can act on.
type Kind = fault.Kind

// The kinds of errors.
const (
	Internal = fault.Internal // a bug, or a broken machine
	Invalid  = fault.Invalid  // the request is wrong
	NotFound = fault.NotFound // the thing named does not exist
	Conflict = fault.Conflict // somebody else was there first
	Busy     = fault.Busy     // full; later may help
	Canceled = fault.Canceled // the caller no longer wants it
	Deadline = fault.Deadline // it took too long
	Lost     = fault.Lost     // the process doing it went away
	Remote   = fault.Remote   // the function itself said so
	Denied   = fault.Denied   // no key, or not that right
)

// KindOf returns an error's kind: Internal for errors nobody classified.
func KindOf(err error) Kind { return fault.KindOf(err) }

// NewError returns an error of a kind for a function to return: the kind
// arrives at the boss.
func NewError(kind Kind, text string) error { return fault.Text(kind, "", "", text) }

// RetryAfter is for a function to return: run me again after d, if there are
// tries left. err says why and may be nil.
func RetryAfter(d time.Duration, err ...error) error {
	e := &engine.RetryError{After: d}
	if len(err) > 0 {
		e.Err = err[0]
	}
	return e
}

// GiveUp is for a function to return: trying again cannot help, whatever the
// options say.
func GiveUp(err error) error { return &engine.GiveUpError{Err: err} }
