package bustest

import (
	"fmt"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
)

// step is one operation on one key, as its caller saw it.
type step struct {
	op    string // get, put, swap, delete
	value string
	rev   uint64 // given to swap
}

type outcome struct {
	value    string
	rev      uint64
	conflict bool // or, of get, that there is none
}

// cell is a key's state.
type cell struct {
	value string
	rev   uint64 // 0: there is none
	floor uint64 // every revision to come is greater
}

var model = porcupine.Model{
	Init: func() any { return cell{} },
	Step: func(state, input, output any) (bool, any) {
		s, in, out := state.(cell), input.(step), output.(outcome)
		write := func() (bool, any) { return out.rev > s.floor, cell{in.value, out.rev, out.rev} }
		switch in.op {
		case "get":
			if out.conflict {
				return s.rev == 0, s
			}
			return s.rev != 0 && out.rev == s.rev && out.value == s.value, s
		case "put":
			return write()
		case "swap":
			if out.conflict {
				return s.rev != in.rev, s
			}
			ok, after := write()
			return ok && s.rev == in.rev, after
		default: // delete
			return true, cell{floor: s.floor}
		}
	},
	DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v → %+v", in, out) },
}

// SwapIsLinearizable lets several connections work on one key, and asks whether some
// order of all they did explains what each of them saw.
func SwapIsLinearizable(h *bench) {
	const clients, steps = 5, 40
	n := name()
	var mu sync.Mutex
	var history []porcupine.Operation
	start := time.Now()
	var wg sync.WaitGroup
	for id := range clients {
		kv := h.kv(h.other(), bus.Spec{Name: n})
		wg.Go(func() {
			var seen uint64
			for i := range steps {
				in := step{op: []string{"get", "swap", "swap", "get", "swap", "put", "swap", "delete"}[(i+id)%8], value: fmt.Sprint(id, "-", i), rev: seen}
				call := time.Since(start).Nanoseconds()
				out, err := do(h, kv, in)
				back := time.Since(start).Nanoseconds()
				if err != nil {
					h.Error(err)
					return
				}
				seen = out.rev
				mu.Lock()
				history = append(history, porcupine.Operation{ClientId: id, Input: in, Call: call, Output: out, Return: back})
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if got := porcupine.CheckOperationsTimeout(model, history, patience); got != porcupine.Ok {
		h.Errorf("the history is not linearizable: %v", got)
		for _, op := range history {
			h.Logf("%8d–%8d µs, client %d: %+v → %+v", op.Call/1000, op.Return/1000, op.ClientId, op.Input, op.Output)
		}
	}
}

func do(h *bench, kv bus.KV, in step) (out outcome, err error) {
	switch in.op {
	case "get":
		var e bus.Entry
		e, err = kv.Get(h.ctx, "k")
		out = outcome{string(e.Value), e.Revision, fault.KindOf(err) == fault.NotFound}
	case "put":
		out.rev, err = kv.Put(h.ctx, "k", []byte(in.value))
	case "swap":
		out.rev, err = kv.Swap(h.ctx, "k", []byte(in.value), in.rev)
		out.conflict = fault.KindOf(err) == fault.Conflict
	case "delete":
		err = kv.Delete(h.ctx, "k")
	}
	if out.conflict {
		err = nil
	}
	return out, err
}
