//go:build !linux && !darwin

package reexec

import (
	"os"
	"os/signal"

	"github.com/universal-server/become/ground/fault"
)

var errUnsupported = fault.Text(fault.Invalid, "", "", "this operating system does not replace a running program").
	WithHint("end it and start the new version")

func onMainThread() bool { return false }

func exec(string, []string, any, *Out) error { return errUnsupported }

func received() (*In, error) { return nil, nil }

func closeNumber(int) {}

type waiting struct{}

var early waiting

func (waiting) deliver() {}

// Notify is signal.Notify. The function it returns ends it.
func Notify(c chan<- os.Signal, sigs ...os.Signal) (stop func()) {
	signal.Notify(c, sigs...)
	return func() { signal.Stop(c) }
}
