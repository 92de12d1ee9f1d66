//go:build linux || darwin

package keeper_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/serve/keeper"
)

func TestKeeper_ServesWithAllProcesses(t *testing.T) {
	var out sink
	b := newBench(t, &keeper.Options{Output: func(keeper.ID) (stdout, stderr io.WriteCloser) { return &out, nil }})
	b.deploy(program("serve"), 3)
	st := b.settled(1, 3)
	if st.Generation != 1 || st.Procs != 3 || !st.Probation || st.Report != "" || st.Sockets[0].Addr != b.addr {
		t.Errorf("got %+v", st)
	}
	for i, p := range st.Processes {
		if p.Number != i+1 || p.PID == 0 || p.Restarts != 0 {
			t.Errorf("got %+v", p)
		}
	}
	c, err := net.Dial("tcp", b.addr)
	if err != nil {
		t.Fatal(err)
	}
	who, err := hello(bufio.NewReader(c))
	if err != nil {
		t.Fatal(err)
	}
	count := func(open int) {
		b.await("stats", func(st keeper.Status) bool {
			p := st.Processes[who.number-1]
			return p.PID == who.pid && p.Open == open && p.Accepted == 1
		})
	}
	count(1)
	c.Close()
	count(0)
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := out.text.String(); got != "serving\nserving\nserving\n" || out.closed != 3 {
		t.Errorf("got %q, closed %d times", got, out.closed)
	}
}

func TestKeeper_ReplacesKilledProcessesUnderLoad(t *testing.T) {
	const clients, kills = 4, 20
	b := newBench(t, nil)
	b.deploy(program("serve"), 2)
	stop := b.load(clients)
	for n := range kills {
		victim := b.settled(1, 2).Processes[n%2]
		if err := syscall.Kill(victim.PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		b.await("replacement", func(st keeper.Status) bool {
			p := st.Processes[n%2]
			return p.PID != victim.PID && p.State == keeper.Ready
		})
	}
	answered, failed := stop()
	if answered == 0 || len(failed) > clients*kills {
		t.Errorf("%d answered, %d failed", answered, len(failed))
	}
	for _, err := range failed {
		if errors.Is(err, errRefused) {
			t.Error(err)
		}
	}
	for _, p := range b.settled(1, 2).Processes {
		if p.Restarts != kills/2 || !strings.Contains(p.Reason, "killed by SIGKILL") {
			t.Errorf("got %+v", p)
		}
	}
}

func TestKeeper_OnlyTheKilledProcessLosesConnections(t *testing.T) {
	b := newBench(t, nil)
	b.deploy(program("serve"), 2)
	type held struct {
		c   net.Conn
		r   *bufio.Reader
		who answer
	}
	var all []held
	served := map[int]int{}
	for len(served) < 2 {
		c, err := net.Dial("tcp", b.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		h := held{c: c, r: bufio.NewReader(c)}
		if h.who, err = hello(h.r); err != nil {
			t.Fatal(err)
		}
		served[h.who.pid]++
		all = append(all, h)
	}
	victim := all[0].who.pid
	syscall.Kill(victim, syscall.SIGKILL)
	for _, h := range all {
		io.WriteString(h.c, "go on\n")
		_, err := h.r.ReadString('\n')
		if lost := h.who.pid == victim; lost != (err != nil) {
			t.Errorf("killed %d, served by %d: %v", victim, h.who.pid, err)
		}
	}
}

// says reports whether an error, or one of its causes, is of a kind.
func says(err error, kind fault.Kind) bool {
	for e, ok := errors.AsType[*fault.Error](err); ok; e, ok = errors.AsType[*fault.Error](e.Err) {
		if e.Kind == kind {
			return true
		}
	}
	return false
}

func TestKeeper_ReplacesAProcessThatClosesItsLine(t *testing.T) {
	b := newBench(t, &keeper.Options{Probation: time.Hour, MaxDeaths: -1})
	b.deploy(program("mute"), 1)
	st := b.await("death", func(st keeper.Status) bool { return st.Processes[0].Restarts == 1 && st.Report != "" })
	if got := st.Processes[0].Reason; !strings.Contains(got, "its line to the keeper ended") {
		t.Errorf("got %q", got)
	}
}

func TestScale_UpAndDown(t *testing.T) {
	b := newBench(t, nil)
	if err := b.Scale(ctxOf(t), 2); fault.KindOf(err) != fault.NotFound {
		t.Errorf("got %v", err)
	}
	b.deploy(program("serve"), 1)
	stop := b.load(2)
	for _, n := range []int{4, 1, 3} {
		if err := b.Scale(ctxOf(t), n); err != nil {
			t.Fatal(err)
		}
		if got := ready(b.Status(), 1); got < n {
			t.Errorf("got %d ready, want %d", got, n)
		}
		st := b.settled(1, n)
		for i, p := range st.Processes {
			if p.Number != i+1 {
				t.Errorf("got %+v", p)
			}
		}
	}
	if _, failed := stop(); len(failed) > 0 {
		t.Error(failed)
	}
	for _, n := range []int{-1, 0, keeper.MaxProcs + 1} {
		if err := b.Scale(ctxOf(t), n); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%d: got %v", n, err)
		}
	}
}

// Processes that share a socket share the processors too, and have them all when they are alone.
func TestScale_SharesTheProcessors(t *testing.T) {
	b := newBench(t, nil)
	all := runtime.GOMAXPROCS(0)
	b.deploy(program("share"), 1)
	for _, n := range []int{1, 2, 1, 3} {
		if err := b.Scale(ctxOf(t), n); err != nil {
			t.Fatal(err)
		}
		b.settled(1, n)
		want := (all + n - 1) / n
		ctx := ctxOf(t)
		for heard := map[int]bool{}; len(heard) < n; { // processes with the right share
			if number, share := shareOf(t, b.addr); share == want {
				heard[number] = true
			}
			if ctx.Err() != nil {
				t.Fatalf("of %d processes only %v use %d processors", n, heard, want)
			}
		}
	}
}

func shareOf(t *testing.T, addr string) (process, processors int) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := fmt.Fscan(c, &process, &processors); err != nil {
		t.Fatal(err)
	}
	return process, processors
}

func TestScale_SaysWhyNewOnesFail(t *testing.T) {
	b := newBench(t, &keeper.Options{Probation: time.Millisecond})
	path, remove := flag(t)
	remove()
	b.deploy(programOf(settings{Mode: "refuse", File: path}), 1)
	b.await("probation", func(st keeper.Status) bool { return !st.Probation })
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := b.Scale(ctxOf(t), 2); fault.KindOf(err) != fault.Remote || !strings.Contains(err.Error(), "the database is away") {
		t.Errorf("got %v", err)
	}
	if err := b.Restart(ctxOf(t)); fault.KindOf(err) != fault.Remote {
		t.Errorf("got %v", err)
	}
	remove()
	b.settled(1, 2) // it went on trying
}

func TestRestart_ReplacesEachWithoutAGap(t *testing.T) {
	b := newBench(t, nil)
	b.deploy(program("serve"), 3)
	before := b.pids()
	stop := b.load(2)
	if err := b.Restart(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	st := b.settled(1, 3)
	if _, failed := stop(); len(failed) > 0 {
		t.Error(failed)
	}
	for i, p := range st.Processes {
		if p.Number != i+1 || p.PID == before[i] || p.Restarts != 0 {
			t.Errorf("got %+v", p)
		}
	}
}

func TestPause_ConnectsWait(t *testing.T) {
	b := newBench(t, nil)
	b.deploy(program("serve"), 2)
	if err := b.Pause(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	if st := b.Status(); !st.Paused || len(st.Processes) != 0 {
		t.Errorf("got %+v", st)
	}
	c, err := net.Dial("tcp", b.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for name, op := range map[string]func(context.Context) error{
		"deploy":  func(ctx context.Context) error { return b.Deploy(ctx, program("serve"), 1) },
		"restart": b.Restart,
	} {
		if err := op(ctxOf(t)); fault.KindOf(err) != fault.Conflict {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if err := b.Scale(ctxOf(t), 3); err != nil {
		t.Fatal(err)
	}
	if err := b.Resume(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	b.settled(1, 3)
	if who, err := hello(bufio.NewReader(c)); err != nil || who.generation != 1 {
		t.Errorf("got %+v, %v", who, err)
	}
	if err := b.Resume(ctxOf(t)); err != nil { // nothing to do
		t.Error(err)
	}
}

func TestKeeper_OperationsTogetherUnderLoad(t *testing.T) {
	b := newBench(t, nil)
	b.deploy(program("serve"), 2)
	stop := b.load(2)
	var wg sync.WaitGroup
	for seed := range uint64(3) {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(seed, 1))
			for range 10 {
				ctx, cancel := context.WithCancel(ctxOf(t))
				if r.IntN(4) == 0 { // some give up, before they begin or in the middle
					context.AfterFunc(b.next(), cancel)
				}
				switch r.IntN(7) {
				case 0, 1:
					b.Deploy(ctx, program("serve"), 1+r.IntN(3))
				case 2:
					b.Deploy(ctx, program("refuse"), 1)
				case 3:
					b.Scale(ctx, 1+r.IntN(3))
				case 4:
					b.Restart(ctx)
				case 5:
					b.Rollback(ctx)
				case 6:
					b.Pause(ctx)
					if err := b.Resume(ctxOf(t)); err != nil {
						t.Error(err)
					}
				}
				cancel()
			}
		})
	}
	wg.Wait()
	if answered, failed := stop(); answered == 0 || len(failed) > 0 {
		t.Errorf("%d answered, failed: %v", answered, failed)
	}
	st := b.Status()
	b.settled(st.Generation, st.Procs)
}

func TestClose_LeavesNothing(t *testing.T) {
	b := newBench(t, nil)
	b.deploy(program("serve"), 1) // what the runtime starts once is there now
	b.Close(t.Context())
	before, files := runtime.NumGoroutine(), openFiles(t)

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := socketOf(l)
	k, err := keeper.New([]keeper.Socket{s}, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &bench{Keeper: k, t: t, addr: s.Addr}
	c.deploy(program("serve"), 3)
	c.deploy(program("serve"), 2)
	pids := c.pids()
	deploying := make(chan error)
	go func() { deploying <- k.Deploy(t.Context(), program("hang"), 1) }()
	c.await("deploy", func(st keeper.Status) bool {
		for _, p := range st.Processes {
			if p.Generation == 3 && p.PID > 0 {
				return true
			}
		}
		return false
	})
	if err := k.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-deploying; fault.KindOf(err) != fault.Canceled {
		t.Errorf("got %v", err)
	}
	for _, pid := range pids {
		if !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			t.Errorf("process %d is left", pid)
		}
	}
	if st := k.Status(); len(st.Processes) != 0 {
		t.Errorf("got %+v", st)
	}
	if err := k.Deploy(t.Context(), program("serve"), 1); fault.KindOf(err) != fault.Canceled {
		t.Errorf("got %v", err)
	}
	if err := k.Close(t.Context()); err != nil {
		t.Error(err)
	}
	l.Close()
	s.File.Close()
	quiet(t, before)
	if got := openFiles(t); got != files {
		t.Errorf("got %d open files, want %d", got, files)
	}
}

func TestKeeper_ProcessesDieWithIt(t *testing.T) {
	cmd := exec.Command(program("").Path)
	cmd.Env = []string{roleEnv + "=keep"}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	r := bufio.NewReader(out)
	var pids []int
	for range 2 {
		text, err := r.ReadString('\n')
		pid, perr := strconv.Atoi(strings.TrimSpace(text))
		if err != nil || perr != nil {
			t.Fatal(text, err)
		}
		pids = append(pids, pid)
	}
	cmd.Process.Kill()
	cmd.Wait()
	for ctx := ctxOf(t); len(pids) > 0; runtime.Gosched() {
		if errors.Is(syscall.Kill(pids[0], 0), syscall.ESRCH) || zombie(pids[0]) {
			pids = pids[1:]
		} else if ctx.Err() != nil {
			t.Fatalf("process %d outlives its keeper", pids[0])
		}
	}
}

// zombie reports whether a process waits only to be reaped by somebody else.
func zombie(pid int) bool {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	text := string(data)
	return strings.HasPrefix(text[strings.LastIndexByte(text, ')')+1:], " Z")
}
