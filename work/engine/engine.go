package engine

import (
	"context"

	"github.com/universal-server/become/ground/bundle"
)

// Format says how a value is written.
type Format byte

const (
	// CBOR is RFC 8949, the form between programs.
	CBOR Format = 'c'
	// JSON is RFC 8259, the form of the command line and of other doors.
	JSON Format = 'j'
)

// Engine runs the functions of one bundle. Its methods may be called from
// several goroutines at once.
type Engine interface {
	// Lookup returns the function of that name. fault.NotFound names those that exist.
	Lookup(name string) (Function, error)
	// Exports lists the functions in order of their names.
	Exports() []bundle.Export
	// Close frees what the engine holds. No call may be running.
	Close() error
}

// Function is one function of a bundle.
type Function interface {
	// Invoke runs the function on input, a value in the given format, appends the
	// answer in the same format to dst and returns the extended slice. It returns
	// when the function has returned or can be abandoned safely: an engine that
	// can stop running code does so when ctx ends. An error is the function's own
	// (any kind), a panic (fault.Remote with its stack), or fault.Invalid for an input
	// that is no value of the function's type. input is not kept.
	Invoke(ctx context.Context, format Format, input, dst []byte) ([]byte, error)
	// Limits are the function's own wishes.
	Limits() bundle.Limits
}
