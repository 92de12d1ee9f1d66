package engine

import (
	"context"
	"fmt"
	"time"
)

// Handle is what a running function can ask of the worker that runs it. It is
// found in the function's context with [HandleOf].
type Handle interface {
	// Format is the format of the task's values, and so of Progress.
	Format() Format
	// Progress sends a value to the boss while the function runs. It may be dropped when
	// nobody listens.
	Progress(value []byte) error
	// Block gives the task's slot to others while the function waits for them;
	// Unblock takes it back.
	Block()
	Unblock()
	// Attempt is 1 the first time the task is run.
	Attempt() int
}

type handleKey struct{}

// HandleKey is the context key under which a task context holds its Handle.
var HandleKey any = handleKey{}

// HandleOf returns the handle of the task whose context ctx is or descends
// from, or nil outside of a task.
func HandleOf(ctx context.Context) Handle {
	h, _ := ctx.Value(HandleKey).(Handle)
	return h
}

// RetryError is a function's wish to be tried again.
type RetryError struct {
	After time.Duration
	Err   error // may be nil
}

func (e *RetryError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("asks to be tried again after %v", e.After)
	}
	return e.Err.Error()
}

func (e *RetryError) Unwrap() error { return e.Err }

// GiveUpError is a function's word that trying again cannot help.
type GiveUpError struct{ Err error }

func (e *GiveUpError) Error() string { return e.Err.Error() }
func (e *GiveUpError) Unwrap() error { return e.Err }
