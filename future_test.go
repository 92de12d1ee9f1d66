package become_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/universal-server/become"
)

func TestFuture_LivesFromQueuedToSucceeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, ctx := alone(t), context.Background()
		id, s := newStage(t)
		first := hold.Go(ctx, f, job{id, 1})
		<-s.started
		if got := first.State(); got != become.StateRunning {
			t.Errorf("state %s, want running", got)
		}
		if w := first.Worker(); w != (become.Worker{}) {
			t.Errorf("worker %v before the answer", w)
		}
		select {
		case <-first.Done():
			t.Error("done before it was released")
		default:
		}
		close(s.release)
		<-first.Done()
		for range 2 { // the same however often it is asked
			if v, err := first.Wait(ctx); v != 1 || err != nil {
				t.Errorf("got %v, %v", v, err)
			}
		}
		if got := first.State(); got != become.StateSucceeded {
			t.Errorf("state %s, want succeeded", got)
		}
		if w := first.Worker(); w.PID != os.Getpid() || w.Node != "local" || w.ID == "" {
			t.Errorf("worker %+v", w)
		}
		first.Cancel() // too late, and harmless
		if got := first.State(); got != become.StateSucceeded {
			t.Errorf("state %s after a late cancel", got)
		}
	})
}

func TestFuture_AnEndedWaitLetsTheCallGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, ctx := alone(t), context.Background()
		id, s := newStage(t)
		fu := hold.Go(ctx, f, job{id, 1})
		short, stop := context.WithTimeout(ctx, time.Second)
		defer stop()
		if _, err := fu.Wait(short); become.KindOf(err) != become.Deadline || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want a deadline", err)
		}
		if got := fu.State(); got != become.StateRunning {
			t.Errorf("state %s, want running", got)
		}
		close(s.release)
		if v, err := fu.Wait(ctx); v != 1 || err != nil {
			t.Errorf("got %v, %v", v, err)
		}
	})
}

func TestFuture_CancelReachesRunningAndQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, ctx := alone(t), context.Background()
		id, s := newStage(t)
		var all []*become.Future[int]
		const many = 200 // more than there are slots
		for i := range many {
			all = append(all, hold.Go(ctx, f, job{id, i}))
		}
		synctest.Wait()
		running, queued := 0, 0
		for _, fu := range all {
			switch fu.State() {
			case become.StateRunning:
				running++
			case become.StateQueued:
				queued++
			}
		}
		if running == 0 || queued == 0 || running+queued != many {
			t.Fatalf("%d running, %d queued", running, queued)
		}
		began := s.runs.Load()
		for _, fu := range slices.Backward(all) { // those that wait first: none of them may begin
			fu.Cancel()
			fu.Cancel() // twice is once
		}
		for i, fu := range all {
			if _, err := fu.Wait(ctx); become.KindOf(err) != become.Canceled || !errors.Is(err, context.Canceled) {
				t.Errorf("%d: %v, want canceled", i, err)
			}
			if fu.State() != become.StateCanceled {
				t.Errorf("%d: state %s", i, fu.State())
			}
		}
		if s.runs.Load() > began+int64(running) {
			t.Errorf("%d ran, %d of them after the cancel", s.runs.Load(), s.runs.Load()-began)
		}
		if int64(len(s.ended)) != s.runs.Load() {
			t.Errorf("%d contexts ended of %d running", len(s.ended), s.runs.Load())
		}
	})
}

func TestCall_EndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := alone(t)
		id, s := newStage(t)
		for range 50 { // waiting and cancelling race
			ctx, stop := context.WithTimeout(context.Background(), time.Second)
			fu := hold.Go(ctx, f, job{id, 1})
			if _, err := fu.Wait(ctx); become.KindOf(err) != become.Deadline {
				t.Errorf("waited: %v, want a deadline", err)
			}
			stop()
			if _, err := fu.Wait(context.Background()); become.KindOf(err) != become.Deadline {
				t.Errorf("the call: %v, want a deadline", err)
			}
			if fu.State() != become.StateFailed {
				t.Errorf("state %s", fu.State())
			}
		}
		for range 50 {
			<-s.ended
		}
		why := errors.New("the user left")
		ctx, cancel := context.WithCancelCause(context.Background())
		fu := hold.Go(ctx, f, job{id, 1})
		synctest.Wait()
		cancel(why)
		if _, err := fu.Wait(context.Background()); become.KindOf(err) != become.Canceled || !errors.Is(err, why) {
			t.Errorf("got %v, want canceled because %v", err, why)
		}
		over, stop := context.WithCancel(context.Background())
		stop()
		if _, err := hold.Call(over, f, job{id, 2}); become.KindOf(err) != become.Canceled {
			t.Errorf("a call with an ended context: %v, want canceled", err)
		}
	})
}

func TestFuture_OnDoneCallsBackBeforeAndAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, ctx := alone(t), context.Background()
		id, s := newStage(t)
		fu := hold.Go(ctx, f, job{id, 7})
		called := make(chan int, 10)
		callback := func(fu *become.Future[int]) {
			v, err := fu.Wait(ctx)
			if err != nil {
				t.Error(err)
			}
			called <- v
		}
		for range 3 {
			fu.OnDone(callback)
		}
		synctest.Wait()
		if len(called) != 0 {
			t.Error("called back before the end")
		}
		close(s.release)
		fu.Wait(ctx)
		fu.OnDone(callback)
		synctest.Wait()
		if len(called) != 4 {
			t.Errorf("called back %d times, want 4", len(called))
		}
		failed := even.Go(ctx, f, 1)
		failed.OnDone(func(fu *become.Future[int]) { called <- -1 })
		synctest.Wait()
		if len(called) != 5 {
			t.Error("a failed future did not call back")
		}
	})
}

func TestGather_KeepsTheOrderAndJoinsTheErrors(t *testing.T) {
	f, ctx := alone(t), soon(t)
	var calls []*become.Future[int]
	for i := range 100 {
		calls = append(calls, double.Go(ctx, f, i))
	}
	got, err := become.Gather(ctx, calls...)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range got {
		if v != 2*i {
			t.Fatalf("answer %d is %d", i, v)
		}
	}
	got, err = become.Gather(ctx, even.Go(ctx, f, 2), even.Go(ctx, f, 3), even.Go(ctx, f, 4), even.Go(ctx, f, 5))
	if err == nil || err.Error() != "3 is odd\n5 is odd" || got[0] != 1 || got[2] != 2 {
		t.Errorf("got %v, %v", got, err)
	}
	if got, err := become.Gather[int](ctx); len(got) != 0 || err != nil {
		t.Errorf("of nothing: %v, %v", got, err)
	}
}

func TestGather_EndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := alone(t)
		id, s := newStage(t)
		defer close(s.release)
		ctx, stop := context.WithTimeout(context.Background(), time.Second)
		defer stop()
		_, err := become.Gather(ctx, double.Go(ctx, f, 1), hold.Go(context.Background(), f, job{id, 1}))
		if become.KindOf(err) != become.Deadline {
			t.Errorf("got %v, want a deadline", err)
		}
	})
}

func TestAsDone_YieldsInTheOrderOfTheEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, ctx := alone(t), context.Background()
		id1, s1 := newStage(t)
		id2, s2 := newStage(t)
		slow, fast := hold.Go(ctx, f, job{id1, 1}), hold.Go(ctx, f, job{id2, 2})
		close(s2.release)
		var order []int
		for fu := range become.AsDone(ctx, slow, fast) {
			v, err := fu.Wait(ctx)
			if err != nil {
				t.Error(err)
			}
			order = append(order, v)
			if v == 2 {
				close(s1.release)
			}
		}
		if len(order) != 2 || order[0] != 2 || order[1] != 1 {
			t.Errorf("got %v, want 2 before 1", order)
		}
		id, s := newStage(t)
		short, stop := context.WithTimeout(ctx, time.Second)
		defer stop()
		for range become.AsDone(short, hold.Go(ctx, f, job{id, 1})) {
			t.Error("yielded a future that has not ended")
		}
		close(s.release)
		for range become.AsDone(ctx, double.Go(ctx, f, 1), double.Go(ctx, f, 2)) {
			break // leaving early blocks nobody
		}
	})
}

func TestFirst_CancelsTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, ctx := alone(t), context.Background()
		id, s := newStage(t)
		slow := hold.Go(ctx, f, job{id, 1})
		v, err := become.First(ctx, even.Go(ctx, f, 1), slow, double.Go(ctx, f, 21))
		if v != 42 || err != nil {
			t.Errorf("got %v, %v", v, err)
		}
		<-slow.Done()
		if slow.State() != become.StateCanceled {
			t.Errorf("the loser is %s", slow.State())
		}
		if len(s.started) != len(s.ended) {
			t.Error("the loser's context did not end")
		}
		if _, err := become.First(ctx, even.Go(ctx, f, 1), even.Go(ctx, f, 3)); err == nil || (err.Error() != "1 is odd\n3 is odd" && err.Error() != "3 is odd\n1 is odd") {
			t.Errorf("when all fail: %v", err)
		}
		if _, err := become.First[int](ctx); become.KindOf(err) != become.Invalid || err == nil {
			t.Errorf("of none: %v, want invalid", err)
		}
		id, s = newStage(t)
		short, stop := context.WithTimeout(ctx, time.Second)
		defer stop()
		if _, err := become.First(short, hold.Go(ctx, f, job{id, 1})); become.KindOf(err) != become.Deadline {
			t.Errorf("got %v, want a deadline", err)
		}
		close(s.release)
	})
}

func TestFleet_CloseCancelsWhatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, ctx := alone(t), context.Background()
		id, s := newStage(t)
		running := hold.Go(ctx, f, job{id, 1})
		<-s.started
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if _, err := running.Wait(ctx); become.KindOf(err) != become.Canceled && become.KindOf(err) != become.Lost {
			t.Errorf("got %v, want canceled or lost", err)
		}
		<-s.ended
		if _, err := double.Call(ctx, f, 1); become.KindOf(err) != become.Canceled {
			t.Errorf("a call after Close: %v, want canceled", err)
		}
		for a := range double.Map(ctx, f, func(yield func(int) bool) { _ = yield(1) && yield(2) }) {
			if become.KindOf(a.Err) != become.Canceled {
				t.Errorf("a Map after Close: %v, want canceled", a.Err)
			}
		}
	})
}

// Whoever closes a fleet need not know that nobody uses it any more.
func TestFleet_CloseRacesWithItsUse(t *testing.T) {
	for range 20 {
		ctx, f := soon(t), alone(t)
		var wg sync.WaitGroup
		called := make(chan struct{}, 1000)
		for range 4 {
			wg.Go(func() {
				for range 30 {
					fu := double.Go(ctx, f, 1)
					fu.OnDone(func(*become.Future[int]) { called <- struct{}{} })
					j, err := double.Submit(ctx, f, 1)
					if err != nil {
						continue
					}
					if _, err := j.Wait(ctx); err != nil && become.KindOf(err) != become.Canceled && become.KindOf(err) != become.Lost {
						t.Errorf("a job: %v", err)
					}
				}
			})
		}
		for range 10 {
			<-called
		}
		f.Close()
		wg.Wait()
		for range 110 { // those made after the end too
			<-called
		}
	}
}
