//go:build linux || darwin

package keeper_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/reexec"
	"github.com/universal-server/become/serve/keeper"
)

// gate lets a process that takes settings wait. begun returns when one does, and how to let it go on.
func gate(t *testing.T) (addr string, begun func() (free func())) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String(), func() func() {
		t.Helper()
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return func() { c.Close() }
	}
}

// Who does not take settings back is replaced by a process that begins with them, and the report says so.
func TestConfigure_WhoKeepsSettingsThatFailedIsReplaced(t *testing.T) {
	for mode, why := range map[string]string{"deaf": "not that", "mum": "no answer within 3s"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, &keeper.Options{Probation: time.Minute, MaxDeaths: -1, StartWithin: 3 * time.Second})
			b.deploy(programOf(live("one")), 2)
			before := b.pids()
			if err := b.Configure(ctxOf(t), settings{Mode: mode, Say: "two"}.json()); err != nil {
				t.Fatal(err)
			}
			b.says("two")
			if err := syscall.Kill(before[0], syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			st := b.await("they are taken back", undone(1))
			if want := "; those before are back: process "; !strings.Contains(st.Report, want) || !strings.Contains(st.Report, " did not take them ("+why+") and was replaced") {
				t.Errorf("got %q", st.Report)
			}
			st = b.settled(1, 2)
			if b.says("one"); st.Processes[1].PID == before[1] {
				t.Errorf("got %+v, before %v", st, before)
			}
		})
	}
}

// One that cannot be replaced serves on, and nobody says that it has the settings before.
func TestConfigure_WhoCannotBeReplacedServesOn(t *testing.T) {
	b := newBench(t, &keeper.Options{Probation: time.Minute, MaxDeaths: -1, StartWithin: 3 * time.Second})
	link := filepath.Join(t.TempDir(), "program")
	if err := os.Symlink(os.Args[0], link); err != nil {
		t.Fatal(err)
	}
	p := programOf(live("one"))
	p.Path = link
	b.deploy(p, 2)
	if err := b.Configure(ctxOf(t), settings{Mode: "deaf", Say: "two"}.json()); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	err := b.Configure(ctxOf(t), live("three").json())
	if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "; of the settings before: process 1 does not take them (not that) and serves on without, for it cannot be replaced: ") {
		t.Errorf("got %v", err)
	}
	b.says("two")
}

// A change that is refused does not prolong the probation of the one before, nor end it; and that can fail still.
func TestConfigure_ARefusedChangeLeavesTheTrialOfTheOneBefore(t *testing.T) {
	b := newBench(t, &keeper.Options{Probation: time.Minute, MaxDeaths: -1})
	b.deploy(programOf(live("one")), 2)
	if err := b.Configure(ctxOf(t), live("crash").json()); err != nil {
		t.Fatal(err)
	}
	until := b.trial()
	for range 3 {
		if err := b.Configure(ctxOf(t), settings{Mode: "refuse"}.json()); fault.KindOf(err) != fault.Invalid {
			t.Fatal(err)
		}
		if st := b.Status(); !st.Probation || !b.trial().Equal(until) {
			t.Fatalf("the probation ends at %v, want %v: %+v", b.trial(), until, st)
		}
	}
	b.dieUntil("it is taken back", undone(1))
	b.settled(1, 2)
	b.says("one")
}

// trial is when the probation of settings ends.
func (b *bench) trial() time.Time {
	b.t.Helper()
	st, err := b.Handover(ctxOf(b.t), new(reexec.Out))
	if err != nil {
		b.t.Fatal(err)
	}
	b.TakeBack()
	if st.Trying == nil {
		b.t.Fatal("nothing is on trial")
	}
	return st.Trying.Until
}

// Of changes that come faster than a process takes them the newest is taken, and who asked for another hears that.
func TestConfigure_TheNewestChangeWins(t *testing.T) {
	b := newBench(t, nil)
	b.deploy(programOf(live("one")), 1)
	addr, begun := gate(t)
	ask := func(set settings) <-chan error {
		done := make(chan error, 1)
		go func() { done <- b.Configure(ctxOf(t), set.json()) }()
		return done
	}
	last := ask(settings{Mode: "slow", Wait: addr, Say: "two"})
	free := begun()
	for _, say := range []string{"three", "four", "five", "six", "seven"} {
		next := ask(live(say))
		err := <-last
		if fault.KindOf(err) != fault.Canceled || !strings.Contains(err.Error(), "overtaken by a newer change") {
			t.Errorf("before %s: got %v", say, err)
		}
		last = next
	}
	pid := b.pids()[0]
	free()
	if err := <-last; err != nil {
		t.Fatal(err)
	}
	if b.says("seven"); b.pids()[0] != pid {
		t.Error("it is another process")
	}
}

// Who gives a change up does not wait, and the settings before come back all the same.
func TestConfigure_WhoGivesUpDoesNotWait(t *testing.T) {
	for mode, replaced := range map[string]bool{"slow": false, "mum": true} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, &keeper.Options{StartWithin: 3 * time.Second})
			b.deploy(programOf(live("one")), 1)
			addr, begun := gate(t)
			if mode == "mum" {
				if err := b.Configure(ctxOf(t), settings{Mode: "mum", Say: "one"}.json()); err != nil {
					t.Fatal(err)
				}
			}
			pid := b.pids()[0]
			ctx, giveUp := context.WithCancel(ctxOf(t))
			done := make(chan error, 1)
			go func() { done <- b.Configure(ctx, settings{Mode: "slow", Wait: addr, Say: "two"}.json()) }()
			free := begun()
			giveUp()
			if err := <-done; fault.KindOf(err) != fault.Canceled {
				t.Errorf("got %v", err)
			}
			free()
			if replaced {
				b.await("another process", func(st keeper.Status) bool {
					return len(st.Processes) == 1 && st.Processes[0].PID != pid && st.Processes[0].State == keeper.Ready
				})
			} else if err := b.Configure(ctxOf(t), live("one").json()); err != nil { // whose answer is behind those of before
				t.Fatal(err)
			}
			if b.says("one"); !replaced && b.pids()[0] != pid {
				t.Error("it is another process")
			}
		})
	}
}
