//go:build unix

package node_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/universal-server/become"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/node"
	"github.com/universal-server/become/serve/service"
)

// The test binary is its own bundle: started by a node it is a worker.
var (
	factorial = become.Func("factorial", func(_ context.Context, n int) (*big.Int, error) {
		return new(big.Int).MulRange(1, int64(n)), nil
	})
	pid   = become.Func("pid", func(context.Context, struct{}) (int, error) { return os.Getpid(), nil })
	sleep = become.Func("sleep", func(ctx context.Context, ms int) (int, error) {
		select {
		case <-time.After(time.Duration(ms) * time.Millisecond):
			return ms, nil
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	})
	suicide = become.Func("suicide", func(context.Context, struct{}) (int, error) {
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	})
	deaf = become.Func("deaf", func(context.Context, struct{}) (int, error) { select {} }, become.Options{Timeout: 50 * time.Millisecond})
	nest = become.Func("nest", func(ctx context.Context, n int) (int, error) {
		if n == 0 {
			return 0, nil
		}
		f, err := become.Here(ctx)
		if err != nil {
			return 0, err
		}
		below, err := nestAgain(ctx, f, n-1)
		return below + 1, err
	})
	double = become.Func("double", func(_ context.Context, b []byte) ([]byte, error) { return append(b, b...), nil })
	flaky  = become.Func("flaky", func(_ context.Context, path string) (string, error) {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return "", err
		}
		fmt.Fprintln(f, "x")
		f.Close()
		b, _ := os.ReadFile(path)
		if n := strings.Count(string(b), "x"); n < 3 {
			return "", fmt.Errorf("try %d", n)
		}
		return "third time lucky", nil
	}, become.Options{Backoff: time.Millisecond})
	// gate runs until there is a file.
	gate = become.Func("gate", func(ctx context.Context, path string) (int, error) {
		return 1, until(ctx, func() bool {
			_, err := os.Stat(path)
			return err == nil
		})
	})
)

var nestAgain func(context.Context, *become.Fleet, int) (int, error)

func TestMain(m *testing.M) {
	nestAgain = func(ctx context.Context, f *become.Fleet, n int) (int, error) { return nest.Call(ctx, f, n) }
	if service.Kept() {
		os.Exit(serve())
	}
	become.Init()
	if role := os.Getenv(roleEnv); role != "" {
		if err := roles[role](os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// start runs a node in a home of its own and connects to it.
func start(t testing.TB, opts node.Options) (*node.Node, *become.Fleet) {
	t.Helper()
	if opts.Home == "" {
		opts.Home = t.TempDir()
	}
	if testing.Verbose() {
		opts.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	n, err := node.Start(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Stop(); err != nil {
			t.Error(err)
		}
	})
	f, err := become.Connect(t.Context(), become.Config{URL: n.URL(), Key: n.KeyText()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return n, f
}

func soon(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // it matters only when something hangs
	t.Cleanup(cancel)
	return ctx
}

func TestNode_RunsTheProgramsFunctionsInOtherProcesses(t *testing.T) {
	t.Parallel()
	_, f := start(t, node.Options{})
	ctx := soon(t)
	for a := range factorial.Map(ctx, f, slices.Values([]int{1, 5, 20})) {
		want := new(big.Int).MulRange(1, int64(a.Input))
		if a.Err != nil || a.Value.Cmp(want) != 0 {
			t.Errorf("%d! = %v, %v; want %v", a.Input, a.Value, a.Err, want)
		}
		if a.Worker.PID == os.Getpid() || a.Worker.PID == 0 {
			t.Errorf("ran in pid %d, want another process than %d", a.Worker.PID, os.Getpid())
		}
	}
}

func TestNode_NestedCallsFreeTheirSlot(t *testing.T) {
	t.Parallel()
	_, f := start(t, node.Options{Workers: 1, Slots: 1})
	got, err := nest.Call(soon(t), f, 5)
	if err != nil || got != 5 {
		t.Fatalf("got %d, %v; want 5", got, err)
	}
}

func TestNode_ACallThatKillsItsProcessIsGivenUpAfterItsTries(t *testing.T) {
	t.Parallel()
	_, f := start(t, node.Options{Workers: 2, Slots: 2})
	ctx := soon(t)
	bad := suicide.Go(ctx, f, struct{}{})
	var good []*become.Future[int]
	for range 20 {
		good = append(good, sleep.Go(ctx, f, 5))
	}
	if _, err := bad.Wait(ctx); fault.KindOf(err) != fault.Lost || !strings.Contains(err.Error(), "SIGKILL") {
		t.Errorf("the poison: %v, want lost with the signal", err)
	}
	if _, err := become.Gather(ctx, good...); err != nil {
		t.Errorf("an innocent call failed: %v", err)
	}
}

func TestNode_KillsAProcessWhoseFunctionIgnoresItsContext(t *testing.T) {
	t.Parallel()
	_, f := start(t, node.Options{Workers: 1, Grace: 100 * time.Millisecond})
	ctx := soon(t)
	before, err := pid.Call(ctx, f, struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := deaf.Call(ctx, f, struct{}{}); fault.KindOf(err) != fault.Deadline {
		t.Errorf("got %v, want deadline", err)
	}
	for {
		after, err := pid.Call(ctx, f, struct{}{})
		if err != nil {
			t.Fatal(err)
		}
		if after != before {
			break
		}
	}
}

func TestNode_LargeValuesTravelByReference(t *testing.T) {
	t.Parallel()
	_, f := start(t, node.Options{Workers: 1})
	size := 64 << 20
	if raced {
		size = 2 << 20 // the detector looks at each byte, many times
	}
	in := make([]byte, size)
	for i := range in {
		in[i] = byte(i * 7)
	}
	out, err := double.Call(soon(t), f, in)
	if err != nil || len(out) != 2*len(in) || string(out[:len(in)]) != string(in) {
		t.Fatalf("got %d bytes, %v", len(out), err)
	}
}

func TestNode_JobsRunAndTheirResultsAreKept(t *testing.T) {
	t.Parallel()
	n, f := start(t, node.Options{})
	ctx := soon(t)
	job, err := factorial.Submit(ctx, f, 10)
	if err != nil {
		t.Fatal(err)
	}
	v, err := job.Wait(ctx)
	if err != nil || v.Int64() != 3628800 {
		t.Fatalf("got %v, %v", v, err)
	}
	other, err := become.Connect(ctx, become.Config{URL: n.URL(), Key: n.KeyText()})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	again, err := become.JobOf[*big.Int](other, job.ID())
	if err != nil {
		t.Fatal(err)
	}
	if v, err := again.Result(ctx); err != nil || v.Int64() != 3628800 {
		t.Fatalf("another process read %v, %v", v, err)
	}
}

func TestNode_JobsAreTriedAgain(t *testing.T) {
	t.Parallel()
	_, f := start(t, node.Options{})
	ctx := soon(t)
	job, err := flaky.Submit(ctx, f, t.TempDir()+"/count")
	if err != nil {
		t.Fatal(err)
	}
	if v, err := job.Wait(ctx); err != nil || v != "third time lucky" {
		t.Fatalf("got %q, %v", v, err)
	}
}

func TestNode_AJobThatKillsItsProcessBecomesADeadLetter(t *testing.T) {
	t.Parallel()
	_, f := start(t, node.Options{})
	ctx := soon(t)
	bad, err := suicide.Submit(ctx, f, struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	var good []*become.Job[int]
	for range 10 {
		j, err := sleep.Submit(ctx, f, 5)
		if err != nil {
			t.Fatal(err)
		}
		good = append(good, j)
	}
	for _, j := range good {
		if _, err := j.Wait(ctx); err != nil {
			t.Errorf("an innocent job failed: %v", err)
		}
	}
	if _, err := bad.Wait(ctx); fault.KindOf(err) != fault.Lost {
		t.Errorf("the poison: %v, want lost", err)
	}
}

func TestNode_CancelReachesRunningAndQueuedJobs(t *testing.T) {
	t.Parallel()
	_, f := start(t, node.Options{Workers: 1, Slots: 1})
	ctx := soon(t)
	var jobs []*become.Job[int]
	for range 2 {
		j, err := sleep.Submit(ctx, f, 60_000)
		if err != nil {
			t.Fatal(err)
		}
		jobs = append(jobs, j)
	}
	for _, j := range jobs {
		if err := j.Cancel(ctx); err != nil {
			t.Fatal(err)
		}
	}
	for _, j := range jobs {
		if _, err := j.Wait(ctx); fault.KindOf(err) != fault.Canceled {
			t.Errorf("got %v, want canceled", err)
		}
	}
}

// A program that cannot join the fleet which is there must not run alone instead.
func TestNode_AProgramWithoutItsKeyIsNotAlone(t *testing.T) {
	key, dir := t.TempDir()+"/key", t.TempDir()
	if err := newKey(key); err != nil {
		t.Fatal(err)
	}
	start(t, node.Options{Home: dir, Key: key})
	t.Setenv("BECOME_HOME", dir)
	for _, config := range []become.Config{{}, {Key: key + "x"}} {
		f, err := become.Connect(soon(t), config)
		if err == nil {
			f.Close()
		}
		if fault.KindOf(err) != fault.NotFound || !strings.Contains(err.Error(), "key") {
			t.Errorf("with the key %q: %v, want not found", config.Key, err)
		}
	}
	f, err := become.Connect(soon(t), become.Config{Key: key})
	if err != nil || f.Alone() {
		t.Fatalf("with its key: %v", err)
	}
	f.Close()
}

func TestNode_RefusesAWrongKey(t *testing.T) {
	t.Parallel()
	n, _ := start(t, node.Options{})
	other := t.TempDir() + "/key"
	if err := newKey(other); err != nil {
		t.Fatal(err)
	}
	_, err := become.Connect(soon(t), become.Config{URL: n.URL(), Key: other})
	if fault.KindOf(err) != fault.Denied {
		t.Fatalf("got %v, want denied", err)
	}
}
