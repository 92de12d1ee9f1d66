package embedded_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"testing"

	"github.com/universal-server/become"
	"github.com/universal-server/become/embedded"
	"github.com/universal-server/become/ground/fault"
)

var (
	square = become.Func("square", func(_ context.Context, n int) (int, error) { return n * n, nil })
	pid    = become.Func("pid", func(context.Context, struct{}) (int, error) { return os.Getpid(), nil })
)

func TestMain(m *testing.M) {
	become.Init()
	os.Exit(m.Run())
}

func needProcesses(t testing.TB) {
	if runtime.GOOS == "windows" {
		t.Skip("worker processes need Unix")
	}
}

func Example() {
	ctx := context.Background()
	fleet, err := embedded.Start(ctx, embedded.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer fleet.Close()
	fmt.Println(square.Call(ctx, fleet.Fleet, 12))
	// Output: 144 <nil>
}

func TestStart_OthersCanJoin(t *testing.T) {
	needProcesses(t)
	ctx := t.Context()
	fleet, err := embedded.Start(ctx, embedded.Options{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer fleet.Close()
	other, err := become.Connect(ctx, become.Config{URL: fleet.URL(), Key: fleet.Key()})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	mine, err := pid.Call(ctx, fleet.Fleet, struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := pid.Call(ctx, other, struct{}{})
	if err != nil || mine != theirs || mine == os.Getpid() {
		t.Errorf("ran in %d and %d, %v; want one other process than %d", mine, theirs, err, os.Getpid())
	}
}

func TestStart_JobsOutliveTheFleetInAHome(t *testing.T) {
	needProcesses(t)
	ctx, home := t.Context(), t.TempDir()
	first, err := embedded.Start(ctx, embedded.Options{Home: home})
	if err != nil {
		t.Fatal(err)
	}
	job, err := square.Submit(ctx, first.Fleet, 5)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second, err := embedded.Start(ctx, embedded.Options{Home: home})
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	same, err := become.JobOf[int](second.Fleet, job.ID())
	if err != nil {
		t.Fatal(err)
	}
	if v, err := same.Wait(ctx); v != 25 || err != nil {
		t.Errorf("got %d, %v", v, err)
	}
}

func TestStart_AHomeInUseIsRefused(t *testing.T) {
	needProcesses(t)
	home := t.TempDir()
	first, err := embedded.Start(t.Context(), embedded.Options{Home: home})
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if _, err := embedded.Start(t.Context(), embedded.Options{Home: home}); fault.KindOf(err) != fault.Busy {
		t.Errorf("got %v, want busy", err)
	}
}
