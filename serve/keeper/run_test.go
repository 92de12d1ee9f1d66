//go:build linux || darwin

package keeper_test

import (
	"sync"
	"syscall"
	"testing"

	"github.com/universal-server/become/serve/keeper"
)

// told keeps what a keeper says of its processes.
type told struct {
	mu   sync.Mutex
	runs []keeper.Run
}

func (h *told) take(r keeper.Run) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.runs = append(h.runs, r)
}

// of returns what was said of a process, its start and its end.
func (h *told) of(pid int) (all []keeper.Run) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range h.runs {
		if r.PID == pid {
			all = append(all, r)
		}
	}
	return all
}

func TestRuns_EachProcessIsToldAtItsStartAndItsEnd(t *testing.T) {
	var h told
	b := newBench(t, &keeper.Options{Runs: h.take})
	p := program("serve")
	p.Label = "one"
	b.deploy(p, 2)
	all := b.settled(1, 2).Processes
	if err := syscall.Kill(all[0].PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	b.await("replacement", func(st keeper.Status) bool {
		return st.Processes[0].PID != all[0].PID && st.Processes[0].State == keeper.Ready
	})
	if err := b.Deploy(t.Context(), program("exit"), 1); err == nil {
		t.Fatal("it is no server")
	}
	none := program("serve")
	none.Path = "/nowhere"
	if err := b.Deploy(t.Context(), none, 1); err == nil {
		t.Fatal("it is nowhere")
	}
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	crashed, left := h.of(all[0].PID), h.of(all[1].PID)
	if len(crashed) != 2 || !crashed[0].Ended.IsZero() || crashed[1].Ended.IsZero() || crashed[1].Told || crashed[1].Reason != "killed by SIGKILL" || crashed[1].Label != "one" {
		t.Errorf("the killed one: %+v", crashed)
	}
	if len(left) != 2 || !left[1].Told || left[1].Reason != "" || !left[1].Started.Equal(left[0].Started) {
		t.Errorf("the other: %+v", left)
	}
	if never := h.of(0); len(never) == 0 || never[0].Reason == "" || never[0].Ended.IsZero() {
		t.Errorf("the one that is nowhere: %+v", never)
	}
	open := map[int]int{}
	for _, r := range h.runs {
		if r.Ended.IsZero() {
			open[r.PID]++
		} else {
			open[r.PID]--
		}
	}
	delete(open, 0)
	for pid, n := range open {
		if n != 0 {
			t.Errorf("process %d: %d more starts than ends", pid, n)
		}
	}
}
