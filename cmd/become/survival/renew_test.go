//go:build linux

package survival

import (
	"slices"
	"syscall"
	"testing"
)

const renewals = 20

// The keeper's own program is replaced twenty times under load. Nobody notices, and the processes are
// those that there were.
func TestRenewedKeeper_FailsNothing(t *testing.T) {
	for _, c := range []struct {
		name  string
		start func(t *testing.T, procs int) *keeper
		load  shape
	}{
		{"foreground", serveInForeground, shape{for_: brief}},
		{"foreground, fresh connections", serveInForeground, shape{for_: brief, fresh: true}},
		{"node", serveOnNode, shape{for_: long}},
		{"node, fresh connections", serveOnNode, shape{for_: brief, fresh: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := c.start(t, 2)
			c.load.addr = k.addr
			processes := k.settle(2)
			slices.Sort(processes)
			files, _ := files(k.cmd.Process.Pid)
			l := put(t, c.load)
			n := l.each(c.load.for_/(renewals+3), func(int) {
				if err := k.renew(); err != nil {
					t.Error(err)
				}
			})
			if seen := l.wait(t); seen.failed() > 0 {
				t.Errorf("%d times replaced: %+v", n, seen)
			}
			if required && c.load.for_ == long && n < renewals {
				t.Errorf("replaced only %d times while the load lasted", n)
			}
			now := k.settle(2)
			if slices.Sort(now); !slices.Equal(now, processes) {
				t.Errorf("processes %v serve after it was replaced %d times, it was %v", now, n, processes)
			}
			eventually(t, func() bool {
				open, _ := filesNow(k)
				return open <= files+2 // the runtime may be looking at the machine
			})
			// It looks after them: one that dies is replaced.
			syscall.Kill(now[0], syscall.SIGKILL)
			eventually(t, func() bool { return !alive(now[0]) && len(k.processes()) == 2 })
			k.settle(2)
			k.swap("v2")
			k.settle(2)
			if v := k.version(); v != "2" {
				t.Errorf("version %s answers", v)
			}
		})
	}
}

// filesNow counts the keeper's open files.
func filesNow(k *keeper) (all, sockets int) { return files(k.cmd.Process.Pid) }

// Killed after it was replaced, it takes its processes along as before.
func TestRenewedKeeper_KilledTakesItsProcessesAlong(t *testing.T) {
	k := serveInForeground(t, 3)
	for range 2 {
		if err := k.renew(); err != nil {
			t.Fatal(err)
		}
	}
	processes := k.settle(3)
	k.kill()
	eventually(t, func() bool { return !slices.ContainsFunc(processes, alive) })
}
