//go:build unix

package node_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/universal-server/become"
	"github.com/universal-server/become/fleet"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/node"
	"github.com/universal-server/become/work/queue"
	"github.com/universal-server/become/work/roster"
)

var (
	square = become.Func("square", func(_ context.Context, n int) (int, error) { return n * n, nil })
	angry  = become.Func("angry", func(_ context.Context, s string) (int, error) { panic("at " + s) })
	hollow = become.Func("hollow", func(context.Context, int) (any, error) { return make(chan int), nil })
	chatty = become.Func("chatty", func(_ context.Context, bytes int) (int, error) {
		line := []byte(strings.Repeat("x", 1<<10-1) + "\n")
		for n := 0; n < bytes; n += len(line) {
			os.Stdout.Write(line)
		}
		return bytes, nil
	})
)

// pids returns the processes that a node has.
func pids(n *node.Node) (out []int) {
	for _, p := range n.Status().Processes {
		if p.PID > 0 {
			out = append(out, p.PID)
		}
	}
	return out
}

func TestSurvive_AWorkerKilledAmongTenThousandTasks(t *testing.T) {
	t.Parallel()
	n, f := start(t, node.Options{Workers: 2, Slots: 2})
	ctx := soon(t)
	const tasks = 10_000
	inputs := func(yield func(int) bool) {
		for i := range tasks {
			if !yield(i) {
				return
			}
		}
	}
	seen := make([]int, tasks)
	answers, kills := 0, 0
	for a := range square.Map(ctx, f, inputs) {
		if a.Err != nil || a.Value != a.Input*a.Input {
			t.Fatalf("%d² = %d, %v", a.Input, a.Value, a.Err)
		}
		seen[a.Input]++
		answers++
		if answers%2500 == 1000 { // four times in all
			if all := pids(n); len(all) > 0 && syscall.Kill(all[0], syscall.SIGKILL) == nil {
				kills++
			}
		}
	}
	if answers != tasks || kills == 0 {
		t.Errorf("%d answers of %d, %d kills", answers, tasks, kills)
	}
	for i, n := range seen {
		if n != 1 {
			t.Fatalf("task %d was answered %d times", i, n)
		}
	}
}

// Calls made one by one, and those that run when the worker dies, are rerun too.
func TestSurvive_CallsThatRunWhenTheirWorkerDies(t *testing.T) {
	t.Parallel()
	n, f := start(t, node.Options{Workers: 2, Slots: 4})
	ctx := soon(t)
	if _, err := square.Call(ctx, f, 1); err != nil {
		t.Fatal(err)
	}
	open := t.TempDir() + "/open"
	var calls []*become.Future[int]
	for range 8 {
		calls = append(calls, gate.Go(ctx, f, open))
	}
	eventually(t, ctx, "8 calls run", func() bool { return running([]roster.Status{n.Status()}) == 8 })
	syscall.Kill(pids(n)[0], syscall.SIGKILL)
	if err := os.WriteFile(open, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := become.Gather(ctx, calls...); err != nil {
		t.Error(err)
	}
}

// A large answer comes over the bus. Who waits for it waits no longer than it wants to, and may ask again.
func TestSurvive_AWaitForALargeAnswerWhileTheBusStandsStill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	stopped, _ := other(t, "node", dir, "1", "1")
	f, ctx := connectHome(t, dir), soon(t)
	large := double.Go(ctx, f, make([]byte, 1<<20))
	job, err := double.Submit(ctx, f, make([]byte, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	<-large.Done()
	eventually(t, ctx, "the job ends", func() bool {
		_, err := job.Result(ctx)
		return err == nil
	})
	if err := stopped.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	if v, err := large.Wait(short); become.KindOf(err) != become.Deadline {
		t.Errorf("the call: %d bytes, %v; want deadline", len(v), err)
	}
	if v, err := job.Wait(short); become.KindOf(err) != become.Deadline {
		t.Errorf("the job: %d bytes, %v; want deadline", len(v), err)
	}
	if err := stopped.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if v, err := large.Wait(ctx); len(v) != 2<<20 || err != nil {
		t.Errorf("the call, later: %d bytes, %v", len(v), err)
	}
	if v, err := job.Wait(ctx); len(v) != 2<<20 || err != nil {
		t.Errorf("the job, later: %d bytes, %v", len(v), err)
	}
}

// A worker that was stopped (SIGSTOP) keeps its line and says nothing, for ever.
func TestSurvive_AWorkerThatStandsStill(t *testing.T) {
	t.Parallel()
	n, f := start(t, node.Options{Workers: 2, Slots: 1})
	ctx := soon(t)
	open := t.TempDir() + "/open"
	call := gate.Go(ctx, f, open)
	stopped := 0
	eventually(t, ctx, "the call runs", func() bool {
		for _, p := range n.Status().Processes {
			if p.Running > 0 {
				stopped = p.PID
			}
		}
		return stopped != 0
	})
	if err := syscall.Kill(stopped, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(open, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if v, err := call.Wait(ctx); v != 1 || err != nil || call.Worker().PID == stopped {
		t.Errorf("got %d, %v from %d, the stopped one is %d", v, err, call.Worker().PID, stopped)
	}
}

func TestSurvive_TheNodeKilledWithJobsQueuedAndRunning(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, _ := other(t, "node", dir, "2", "4")
	ctx := soon(t)
	f := connectHome(t, dir)
	jobs := make([]*become.Job[int], 1008)
	for i := range jobs {
		ms := 1
		if i < 8 {
			ms = 1000
		}
		var err error
		if jobs[i], err = sleep.Submit(ctx, f, ms); err != nil {
			t.Fatal(err)
		}
	}
	admin := administer(t, dir)
	var children []int
	eventually(t, ctx, "jobs run", func() bool {
		nodes, _ := admin.Nodes(ctx, 1)
		children = nil
		for _, s := range nodes {
			for _, p := range s.Processes {
				children = append(children, p.PID)
			}
		}
		return running(nodes) > 0
	})
	first.Process.Kill()
	first.Wait()
	for _, pid := range children {
		eventually(t, ctx, fmt.Sprintf("child %d is gone with its node", pid), func() bool { return gone(pid) })
	}
	other(t, "node", dir, "2", "4")
	again := connectHome(t, dir)
	for i, j := range jobs {
		same, err := become.JobOf[int](again, j.ID())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := same.Wait(ctx); err != nil {
			t.Fatalf("job %d, %s: %v", i, j.ID(), err)
		}
	}
}

// administer connects the way the become command does.
func administer(t testing.TB, dir string) *fleet.Fleet {
	t.Helper()
	admin, err := fleet.Connect(t.Context(), &fleet.Options{Home: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { admin.Close() })
	return admin
}

func TestSurvive_ABossThatDies(t *testing.T) {
	t.Parallel()
	n, f := start(t, node.Options{Workers: 2, Slots: 2})
	ctx := soon(t)
	boss, said := other(t, "boss", n.URL(), n.KeyText(), "40")
	kill(t, boss)
	eventually(t, ctx, "its calls are dropped", func() bool { return running([]roster.Status{n.Status()}) == 0 })
	for id := range strings.FieldsSeq(said) {
		job, err := become.JobOf[int](f, id)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := job.Wait(ctx); err != nil {
			t.Errorf("job %s of a dead boss: %v", id, err)
		}
	}
}

func TestSurvive_FunctionsThatPanicOrAnswerNonsense(t *testing.T) {
	t.Parallel()
	n, f := start(t, node.Options{Workers: 1})
	ctx := soon(t)
	_, err := angry.Call(ctx, f, "lunch")
	if fault.KindOf(err) != fault.Remote || !strings.Contains(err.Error(), "at lunch") || !strings.Contains(fault.Stack(err), "survive_test.go") {
		t.Errorf("a panic came as %v with stack %q", err, fault.Stack(err))
	}
	if _, err := hollow.Call(ctx, f, 1); err == nil || !strings.Contains(err.Error(), "chan") {
		t.Errorf("an answer nobody can send came as %v", err)
	}
	before := pids(n)
	if v, err := square.Call(ctx, f, 3); v != 9 || err != nil {
		t.Errorf("after them: %d, %v", v, err)
	}
	if after := pids(n); len(after) != 1 || after[0] != before[0] {
		t.Errorf("processes %v became %v: nobody had to die", before, after)
	}
}

func TestSurvive_AGigabytePrinted(t *testing.T) {
	printed := 1 << 30
	if testing.Short() {
		printed = 1 << 26
	}
	dir := t.TempDir()
	_, f := start(t, node.Options{Home: dir, Workers: 1, LogBytes: 16 << 20})
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	if got, err := chatty.Call(ctx, f, printed); err != nil || got != printed {
		t.Fatalf("%d, %v", got, err)
	}
	var kept int64
	filepath.Walk(filepath.Join(dir, "logs"), func(_ string, i os.FileInfo, err error) error {
		if err == nil && !i.IsDir() {
			kept += i.Size()
		}
		return nil
	})
	if kept == 0 || kept > 20<<20 {
		t.Errorf("%d bytes of logs kept, want at most 16 MiB and a little", kept)
	}
	if v, err := square.Call(ctx, f, 3); v != 9 || err != nil {
		t.Errorf("after it: %d, %v", v, err)
	}
}

func TestSurvive_GarbageOnEverySocket(t *testing.T) {
	t.Parallel()
	n, f := start(t, node.Options{Workers: 1})
	ctx := soon(t)
	if _, err := square.Call(ctx, f, 1); err != nil {
		t.Fatal(err)
	}
	before := pids(n)
	socks, err := filepath.Glob(filepath.Join(node.RunDir(n), "*"))
	if err != nil || len(socks) == 0 {
		t.Fatalf("no worker socket: %v", err)
	}
	addr := n.URL()[strings.Index(n.URL(), "//")+2:]
	hostile := [][]byte{
		[]byte("GET / HTTP/1.1\r\n\r\n"), bytes.Repeat([]byte{0xff}, 1<<20), make([]byte, 1<<20),
		{0xff, 0xff, 0xff, 0x7f}, []byte("CONNECT {}\r\nPUB become.want 99999999999\r\n"), []byte("PING\r\n"),
	}
	for _, bytes := range hostile {
		for _, s := range socks {
			abuse(t, "unix", s, bytes)
		}
		abuse(t, "tcp", addr, bytes)
	}
	if v, err := square.Call(ctx, f, 3); v != 9 || err != nil {
		t.Errorf("after it: %d, %v", v, err)
	}
	if after := pids(n); len(after) != 1 || after[0] != before[0] {
		t.Errorf("processes %v became %v", before, after)
	}
}

// abuse sends bytes and reads until the other side has had enough.
func abuse(t *testing.T, network, addr string, bytes []byte) {
	t.Helper()
	c, err := net.Dial(network, addr)
	if err != nil {
		t.Fatalf("%s %s does not accept any more: %v", network, addr, err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	c.Write(bytes)
	if s, ok := c.(interface{ CloseWrite() error }); ok {
		s.CloseWrite()
	}
	if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%s %s kept a peer that sent garbage", network, addr)
	}
}

func TestSurvive_AProgramThatCannotStart(t *testing.T) {
	t.Parallel()
	n, _ := start(t, node.Options{Workers: 1, MaxRestarts: 3})
	ctx := soon(t)
	admin, err := fleet.Connect(ctx, &fleet.Options{URL: n.URL(), Key: n.KeyText()})
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	code := []byte("#!/bin/sh\necho no luck >&2\nexit 7\n")
	m := nativeManifest(code)
	if _, err := admin.ShipBytes(ctx, m, code); err != nil {
		t.Fatal(err)
	}
	if err := admin.Warm(ctx, m.Digest, 30*time.Second); err == nil || !strings.Contains(err.Error(), "exit") {
		t.Errorf("got %v, want the reason", err)
	}
	eventually(t, ctx, "it is given up, with the reason", func() bool {
		for _, p := range n.Status().Processes {
			if p.State == "failed" && strings.Contains(p.Reason, "exit") {
				return true
			}
		}
		return false
	})
}

func TestSurvive_NothingLeaks(t *testing.T) {
	files, goroutines := 0, 0
	for round := range 3 {
		n, f := start(t, node.Options{})
		ctx := soon(t)
		for i := range 50 {
			if _, err := square.Call(ctx, f, i); err != nil {
				t.Fatal(err)
			}
		}
		children := pids(n)
		f.Close()
		if err := n.Stop(); err != nil {
			t.Fatal(err)
		}
		for _, pid := range children {
			if !gone(pid) {
				t.Errorf("process %d outlived its node", pid)
			}
		}
		if round == 0 {
			files, goroutines = openFiles(t), runtime.NumGoroutine()
			continue
		}
		if now := openFiles(t); now > files+3 {
			t.Errorf("round %d: %d open files, %d after the first", round, now, files)
		}
		eventually(t, ctx, "as many goroutines as after the first round", func() bool { return runtime.NumGoroutine() <= goroutines+5 })
	}
}

func TestSurvive_TwoNodesShareTheWork(t *testing.T) {
	t.Parallel()
	one, f := start(t, node.Options{Workers: 1, Slots: 1})
	two, err := node.Start(t.Context(), node.Options{Home: t.TempDir(), URL: one.URL(), Key: one.KeyText(), Workers: 1, Slots: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { two.Stop() })
	ctx := soon(t)
	by := map[string]int{}
	for range 2 { // the second time both have a process
		var calls []*become.Future[int]
		for range 10 {
			calls = append(calls, sleep.Go(ctx, f, 50))
		}
		for _, c := range calls {
			if _, err := c.Wait(ctx); err != nil {
				t.Fatal(err)
			}
			by[c.Worker().Node]++
		}
	}
	if by[one.ID()] == 0 || by[two.ID()] == 0 {
		t.Errorf("calls by node: %v", by)
	}
}

// A million jobs cost the node no memory: they are on disk.
func TestSurvive_AMillionQueuedJobs(t *testing.T) {
	const jobs, bound = 1_000_000, 300 << 20
	dir := t.TempDir()
	other(t, "node", dir, "1", "1")
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	f := connectHome(t, dir)
	admin := administer(t, dir)
	// The digest of no bundle: these jobs stay where they are.
	spec := queue.Spec{Digest: strings.Repeat("a", 64), Function: "f"}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 1024 {
		wg.Go(func() {
			for next.Add(1) <= jobs {
				if _, err := admin.Submit(ctx, spec, taskValue(7)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	nodes, err := admin.Nodes(ctx, 1)
	if err != nil || len(nodes) != 1 {
		t.Fatalf("%v, %v", nodes, err)
	}
	t.Logf("the node has %d MiB resident", nodes[0].RSS>>20)
	if nodes[0].RSS > bound {
		t.Errorf("%d MiB resident with a million jobs, want below %d", nodes[0].RSS>>20, bound>>20)
	}
	if v, err := square.Call(ctx, f, 3); v != 9 || err != nil {
		t.Errorf("beside them: %d, %v", v, err)
	}
}

// A boss that holds calls and waits for jobs while its node is killed and
// started again at the same address goes on by itself.
func TestSurvive_BossesFindARestartedNodeAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, before := other(t, "node", dir, "1", "2")
	ctx := soon(t)
	f := connectHome(t, dir)
	if _, err := square.Call(ctx, f, 1); err != nil {
		t.Fatal(err)
	}
	job, err := sleep.Submit(ctx, f, 200)
	if err != nil {
		t.Fatal(err)
	}
	call := sleep.Go(ctx, f, 200)
	first.Process.Kill()
	first.Wait()
	if _, after := other(t, "node", dir, "1", "2"); after != before {
		t.Fatalf("it was at %s and is at %s", before, after)
	}
	if _, err := call.Wait(ctx); err != nil {
		t.Errorf("call: %v", err)
	}
	if _, err := job.Wait(ctx); err != nil {
		t.Errorf("job: %v", err)
	}
	if v, err := square.Call(ctx, f, 5); v != 25 || err != nil {
		t.Errorf("another call: %d, %v", v, err)
	}
}

// Leaving a fleet that is gone takes no time.
func TestSurvive_ABossClosesWithoutItsBus(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	n, _ := other(t, "node", dir, "1", "2")
	f := connectHome(t, dir)
	call := sleep.Go(t.Context(), f, 60_000)
	eventually(t, soon(t), "the call runs", func() bool { return call.State() == become.StateRunning })
	n.Process.Kill()
	n.Wait()
	closed := make(chan error, 1)
	go func() { closed <- f.Close() }()
	select {
	case <-closed:
	case <-time.After(10 * time.Second):
		t.Error("it still waits for a bus that is gone")
	}
	if _, err := call.Wait(soon(t)); err == nil {
		t.Error("a call succeeded that nobody ran")
	}
}
