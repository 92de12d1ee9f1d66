//go:build !linux && !darwin

package process

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/reexec"
)

const (
	sigKill = iota
	sigTerm
)

var (
	errGone        = os.ErrNotExist
	errUnsupported = fault.Text(fault.Invalid, "supervise processes", "", "this operating system has no process groups").
			WithHint("run the node on Linux or macOS")
)

func (p *Process) start(context.Context, Spec) error { return errUnsupported }
func (p *Process) signal(int)                        {}

// String returns "sh (4711)".
func (p *Process) String() string { return p.name + " (" + strconv.Itoa(p.pid) + ")" }

func survivors(int, []int) string { return "unknown" }

// Pair is not supported on this system.
func Pair() (parent net.Conn, childFile *os.File, err error) {
	return nil, nil, errors.New("socket pairs are not supported on this operating system")
}

// Inherited is not supported on this system.
func Inherited(int) (net.Conn, error) { return nil, errUnsupported }

func (p *Process) handover(context.Context, *reexec.Out) (State, error) {
	return State{}, errUnsupported
}

func (p *Process) takeBack() {}

func adopt(State, *reexec.In, [2]io.Writer) (*Process, error) { return nil, errUnsupported }

func usage(int) (int64, time.Duration, error) { return 0, 0, errUnsupported }
func startTime(int) (string, error)           { return "", errUnsupported }
