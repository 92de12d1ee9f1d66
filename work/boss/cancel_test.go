package boss_test

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/universal-server/become/ground/bundle"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/work/boss"
	"github.com/universal-server/become/work/engine"
	"github.com/universal-server/become/work/task"
)

func TestBoss_StartWaitsForRoomUntilItsContextEnds(t *testing.T) {
	b := newTown(t, 1)
	x := boss.New(boss.Options{ID: "b", Bus: b, MaxCalls: 1, Dial: nil})
	defer x.Close()
	start(t, x, "f", 1, nil) // there is no worker
	short, stop := context.WithTimeout(t.Context(), time.Millisecond)
	defer stop()
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for ctx, want := range map[context.Context]fault.Kind{short: fault.Busy, canceled: fault.Canceled} {
		if err := x.Start(ctx, &boss.Call{Digest: "d", Function: "f"}); fault.KindOf(err) != want {
			t.Errorf("got %v, want %v", err, want)
		}
	}
}

// Calls with a timeout that wait behind a long one come and go: what is gone must take no memory.
func TestBoss_KeepsNothingOfCallsCancelledWhileTheyWait(t *testing.T) {
	running := make(chan int, 1)
	b := newTown(t, 1, fn("hang", bundle.Limits{}, func(ctx context.Context, n int) (int, error) {
		running <- n
		<-ctx.Done()
		return 0, ctx.Err()
	}))
	b.hire("w1")
	x := b.boss()
	start(t, x, "hang", 1, nil)
	<-running
	const rounds, size = 2000, 100 << 10
	for i := range rounds {
		a, _ := start(t, x, "hang", 0, nil)
		a.want, a.all = 1, make(chan struct{})
		c := &boss.Call{Digest: "d", Function: "hang", Format: engine.CBOR, Input: task.Value{Data: make([]byte, size)}, Sink: a, Index: i}
		if err := x.Start(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		x.Cancel(c)
		a.wait()
		if fault.KindOf(a.errs[i]) != fault.Canceled {
			t.Fatalf("call %d: %v, want canceled", i, a.errs[i])
		}
	}
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if m.HeapAlloc > rounds*size/4 {
		t.Errorf("%d MiB are still there of %d", m.HeapAlloc>>20, rounds*size>>20)
	}
}
