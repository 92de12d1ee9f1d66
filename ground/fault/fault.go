package fault

import (
	"context"
	"errors"
	"io/fs"
	"strings"
)

// Kind says what went wrong in a way a program can act on. The set is closed
// and its values travel: never reorder them.
type Kind uint8

const (
	// Internal is every error nobody classified: a bug, or a broken machine.
	Internal Kind = iota
	// Invalid: the request itself is wrong; sending it again cannot help.
	Invalid
	// NotFound: the thing named does not exist.
	NotFound
	// Conflict: somebody else was there first (compare-and-swap, duplicate).
	Conflict
	// Busy: full or out of some resource now; trying later can help.
	Busy
	// Canceled: the caller no longer wants it.
	Canceled
	// Deadline: it took longer than it was allowed to.
	Deadline
	// Lost: the process or connection doing it went away.
	Lost
	// Remote: the called function itself answered with an error.
	Remote
	// Denied: no key, a wrong key, or a key without the right.
	Denied

	kinds // how many there are
)

var kindNames = [kinds]string{
	"internal", "invalid", "not found", "conflict", "busy",
	"canceled", "deadline", "lost", "remote", "denied",
}

// String returns the kind's name in lower case, as error texts use it.
func (k Kind) String() string {
	if k >= kinds {
		k = Internal
	}
	return kindNames[k]
}

// Error is an error with a kind, made to travel. The zero value is an
// internal error that says nothing.
type Error struct {
	Kind Kind
	// Op is what was tried, as a verb phrase: "take task". May be empty.
	Op string
	// ID is what it was tried on: a task, a function, an address. May be empty.
	ID string
	// Err is the cause. May be nil.
	Err error
	// Hint says what to do about it, in one sentence. May be empty.
	Hint string
	// Stack is the stack of a function that panicked. May be empty.
	Stack string
}

// New returns an error of a kind about an operation on id, caused by err. Of an error of the system about the file id, or one made
// beside it to take its place, only what it says is kept: id is said already.
func New(kind Kind, op, id string, err error) *Error {
	if file, ok := err.(*fs.PathError); ok && id != "" {
		if rest, of := strings.CutPrefix(file.Path, id); of && !strings.ContainsAny(rest, `/\`) {
			err = file.Err
		}
	}
	return &Error{Kind: kind, Op: op, ID: id, Err: err}
}

// Text returns an error of a kind with a plain sentence as its cause.
func Text(kind Kind, op, id, text string) *Error {
	return &Error{Kind: kind, Op: op, ID: id, Err: errors.New(text)}
}

// WithHint sets what the reader can do about it and returns e.
func (e *Error) WithHint(hint string) *Error {
	e.Hint = hint
	return e
}

// Error returns "cannot <op> <id>: <cause>"; the kind stands in for a missing cause.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Op != "" {
		b.WriteString("cannot ")
		b.WriteString(e.Op)
		if e.ID != "" {
			b.WriteByte(' ')
		}
	}
	b.WriteString(e.ID)
	if b.Len() > 0 {
		b.WriteString(": ")
	}
	if e.Err != nil {
		b.WriteString(e.Err.Error())
	} else {
		b.WriteString(e.Kind.String())
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error {
	if e == nil {
		return nil
	}
	return e.Err
}

// Is reports whether target is the context error that belongs to the kind, so
// that errors.Is(err, context.DeadlineExceeded) holds on both sides of a wire.
func (e *Error) Is(target error) bool {
	if e == nil {
		return false
	}
	switch target {
	case context.Canceled:
		return e.Kind == Canceled
	case context.DeadlineExceeded:
		return e.Kind == Deadline
	}
	return false
}

// KindOf returns the kind of the outermost Error in err's chain, the kind of
// a context error, and otherwise Internal. KindOf(nil) is Internal too: ask
// whether there is an error first.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok && e != nil {
		return e.Kind
	}
	switch {
	case errors.Is(err, context.Canceled):
		return Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return Deadline
	}
	return Internal
}

// Hint returns the first hint found along err's chain, or "".
func Hint(err error) string {
	for {
		e, ok := errors.AsType[*Error](err)
		if !ok || e == nil {
			return ""
		}
		if e.Hint != "" {
			return e.Hint
		}
		err = e.Err
	}
}

// Stack returns the first stack found along err's chain, or "".
func Stack(err error) string {
	for {
		e, ok := errors.AsType[*Error](err)
		if !ok || e == nil {
			return ""
		}
		if e.Stack != "" {
			return e.Stack
		}
		err = e.Err
	}
}

// ParseKind returns the kind with that name, and Internal for every other text.
func ParseKind(name string) Kind {
	for k, n := range kindNames {
		if n == name {
			return Kind(k)
		}
	}
	return Internal
}
