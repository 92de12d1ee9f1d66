//go:build linux || darwin

package keeper_test

import (
	"encoding/json"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/keeper"
)

func live(say string) settings { return settings{Mode: "live", Say: say} }

func (set settings) json() json.RawMessage {
	data, _ := json.Marshal(set)
	return data
}

// says checks what the service says, asked more often than it has processes.
func (b *bench) says(want string) {
	b.t.Helper()
	for range 8 {
		c, err := net.Dial("tcp", b.addr)
		if err != nil {
			b.t.Fatal(err)
		}
		got, err := io.ReadAll(c)
		c.Close()
		if err != nil || string(got) != want+"\n" {
			b.t.Fatalf("it says %q, %v, want %q", got, err, want)
		}
	}
}

func TestConfigure_ProcessesThatRunTakeSettingsAndSoDoLaterOnes(t *testing.T) {
	b := newBench(t, nil)
	b.deploy(programOf(live("one")), 2)
	b.says("one")
	before := b.pids()
	if err := b.Configure(ctxOf(t), live("two").json()); err != nil {
		t.Fatal(err)
	}
	b.says("two")
	if !slices.Equal(b.pids(), before) {
		t.Errorf("other processes: %v, before %v", b.pids(), before)
	}
	if err := syscall.Kill(before[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	b.await("replacement", func(st keeper.Status) bool {
		return st.Processes[0].PID != before[0] && st.Processes[0].State == keeper.Ready
	})
	b.says("two")
	if err := b.Scale(ctxOf(t), 3); err != nil {
		t.Fatal(err)
	}
	b.says("two")
	b.deploy(programOf(live("three")), 2)
	if err := b.Rollback(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	b.settled(3, 2)
	b.says("two")
}

func TestConfigure_WhatOneRefusesNobodyHas(t *testing.T) {
	for mode, want := range map[string]fault.Kind{"refuse": fault.Invalid, "exit": fault.Lost, "hang": fault.Deadline} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, &keeper.Options{StartWithin: 2 * time.Second})
			b.deploy(programOf(live("one")), 2)
			if err := b.Configure(ctxOf(t), settings{Mode: mode}.json()); fault.KindOf(err) != want {
				t.Errorf("got %v, want %v", err, want)
			}
			b.await("both serve", func(st keeper.Status) bool { return st.Live && ready(st, 1) == 2 })
			b.says("one")
			if err := b.Configure(ctxOf(t), live("two").json()); err != nil {
				t.Error(err)
			}
			b.says("two")
		})
	}
}

func TestConfigure_IsForThoseWhoCan(t *testing.T) {
	b := newBench(t, nil)
	if err := b.Configure(ctxOf(t), nil); fault.KindOf(err) != fault.NotFound {
		t.Errorf("without a program: %v", err)
	}
	b.deploy(program("serve"), 1)
	if err := b.Configure(ctxOf(t), live("two").json()); fault.KindOf(err) != fault.Conflict || b.Status().Live {
		t.Errorf("got %v", err)
	}
	if err := b.Configure(ctxOf(t), json.RawMessage("{")); fault.KindOf(err) != fault.Invalid {
		t.Errorf("got %v", err)
	}
}

// dieUntil makes processes whose settings let them die at a connection do so.
func (b *bench) dieUntil(what string, f func(keeper.Status) bool) {
	b.t.Helper()
	for ctx := ctxOf(b.t); !f(b.Status()); {
		if ctx.Err() != nil {
			b.t.Fatalf("%s: %+v", what, b.Status())
		}
		if c, err := net.Dial("tcp", b.addr); err == nil {
			io.Copy(io.Discard, c)
			c.Close()
		}
	}
}

func undone(n uint64) func(keeper.Status) bool {
	return func(st keeper.Status) bool { return st.Undone == n }
}

func TestConfigure_TakesBackWhatDoesNotLast(t *testing.T) {
	b := newBench(t, &keeper.Options{Probation: time.Minute})
	b.deploy(programOf(live("one")), 2)
	for round := uint64(1); round <= 2; round++ {
		if err := b.Configure(ctxOf(t), live("crash").json()); err != nil {
			t.Fatal(err)
		}
		if st := b.Status(); st.Report != "" || !st.Probation {
			t.Errorf("at first: %+v", st)
		}
		b.dieUntil("it is taken back", undone(round))
		st := b.await("both serve", func(st keeper.Status) bool { return st.Live && ready(st, 1) == 2 })
		if !strings.HasPrefix(st.Report, "the settings did not stand their probation: process ") || st.Generation != 1 {
			t.Errorf("got %+v", st)
		}
		b.says("one")
	}
}

// Settings that come while those before are on trial take nothing from that: both go.
func TestConfigure_TakesBackSettingsUponSettings(t *testing.T) {
	b := newBench(t, &keeper.Options{Probation: time.Minute, MaxDeaths: -1})
	b.deploy(programOf(live("one")), 1)
	for range 2 {
		if err := b.Configure(ctxOf(t), live("crash").json()); err != nil {
			t.Fatal(err)
		}
	}
	b.dieUntil("both are taken back", undone(2))
	b.await("it serves", func(st keeper.Status) bool { return st.Live })
	b.says("one")
}

func TestConfigure_SettingsThatLastedStay(t *testing.T) {
	b := newBench(t, &keeper.Options{Probation: time.Millisecond, MaxDeaths: -1})
	b.deploy(programOf(live("one")), 1)
	if err := b.Configure(ctxOf(t), live("two").json()); err != nil {
		t.Fatal(err)
	}
	b.await("the probation is over", func(st keeper.Status) bool { return !st.Probation })
	pid := b.pids()[0]
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	st := b.await("it is replaced", func(st keeper.Status) bool { return st.Live && st.Processes[0].PID != pid })
	if b.says("two"); st.Undone != 0 {
		t.Errorf("got %+v", st)
	}
}
