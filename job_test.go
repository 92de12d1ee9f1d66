package become_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/universal-server/become"
)

func TestJob_RunsAndKeepsItsResult(t *testing.T) {
	f, ctx := alone(t), soon(t)
	j, err := double.Submit(ctx, f, 21)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if v, err := j.Wait(ctx); v != 42 || err != nil {
			t.Errorf("got %v, %v", v, err)
		}
	}
	again, err := become.JobOf[int](f, j.ID())
	if err != nil {
		t.Fatal(err)
	}
	if v, err := again.Result(ctx); v != 42 || err != nil {
		t.Errorf("by its id: %v, %v", v, err)
	}
	if err := j.Cancel(ctx); become.KindOf(err) != become.Conflict || err == nil {
		t.Errorf("cancelling what has ended: %v, want a conflict", err)
	}
	for _, id := range []string{"", "1", "0.0", "1.x", "-1.1", "1.1.1"} {
		if _, err := become.JobOf[int](f, id); become.KindOf(err) != become.Invalid || err == nil {
			t.Errorf("id %q: %v, want invalid", id, err)
		}
	}
}

func TestJob_ManyAtOnceAreAnsweredEach(t *testing.T) {
	f, ctx := alone(t), soon(t)
	const n = 2000
	var wrong atomic.Int64
	ids := make(chan string, n)
	done := make(chan struct{}, n)
	for i := range n {
		go func() {
			defer func() { done <- struct{}{} }()
			j, err := even.Submit(ctx, f, i, become.JobOptions{Tries: 1})
			if err != nil {
				wrong.Add(1)
				return
			}
			ids <- j.ID()
			v, err := j.Wait(ctx)
			if (i%2 != 0) != (err != nil) || err == nil && v != i/2 || err != nil && become.KindOf(err) != become.Remote {
				wrong.Add(1)
			}
		}()
	}
	for range n {
		<-done
	}
	if wrong.Load() > 0 {
		t.Errorf("%d of %d went wrong", wrong.Load(), n)
	}
	close(ids)
	seen := map[string]bool{}
	for id := range ids {
		if seen[id] {
			t.Errorf("two jobs have the id %s", id)
		}
		seen[id] = true
	}
}

func TestJob_IsTriedAgainWithBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, ctx := alone(t), context.Background()
		for _, c := range []struct {
			how   string
			opts  []become.JobOptions
			tries int64
			took  time.Duration
		}{
			{"plain", nil, 4, 700 * time.Millisecond}, // 100 + 200 + 400 ms
			{"panic", []become.JobOptions{{Tries: 2}}, 2, 100 * time.Millisecond},
			{"give up", nil, 1, 0},
			{"retry", nil, 4, 3 * time.Minute},
		} {
			id, s := newStage(t)
			began := time.Now()
			j, err := fail.Submit(ctx, f, wish{Kind: become.Busy, How: c.how, After: time.Minute, Stage: id}, c.opts...)
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if _, err := j.Result(ctx); c.tries > 1 && become.KindOf(err) != become.NotFound {
				t.Errorf("%s: a result before its last try: %v", c.how, err)
			}
			if _, err := j.Wait(ctx); err == nil || s.runs.Load() != c.tries {
				t.Errorf("%s: got %v after %d runs, want an error after %d", c.how, err, s.runs.Load(), c.tries)
			}
			if took := time.Since(began); took < c.took || took > c.took+c.took/10+50*time.Millisecond {
				t.Errorf("%s: it took %v, want %v", c.how, took, c.took)
			}
		}
	})
}

func TestJob_TimeoutEndsEachTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, ctx := alone(t), context.Background()
		j, err := hurried.Submit(ctx, f, struct{}{}, become.JobOptions{Tries: 1, Timeout: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if _, err := j.Wait(ctx); become.KindOf(err) != become.Deadline || time.Since(began) != time.Minute {
			t.Errorf("got %v after %v, want a deadline after 1m", err, time.Since(began))
		}
	})
}

func TestJob_CancelReachesRunningAndQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, ctx := alone(t), context.Background()
		id, s := newStage(t)
		var jobs []*become.Job[int]
		for i := range 50 {
			j, err := hold.Submit(ctx, f, job{id, i})
			if err != nil {
				t.Fatal(err)
			}
			jobs = append(jobs, j)
		}
		synctest.Wait()
		running := s.now.Load()
		if running == 0 || running == 50 {
			t.Fatalf("%d of 50 run", running)
		}
		for i := len(jobs) - 1; i >= 0; i-- {
			if err := jobs[i].Cancel(ctx); err != nil {
				t.Error(err)
			}
		}
		for _, j := range jobs {
			if _, err := j.Wait(ctx); become.KindOf(err) != become.Canceled {
				t.Errorf("got %v, want canceled", err)
			}
		}
		if runs := s.runs.Load(); runs != running || int64(len(s.ended)) != running {
			t.Errorf("%d ran and %d contexts ended, want %d", runs, len(s.ended), running)
		}
	})
}

func TestJob_WaitEndsWithItsContextAndTheJobGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := alone(t)
		id, s := newStage(t)
		j, err := hold.Submit(context.Background(), f, job{id, 5})
		if err != nil {
			t.Fatal(err)
		}
		short, stop := context.WithTimeout(context.Background(), time.Minute)
		defer stop()
		if _, err := j.Wait(short); become.KindOf(err) != become.Deadline {
			t.Errorf("got %v, want a deadline", err)
		}
		close(s.release)
		if v, err := j.Wait(context.Background()); v != 5 || err != nil {
			t.Errorf("got %v, %v", v, err)
		}
	})
}

func TestJob_ProgressReachesWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, ctx := alone(t), context.Background()
		id, s := newStage(t)
		j, err := tell.Submit(ctx, f, job{id, 3})
		if err != nil {
			t.Fatal(err)
		}
		heard := make(chan int, 10)
		go func() {
			synctest.Wait() // the waiter listens
			close(s.release)
		}()
		v, err := j.Wait(ctx, func(p become.Progress) {
			var n int
			if p.Decode(&n) == nil {
				heard <- n
			}
		})
		if v != 3 || err != nil {
			t.Fatal(v, err)
		}
		if len(heard) != 3 || <-heard != 0 || <-heard != 1 || <-heard != 2 {
			t.Errorf("%d reports, want 0 1 2", len(heard))
		}
	})
}

// tell waits for its release, then reports.
var tell = become.Func("tell", func(ctx context.Context, j job) (int, error) {
	<-stageOf(j.Stage).release
	for i := range j.N {
		if err := become.Report(ctx, i); err != nil {
			return 0, err
		}
	}
	time.Sleep(time.Second) // of the bubble: reports travel apart from results
	return j.N, nil
})
