package registertest

import (
	"context"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/universal-server/become/keep/register"
)

// outcome is what a call of Swap returned.
type outcome struct {
	present register.Number
	unknown bool // it was an error
}

// Model is a register. An operation's input is []register.Op; see [History] for how to record.
var Model = porcupine.Model{
	Init: func() any { return register.Number{} },
	Step: func(state, input, output any) (bool, any) {
		now, out := state.(register.Number), output.(outcome)
		if !out.unknown && out.present != now {
			return false, now
		}
		for _, op := range input.([]register.Op) {
			now = op.After(now)
		}
		return true, now
	},
	DescribeOperation: func(in, out any) string { return fmt.Sprintf("%v → %v", in, out) },
}

// History records what clients of a register ask and get. The zero value is empty and ready.
type History struct {
	clock atomic.Int64

	mu  sync.Mutex
	ops []porcupine.Operation
}

// Swap calls r's and records it. An error means that the outcome is not known: the operations may take effect at any
// later time, or never.
func (h *History) Swap(ctx context.Context, client int, r register.Swapper, ops ...register.Op) (register.Number, error) {
	return h.Record(client, ops, func() (register.Number, error) { return r.Swap(ctx, ops) })
}

// Record is Swap for what is no Swapper: do does the operations.
func (h *History) Record(client int, ops []register.Op, do func() (register.Number, error)) (register.Number, error) {
	call := h.clock.Add(1)
	present, err := do()
	back := h.clock.Add(1)
	if err != nil {
		back = math.MaxInt64
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, porcupine.Operation{
		ClientId: client, Input: ops, Call: call, Output: outcome{present, err != nil}, Return: back,
	})
	return present, err
}

// Len returns how many calls there were, and how many of them ended in an error.
func (h *History) Len() (all, unknown int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, op := range h.ops {
		if op.Output.(outcome).unknown {
			unknown++
		}
	}
	return len(h.ops), unknown
}

// Check asks whether the history is linearizable, and fails the test unless the answer is the one wanted.
func (h *History) Check(t testing.TB, want porcupine.CheckResult) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if got := porcupine.CheckOperationsTimeout(Model, h.ops, time.Minute); got != want {
		t.Errorf("%d calls: %s, want %s", len(h.ops), got, want)
	}
}
