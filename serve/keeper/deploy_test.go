//go:build linux || darwin

package keeper_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/keeper"
)

func TestDeploy_KeepsTheOldOneWhenTheNewCannotServe(t *testing.T) {
	for mode, want := range map[string]struct {
		kind fault.Kind
		text string
	}{
		"exit":   {fault.Lost, "exit status 3: no configuration found"},
		"panic":  {fault.Lost, "exit status 2: panic: everything is lost"},
		"hang":   {fault.Deadline, "it was not ready within 2s"},
		"refuse": {fault.Remote, "the database is away"},
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, nil)
			b.deploy(program("serve"), 2)
			stop := b.load(2)
			bad := program(mode)
			if mode == "hang" {
				bad.StartWithin = 2 * time.Second
			}
			err := b.Deploy(ctxOf(t), bad, 2)
			if err == nil || fault.KindOf(err) != want.kind || !strings.HasPrefix(err.Error(), "cannot deploy generation 2: process ") ||
				!strings.HasSuffix(err.Error(), ": "+want.text) {
				t.Errorf("got %v (%v), want %v (%v)", err, fault.KindOf(err), want.text, want.kind)
			}
			if mode == "refuse" && !says(err, fault.Busy) { // as its process did
				t.Errorf("got %#v", err)
			}
			st := b.settled(1, 2) // the failed ones are gone
			if _, failed := stop(); len(failed) > 0 {
				t.Errorf("%d failed: %v", len(failed), failed[0])
			}
			if st.Generation != 1 || err != nil && st.Report != err.Error() {
				t.Errorf("got %+v", st)
			}
			for _, p := range st.Processes {
				if p.Restarts != 0 {
					t.Errorf("got %+v", p)
				}
			}
			b.deploy(program("serve"), 2) // the next one is generation 3
			if st := b.settled(3, 2); st.Report != "" {
				t.Errorf("got %+v", st)
			}
		})
	}
}

func TestDeploy_GoesBackWhenTheNewOneCrashesInItsProbation(t *testing.T) {
	b := newBench(t, &keeper.Options{Probation: time.Hour})
	path, remove := flag(t)
	remove()
	b.deploy(program("serve"), 2)
	b.deploy(programOf(settings{Mode: "exit", File: path}), 2) // serves until the file is there
	b.settled(2, 2)
	stop := b.load(2)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, pid := range b.pids() {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	st := b.await("way back", func(st keeper.Status) bool {
		return st.Generation == 3 && len(st.Processes) == 2 && !st.Probation && strings.Contains(st.Report, "is back")
	})
	for _, part := range []string{"cannot keep generation 2: it did not stand its probation: process ",
		"exit status 3: no configuration found", "; the program of generation 1 is back as generation 3"} {
		if !strings.Contains(st.Report, part) {
			t.Errorf("got %q, want %q", st.Report, part)
		}
	}
	if who := b.mustAsk(); who.generation != 3 {
		t.Errorf("got %+v", who)
	}
	_, failed := stop()
	for _, err := range failed {
		if errors.Is(err, errRefused) {
			t.Error(err)
		}
	}
	if err := b.Rollback(ctxOf(t)); fault.KindOf(err) != fault.NotFound {
		t.Errorf("got %v: what was undone is no history", err)
	}
}

// A program's own time of probation goes before the keeper's.
func TestDeploy_TheProbationIsAsLongAsTheProgramSays(t *testing.T) {
	b := newBench(t, &keeper.Options{Probation: time.Hour})
	p := program("serve")
	p.Probation = time.Millisecond
	b.deploy(p, 1)
	b.await("the probation is over", func(st keeper.Status) bool { return !st.Probation })
}

func TestDeploy_NeitherVersionCanServe(t *testing.T) {
	b := newBench(t, &keeper.Options{Probation: time.Hour, RetryFailed: 50 * time.Millisecond})
	path, remove := flag(t)
	remove()
	p := programOf(settings{Mode: "exit", File: path})
	b.deploy(p, 1)
	b.deploy(p, 1)
	b.settled(2, 1)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	syscall.Kill(b.pids()[0], syscall.SIGKILL)
	b.await("report", func(st keeper.Status) bool {
		return strings.Contains(st.Report, "cannot keep generation 2") &&
			strings.Contains(st.Report, "and the program before cannot come back: cannot deploy generation 3")
	})
	remove()
	b.settled(2, 1) // it was not given up
	b.mustAsk()
}

func TestDeploy_ReadyThenCrash(t *testing.T) {
	b := newBench(t, &keeper.Options{Probation: time.Hour, MaxDeaths: -1})
	b.deploy(program("serve"), 1)
	err := b.Deploy(ctxOf(t), program("crash"), 1) // seen ready, or not
	st := b.await("old program", func(st keeper.Status) bool {
		return len(st.Processes) == 1 && st.Processes[0].State == keeper.Ready && st.Report != "" && !(st.Generation == 2)
	})
	if !strings.Contains(st.Report, "exit status 5: out of luck") || err != nil && st.Generation != 1 {
		t.Errorf("got %v, %+v", err, st)
	}
	b.mustAsk()
}

func TestDeploy_TheFirstOneIsNotGivenUp(t *testing.T) {
	b := newBench(t, &keeper.Options{Probation: time.Hour, MaxCrashes: 2, RetryFailed: 50 * time.Millisecond, BackoffFirst: time.Millisecond})
	path, remove := flag(t)
	remove()
	b.deploy(programOf(settings{Mode: "panic", File: path}), 1)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	syscall.Kill(b.pids()[0], syscall.SIGKILL)
	st := b.await("failed", func(st keeper.Status) bool { return st.Processes[0].State == keeper.Failed && st.Report != "" })
	if p := st.Processes[0]; !strings.Contains(p.Reason, "panic: everything is lost") || p.Restarts < 3 || p.PID != 0 {
		t.Errorf("got %+v", p)
	}
	c, err := net.Dial("tcp", b.addr) // waits
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	remove()
	if who, err := hello(bufio.NewReader(c)); err != nil || who.generation != 1 {
		t.Errorf("got %+v, %v", who, err)
	}
}

func TestDeploy_SwapsUnderLoadAndLeaksNothing(t *testing.T) {
	swaps := 50
	if testing.Short() {
		swaps = 10
	}
	b := newBench(t, nil)
	b.deploy(program("serve"), 1)
	b.settled(1, 1)
	files := openFiles(t)
	stop := b.load(2)
	for n := range swaps {
		b.deploy(program("serve"), 1+n%2)
	}
	answered, failed := stop()
	if answered == 0 || len(failed) > 0 {
		t.Errorf("%d answered, failed: %v", answered, failed)
	}
	b.deploy(program("serve"), 1)
	b.settled(uint64(swaps+2), 1)
	if got := openFiles(t); got != files {
		t.Errorf("got %d open files, want %d", got, files)
	}
}

// tiny is a program that costs next to nothing: it says that it is ready, and leaves when it is told
// to, or when its keeper is gone. It accepts nothing.
func tiny() keeper.Program {
	ready := `{"ready":{}}`
	hear := "dd bs=64k count=1 <&3"
	script := fmt.Sprintf(`%s; printf '\000\000\000\%03o%s' >&3; %s`, hear, len(ready), ready, hear)
	return keeper.Program{Path: "/bin/sh", Args: []string{"-c", script}, Env: []string{"PATH=" + os.Getenv("PATH")}}
}

func TestDeploy_AThousandSwapsLeakNothing(t *testing.T) {
	swaps := 1000
	if testing.Short() {
		swaps = 100
	}
	b := newBench(t, nil)
	b.deploy(tiny(), 2)
	b.settled(1, 2)
	files, before := openFiles(t), runtime.NumGoroutine()
	for range swaps {
		b.deploy(tiny(), 2)
	}
	b.settled(uint64(swaps+1), 2)
	if got := openFiles(t); got != files {
		t.Errorf("got %d open files, want %d", got, files)
	}
	quiet(t, before+1) // the newest one's probation is watched
	if b.Status().Report != "" {
		t.Errorf("one did not last: %s", b.Status().Report)
	}
}

func TestDeploy_SeveralGenerationsDrainAtOnce(t *testing.T) {
	b := newBench(t, nil)
	var held []net.Conn
	for g := range uint64(3) {
		b.deploy(program("serve"), 1)
		b.await("alone", func(st keeper.Status) bool { return ready(st, g+1) == 1 && drained(st, g) })
		var c net.Conn
		for { // until the new one has it: the old may accept for one moment more
			conn, err := net.Dial("tcp", b.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if who, err := hello(bufio.NewReader(conn)); err != nil {
				t.Fatal(err)
			} else if who.generation == g+1 {
				c = conn
				break
			}
			conn.Close()
		}
		held = append(held, c)
	}
	b.await("two drain", func(st keeper.Status) bool {
		return len(st.Processes) == 3 && st.Processes[0].State == keeper.Draining && st.Processes[1].State == keeper.Draining
	})
	for _, c := range held {
		io.WriteString(c, "go on\n")
		if text, err := io.ReadAll(c); err != nil || string(text) != "done\n" {
			t.Errorf("got %q, %v", text, err)
		}
	}
	b.settled(3, 1)
}

// drained reports whether all of a generation are told to drain.
func drained(st keeper.Status, generation uint64) bool {
	for _, p := range st.Processes {
		if p.Generation == generation && p.State != keeper.Draining {
			return false
		}
	}
	return true
}

func TestDrain_KillsWhoDoesNotLeave(t *testing.T) {
	b := newBench(t, &keeper.Options{DrainWithin: 10 * time.Millisecond})
	b.deploy(program("stubborn"), 2)
	b.deploy(program("serve"), 1)
	b.settled(2, 1)
}

func TestRollback_GoesThroughHistory(t *testing.T) {
	b := newBench(t, nil)
	if err := b.Rollback(ctxOf(t)); fault.KindOf(err) != fault.NotFound {
		t.Errorf("got %v", err)
	}
	for _, service := range []string{"one", "two", "three"} {
		p := program("serve")
		p.Service = service
		b.deploy(p, 2)
	}
	for i, want := range []string{"two", "one"} {
		if err := b.Rollback(ctxOf(t)); err != nil {
			t.Fatal(err)
		}
		if st := b.settled(uint64(4+i), 2); st.Service != want || st.Probation {
			t.Errorf("got %+v, want %s", st, want)
		}
	}
	if err := b.Rollback(ctxOf(t)); fault.KindOf(err) != fault.NotFound {
		t.Errorf("got %v", err)
	}
}

func TestDeploy_EndsWithItsContext(t *testing.T) {
	b := newBench(t, nil)
	b.deploy(program("serve"), 1)
	ctx, cancel := context.WithCancel(t.Context())
	err := make(chan error)
	go func() { err <- b.Deploy(ctx, program("hang"), 1) }()
	b.await("start", func(st keeper.Status) bool { return len(st.Processes) == 2 && st.Processes[1].PID > 0 })
	waiting, giveUp := context.WithCancel(t.Context())
	giveUp()
	if err := b.Scale(waiting, 2); fault.KindOf(err) != fault.Canceled {
		t.Errorf("got %v", err)
	}
	cancel()
	if err := <-err; fault.KindOf(err) != fault.Canceled {
		t.Errorf("got %v", err)
	}
	b.settled(1, 1)
}

func TestDeploy_RefusesWhatCannotBe(t *testing.T) {
	b := newBench(t, nil)
	for name, c := range map[string]struct {
		p     keeper.Program
		procs int
		kind  fault.Kind
	}{
		"no path":      {keeper.Program{}, 1, fault.Invalid},
		"not there":    {keeper.Program{Path: "/does/not/exist"}, 1, fault.NotFound},
		"no program":   {keeper.Program{Path: os.TempDir()}, 1, fault.Denied},
		"no process":   {program("serve"), 0, fault.Invalid},
		"bad settings": {keeper.Program{Path: "/bin/true", Settings: []byte("{")}, 1, fault.Invalid},
	} {
		if err := b.Deploy(ctxOf(t), c.p, c.procs); err == nil || fault.KindOf(err) != c.kind {
			t.Errorf("%s: got %v (%v), want %v", name, err, fault.KindOf(err), c.kind)
		}
	}
	if _, err := keeper.New([]keeper.Socket{{}}, nil); fault.KindOf(err) != fault.Invalid {
		t.Errorf("got %v", err)
	}
}
