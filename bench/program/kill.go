package main

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/universal-server/become"
	"github.com/universal-server/become/bench/rig"
)

// start says where and when a call began to run.
type start struct {
	PID int
	At  time.Time
}

// hold reports where it runs, and runs for a while.
var hold = become.Func("hold", func(ctx context.Context, d time.Duration) (int, error) {
	if err := become.Report(ctx, start{os.Getpid(), time.Now()}); err != nil {
		return 0, err
	}
	time.Sleep(d)
	return os.Getpid(), nil
})

// killWorker has n calls run, kills one of the processes they run in with
// SIGKILL, and waits until each of its calls runs elsewhere. The value is ms
// from the kill to the start of the last of them. Every call must be answered.
func killWorker(ctx context.Context, fleet *become.Fleet, n int) (rig.Answer, error) {
	starts := make([]starts, n)
	futures := make([]*become.Future[int], n)
	for i := range futures {
		starts[i].news = make(chan start, 16)
		futures[i] = hold.Go(ctx, fleet, 400*time.Millisecond, become.CallOptions{OnProgress: starts[i].heard})
	}
	first := make([]start, n)
	for i := range starts {
		var err error
		if first[i], err = starts[i].next(ctx); err != nil {
			return rig.Answer{}, err
		}
	}
	victim := first[0].PID
	killed := time.Now()
	if err := syscall.Kill(victim, syscall.SIGKILL); err != nil {
		return rig.Answer{}, err
	}
	var latest time.Duration
	moved := 0
	for i := range starts {
		if first[i].PID != victim {
			continue
		}
		again, err := starts[i].next(ctx)
		if err != nil {
			return rig.Answer{}, err
		}
		latest = max(latest, again.At.Sub(killed))
		moved++
	}
	for i, f := range futures {
		pid, err := f.Wait(ctx)
		if err != nil || pid == victim {
			return rig.Answer{}, fmt.Errorf("call %d: answered by %d, which was killed: %w", i, pid, err)
		}
	}
	return rig.Answer{Value: float64(latest) / float64(time.Millisecond), More: map[string]float64{"moved": float64(moved)}}, nil
}

// starts hears the reports of one call.
type starts struct {
	news chan start
}

func (s *starts) heard(p become.Progress) {
	var at start
	if p.Decode(&at) == nil {
		s.news <- at
	}
}

func (s *starts) next(ctx context.Context) (start, error) {
	select {
	case at := <-s.news:
		return at, nil
	case <-time.After(10 * time.Second):
		return start{}, fmt.Errorf("a call did not start within 10 s")
	case <-ctx.Done():
		return start{}, ctx.Err()
	}
}
