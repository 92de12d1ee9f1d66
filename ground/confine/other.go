//go:build !linux

package confine

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/reexec"
)

// Supported says whether this system can confine a process at all.
const Supported = false

// Self is what a confined process is started as, elsewhere.
const Self = ""

var errUnsupported = errors.New("this system cannot hold a process to limits")

// Plan is how rules hold for one process. Here there is none but nil.
type Plan struct{}

// NewPlan fails unless there are no rules.
func NewPlan(r Rules) (*Plan, error) {
	if r.Zero() {
		return nil, nil
	}
	if err := r.Check(); err != nil {
		return nil, err
	}
	return nil, fault.New(fault.Invalid, "confine process", "", errUnsupported).
		WithHint("leave the limits out, or run it on Linux")
}

// Attr changes nothing.
func (*Plan) Attr(*syscall.SysProcAttr) (release func(), err error) { return func() {}, nil }

// Order has none to give.
func (*Plan) Order(string, int) (string, error) { return "", errUnsupported }

// Obeyed has none to wait for.
func Obeyed(context.Context, *os.File) error { return errUnsupported }

// Held is empty.
func (*Plan) Held() []string { return nil }

// Watch returns at once.
func (*Plan) Watch(int, <-chan struct{}, func()) {}

// Why is empty.
func (*Plan) Why(string, time.Duration) string { return "" }

// Kill does nothing.
func (*Plan) Kill() {}

// Running is empty.
func (*Plan) Running() []int { return nil }

// Close does nothing.
func (*Plan) Close() {}

// State is empty.
type State struct{}

// Handover has nothing to hand over.
func (*Plan) Handover(*reexec.Out) (*State, error) { return nil, nil }

// Adopt returns nil.
func Adopt(*State, *reexec.In) (*Plan, error) { return nil, nil }
