//go:build linux || darwin

package keeper_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/reexec"
	"github.com/universal-server/become/serve/keeper"
)

func TestHandover_NoConnectionFailsThroughManyPrograms(t *testing.T) {
	f := newFar(t, keeper.Options{})
	f.do(order{Do: "deploy", Program: settings{Mode: "serve"}, Procs: 2})
	pid, pids := f.PID, f.pids()
	stop := (&bench{t: t, addr: f.Addr}).load(4)
	kept := keepTalking(t, f.Addr)
	for range 20 {
		f.do(order{Do: "exec"})
		if f.PID != pid || f.pids() != pids {
			t.Errorf("got program %d with processes %s, want %d with %s", f.PID, f.pids(), pid, pids)
		}
	}
	answered, failed := stop()
	if len(failed) > 0 || answered < 20 {
		t.Errorf("%d answered, %d failed: %v", answered, len(failed), failed[:min(3, len(failed))])
	}
	if got := kept(); got != nil {
		t.Errorf("a connection that was open all the time: %v", got)
	}
	// Each of the counts has come through.
	f.await("all are counted", func() bool {
		var n uint64
		for _, p := range f.Processes {
			n += p.Accepted
		}
		return n == uint64(answered)+1
	})
	// The last program is as able as the first.
	f.do(order{Do: "deploy", Program: settings{Mode: "serve"}, Procs: 3})
	f.settled(2, 3)
	if err := f.close(); err != nil {
		t.Error(err)
	}
}

// close ends a remote keeper in order, and sees its processes gone.
func (f *far) close() error {
	f.t.Helper()
	pids := f.Processes
	f.do(order{Do: "close"})
	for _, p := range pids {
		if err := syscall.Kill(p.PID, 0); err != syscall.ESRCH {
			return fmt.Errorf("process %d: %v", p.PID, err)
		}
	}
	return nil
}

// keepTalking has a connection open until the function it returns is called, which says whether
// it was served to its end.
func keepTalking(t *testing.T, addr string) func() error {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(c)
	if _, err := hello(r); err != nil {
		t.Fatal(err)
	}
	return func() error {
		defer c.Close()
		if _, err := io.WriteString(c, "go on\n"); err != nil {
			return err
		}
		text, err := r.ReadString('\n')
		if err == nil && text != "done\n" {
			err = fmt.Errorf("got %q", text)
		}
		return err
	}
}

func TestHandover_LeaksNothing(t *testing.T) {
	f := newFar(t, keeper.Options{})
	f.do(order{Do: "deploy", Program: settings{Mode: "serve"}, Procs: 2})
	files := 0
	for i := range 50 {
		f.do(order{Do: "exec"})
		switch {
		case i == 0:
			files = f.Files
		case f.Files > files+2: // the runtime may be looking at the machine
			t.Fatalf("got %d open files after %d programs, %d after one", f.Files, i+1, files)
		}
	}
}

func TestHandover_ProcessesDieWithTheProgramThatHasThem(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("it needs Linux")
	}
	f := newFar(t, keeper.Options{})
	f.do(order{Do: "deploy", Program: settings{Mode: "stubborn"}, Procs: 2})
	f.do(order{Do: "exec"})
	f.do(order{Do: "scale", Procs: 3}) // one more that this program has started
	f.do(order{Do: "exec"})
	pids := f.Processes
	if len(pids) != 3 {
		t.Fatalf("got %+v", pids)
	}
	f.cmd.Process.Kill()
	f.cmd.Wait()
	for _, p := range pids {
		for ctx := ctxOf(t); alive(p.PID); runtime.Gosched() {
			if ctx.Err() != nil {
				t.Fatalf("process %d outlives its keeper", p.PID)
			}
		}
	}
}

// alive is false for a zombie, which its new parent has not noticed yet.
func alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(b), ") Z ")
}

func TestHandover_AProgramThatIsNoneChangesNothing(t *testing.T) {
	f := newFar(t, keeper.Options{})
	f.do(order{Do: "deploy", Program: settings{Mode: "serve"}, Procs: 2})
	pids := f.pids()
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("no program"), 0o755); err != nil {
		t.Fatal(err)
	}
	stop := (&bench{t: t, addr: f.Addr}).load(2)
	for _, path := range []string{"/missing", text} {
		f.try(order{Do: "exec", Path: path})
		if f.Err == "" || !strings.Contains(f.Err, path) || f.pids() != pids {
			t.Errorf("%s: got %q with processes %s, want %s", path, f.Err, f.pids(), pids)
		}
	}
	// Everybody is listened to again.
	f.do(order{Do: "deploy", Program: settings{Mode: "serve"}, Procs: 1})
	f.settled(2, 1)
	if _, failed := stop(); len(failed) > 0 {
		t.Errorf("%d failed: %v", len(failed), failed[0])
	}
}

func TestHandover_WhoDiesMeanwhileIsReplaced(t *testing.T) {
	f := newFar(t, keeper.Options{})
	f.do(order{Do: "deploy", Program: settings{Mode: "serve"}, Procs: 2})
	pid := f.Processes[1].PID
	f.do(order{Do: "exec", Kill: pid})
	f.await("its successor serves", func() bool {
		p := f.Processes[1]
		return p.State == keeper.Ready && p.PID != pid
	})
	if p := f.Processes[1]; p.Restarts != 1 || !strings.Contains(p.Reason, "SIGKILL") {
		t.Errorf("got %+v, want it to tell how the first one died", p)
	}
}

func TestHandover_WhoTakesSettingsLiveStillDoes(t *testing.T) {
	f := newFar(t, keeper.Options{})
	f.do(order{Do: "deploy", Program: live("one"), Procs: 1})
	f.do(order{Do: "exec"})
	if !f.Processes[0].Live {
		t.Errorf("got %+v", f.Processes[0])
	}
}

func TestHandover_SettingsOnTrialStayOnTrial(t *testing.T) {
	f := newFar(t, keeper.Options{Probation: time.Minute})
	f.do(order{Do: "deploy", Program: live("one"), Procs: 1})
	f.do(order{Do: "configure", Program: live("crash")})
	f.do(order{Do: "exec"})
	b := &bench{t: t, addr: f.Addr}
	f.await("they are taken back", func() bool {
		if f.Undone == 0 {
			if c, err := net.Dial("tcp", f.Addr); err == nil {
				io.Copy(io.Discard, c)
				c.Close()
			}
			return false
		}
		return f.Live
	})
	b.says("one")
	f.do(order{Do: "exec"})
	if f.Undone != 1 || !strings.Contains(f.Report, "did not stand their probation") {
		t.Errorf("got %+v", f.Status)
	}
}

// Settings that were ordered back before the handover, and not taken yet, are seen to after it.
func TestHandover_SettingsThatAreOwed(t *testing.T) {
	f := newFar(t, keeper.Options{StartWithin: 2 * time.Second})
	f.do(order{Do: "deploy", Program: live("one"), Procs: 1})
	pid := f.pids()
	f.do(order{Do: "configure", Program: settings{Mode: "mum", Say: "one"}})
	if f.try(order{Do: "configure briefly", Program: live("two")}); f.Err == "" {
		t.Fatal("it has taken the settings")
	}
	f.do(order{Do: "exec"})
	f.await("who does not answer is replaced", func() bool { return len(f.Processes) == 1 && ready(f.Status, 1) == 1 && f.pids() != pid })
	if want := "of the settings before: process 1 did not take them (no answer within 2s) and was replaced"; f.Report != want {
		t.Errorf("got %q, want %q", f.Report, want)
	}
	(&bench{t: t, addr: f.Addr}).says("one")
}

func TestHandover_HalfMessagesAndLinesGoOn(t *testing.T) {
	f := newFar(t, keeper.Options{})
	f.do(order{Do: "deploy", Program: settings{Mode: "halves"}, Procs: 1})
	for range 2 {
		if _, err := ask(f.Addr); err != nil {
			t.Fatal(err)
		}
		f.do(order{Do: "exec"})
	}
	f.await("the message is heard", func() bool { return f.Processes[0].Accepted == 777 && f.Processes[0].Open == 77 })
	f.await("the line is whole", func() bool { return slices.Contains(f.Said, "one half, the other half") })
}

func TestHandover_ADrainMeetsItsDeadline(t *testing.T) {
	for mode, want := range map[string]bool{"serve": true, "stubborn": false} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			f := newFar(t, keeper.Options{DrainWithin: 2 * time.Second})
			f.do(order{Do: "deploy", Program: settings{Mode: mode}, Procs: 1})
			talk := keepTalking(t, f.Addr)
			began := time.Now()
			f.do(order{Do: "deploy", Program: settings{Mode: "serve"}, Procs: 1})
			f.do(order{Do: "exec"})
			if f.Processes[0].State != keeper.Draining {
				t.Fatalf("got %+v, want it to drain on", f.Processes[0])
			}
			if want {
				if err := talk(); err != nil {
					t.Errorf("the connection was not served to its end: %v", err)
				}
			}
			f.settled(2, 1)
			if took := time.Since(began); took < 2*time.Second && !want {
				t.Errorf("killed after %s", took)
			}
		})
	}
}

func TestHandover_TheProbationGoesOn(t *testing.T) {
	f := newFar(t, keeper.Options{Probation: time.Minute, MaxDeaths: -1})
	f.do(order{Do: "deploy", Program: settings{Mode: "serve"}, Procs: 2})
	f.do(order{Do: "deploy", Program: settings{Mode: "serve"}, Procs: 2})
	f.settled(2, 2)
	f.do(order{Do: "exec"})
	if !f.Probation {
		t.Fatalf("got %+v, want it on probation", f.Status)
	}
	syscall.Kill(f.Processes[0].PID, syscall.SIGKILL)
	f.settled(3, 2)
	if !strings.Contains(f.Report, "generation 1 is back as generation 3") {
		t.Errorf("got the report %q", f.Report)
	}
	f.do(order{Do: "exec"})
	if f.Report == "" || f.Probation || f.Generation != 3 {
		t.Errorf("got %+v", f.Status)
	}
}

func TestHandover_PausedIsPausedAndFailedIsFailed(t *testing.T) {
	f := newFar(t, keeper.Options{MaxCrashes: 1, RetryFailed: time.Hour, MaxDeaths: 1000})
	file, remove := flag(t)
	remove()
	f.do(order{Do: "deploy", Program: settings{Mode: "exit", File: file}, Procs: 1})
	f.do(order{Do: "pause"})
	f.do(order{Do: "exec"})
	if !f.Paused || len(f.Processes) != 0 {
		t.Fatalf("got %+v, want it paused", f.Status)
	}
	f.do(order{Do: "resume"})
	f.settled(1, 1)
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	syscall.Kill(f.Processes[0].PID, syscall.SIGKILL)
	f.await("it has failed", func() bool { return f.Processes[0].State == keeper.Failed })
	reason := f.Processes[0].Reason
	f.do(order{Do: "exec"})
	if p := f.Processes[0]; p.State != keeper.Failed || p.Reason != reason || p.Restarts < 2 {
		t.Errorf("got %+v", p)
	}
	remove()
	f.do(order{Do: "deploy", Program: settings{Mode: "serve"}, Procs: 1})
	f.settled(2, 1)
}

func TestHandover_IsRefusedWhileSomethingIsUnderWay(t *testing.T) {
	b := newBench(t, nil)
	b.deploy(program("serve"), 1)
	deploying, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- b.Deploy(deploying, program("hang"), 1) }()
	b.await("the new one starts", func(st keeper.Status) bool { return len(st.Processes) == 2 })
	short, done := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer done()
	_, err := b.Handover(short, new(reexec.Out))
	if fault.KindOf(err) != fault.Busy || !strings.Contains(err.Error(), "deploy program") {
		t.Errorf("got %v", err)
	}
	cancel()
	if err := <-ended; fault.KindOf(err) != fault.Canceled {
		t.Errorf("got %v", err)
	}
	b.settled(1, 1)
}

func TestHandover_CanBeTakenBack(t *testing.T) {
	b := newBench(t, nil)
	p := program("serve")
	p.Settings = json.RawMessage{}
	b.deploy(p, 2)
	for range 3 {
		st, err := b.Handover(ctxOf(t), new(reexec.Out))
		if err != nil {
			t.Fatal(err)
		}
		if len(st.Slots) != 2 {
			t.Errorf("got %d processes in the state", len(st.Slots))
		}
		if _, err := json.Marshal(st); err != nil {
			t.Error(err)
		}
		if _, err := b.Handover(ctxOf(t), new(reexec.Out)); fault.KindOf(err) != fault.Conflict {
			t.Errorf("got %v, want a conflict", err)
		}
		short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		if err := b.Scale(short, 5); fault.KindOf(err) != fault.Deadline {
			t.Errorf("got %v, want operations to wait", err)
		}
		cancel()
		b.mustAsk()
		b.TakeBack()
		b.TakeBack()
	}
	if err := b.Restart(ctxOf(t)); err != nil {
		t.Error(err)
	}
	b.settled(1, 2)
}

func TestHandover_TogetherWithEverythingElse(t *testing.T) {
	b := newBench(t, &keeper.Options{Probation: time.Millisecond})
	b.deploy(program("serve"), 2)
	stop := b.load(2)
	var handed atomic.Int64
	over := make(chan struct{})
	go func() {
		defer close(over)
		for range 50 {
			if _, err := b.Handover(ctxOf(t), new(reexec.Out)); err == nil {
				handed.Add(1)
				b.TakeBack()
			}
		}
	}()
	for i := range 6 {
		b.deploy(program("serve"), 1+i%3)
		if err := b.Scale(ctxOf(t), 2); err != nil {
			t.Error(err)
		}
	}
	<-over
	if _, failed := stop(); len(failed) > 0 {
		t.Errorf("%d failed: %v", len(failed), failed[0])
	}
	if handed.Load() != 50 {
		t.Errorf("handed over %d times, want 50", handed.Load())
	}
	b.settled(7, 2)
}

func TestAdopt_RefusesWhatItCannotRead(t *testing.T) {
	for name, st := range map[string]*keeper.Handover{
		"nothing":         nil,
		"another version": {Version: keeper.HandoverVersion + 1},
		"no such file":    handover(t, `{"sockets":[{"network":"tcp","addr":"x","file":9}]}`),
		"no such socket":  handover(t, `{"default":[4]}`),
		"no generation":   handover(t, `{"current":3}`),
		"a gap":           handover(t, `{"generations":[{"number":1}],"slots":[{"generation":1,"stopped":true,"serving":2}]}`),
	} {
		if k, err := keeper.Adopt(st, new(reexec.In), nil); err == nil || k != nil {
			t.Errorf("%s: got %v and %v", name, k, err)
		}
	}
}

func handover(t testing.TB, text string) *keeper.Handover {
	t.Helper()
	st := &keeper.Handover{Version: keeper.HandoverVersion}
	if err := json.Unmarshal([]byte(text), st); err != nil {
		t.Fatal(err)
	}
	return st
}

func FuzzAdopt(f *testing.F) {
	f.Add([]byte(`{"last":2,"procs":2,"default":[],"current":1,"generations":[{"number":1,"program":{"Path":"/bin/true"},"trial":{"most":3}}],
		"probation":{"generation":1,"until":"2030-01-01T00:00:00Z"},"slots":[{"generation":1,"serving":1,"status":{"PID":1,"State":"ready"}}]}`))
	f.Add([]byte(`{"slots":[{"generation":1,"life":{"child":{"pid":1,"name":"init"}}}],"generations":[{"number":1}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		st := &keeper.Handover{}
		if json.Unmarshal(data, st) != nil {
			t.Skip()
		}
		st.Version = keeper.HandoverVersion
		for i := range st.Slots {
			st.Slots[i].Stopped = true // nothing is to be started
		}
		k, err := keeper.Adopt(st, new(reexec.In), nil)
		if err != nil {
			return
		}
		now, cancel := context.WithCancel(t.Context())
		cancel()
		k.Close(now)
	})
}
