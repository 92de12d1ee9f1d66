package become_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/universal-server/become"
)

// wish is what the function fail is to fail with.
type wish struct {
	Kind  become.Kind
	How   string
	After time.Duration
	Stage int
}

var fail = become.Func("fail", func(_ context.Context, w wish) (int, error) {
	if w.Stage != 0 {
		stageOf(w.Stage).runs.Add(1)
	}
	err := become.NewError(w.Kind, "no luck")
	switch w.How {
	case "wrapped":
		return 0, fmt.Errorf("while trying: %w", err)
	case "chain":
		return 0, &become.Error{Kind: w.Kind, Op: "open", ID: "door", Hint: "knock", Err: &become.Error{Kind: become.Denied, Op: "turn", ID: "key", Err: errors.New("rust")}}
	case "plain":
		return 0, errors.New("no luck")
	case "retry":
		return 0, become.RetryAfter(w.After, err)
	case "retry at all":
		return 0, become.RetryAfter(w.After)
	case "give up":
		return 0, become.GiveUp(err)
	case "panic":
		sink(nil)
	case "panic with error":
		panic(err)
	case "exit":
		runtime.Goexit()
	}
	return 0, err
}, become.Options{Tries: 4, Backoff: 100 * time.Millisecond})

func sink(p *int) int { return *p }

func TestError_KeepsItsKind(t *testing.T) {
	f, ctx := alone(t), soon(t)
	for kind := become.Internal; kind <= become.Denied; kind++ {
		for _, how := range []string{"", "wrapped", "chain"} {
			_, err := fail.Call(ctx, f, wish{Kind: kind, How: how})
			if err == nil || become.KindOf(err) != kind {
				t.Errorf("%v %s: got %v of kind %v", kind, how, err, become.KindOf(err))
			}
		}
		if errors.Is(func() error { _, err := fail.Call(ctx, f, wish{Kind: kind}); return err }(), context.Canceled) != (kind == become.Canceled) {
			t.Errorf("%v: errors.Is does not tell a cancel from it", kind)
		}
	}
	_, err := fail.Call(ctx, f, wish{How: "plain"})
	if become.KindOf(err) != become.Remote || err.Error() != "no luck" {
		t.Errorf("a plain error: %v of kind %v", err, become.KindOf(err))
	}
	_, err = fail.Call(ctx, f, wish{Kind: become.Busy, How: "wrapped"})
	if err.Error() != "while trying: no luck" {
		t.Errorf("a wrapped error reads %q", err)
	}
}

func TestError_KeepsItsCauses(t *testing.T) {
	f, ctx := alone(t), soon(t)
	_, err := fail.Call(ctx, f, wish{Kind: become.Conflict, How: "chain"})
	var e *become.Error
	if !errors.As(err, &e) || e.Op != "open" || e.ID != "door" || e.Hint != "knock" {
		t.Fatalf("got %#v", err)
	}
	var cause *become.Error
	if !errors.As(e.Err, &cause) || cause.Kind != become.Denied || cause.Op != "turn" || cause.ID != "key" {
		t.Fatalf("its cause is %#v", e.Err)
	}
	if want := "cannot open door: cannot turn key: rust"; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
}

func TestPanic_IsAnErrorWithItsStack(t *testing.T) {
	f, ctx := alone(t), soon(t)
	for how, text := range map[string]string{"panic": "nil pointer", "panic with error": "no luck"} {
		_, err := fail.Call(ctx, f, wish{How: how})
		var e *become.Error
		if !errors.As(err, &e) || e.Kind != become.Remote || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: got %v", how, err)
			continue
		}
		if !strings.Contains(e.Stack, "errors_test.go") {
			t.Errorf("%s: the stack does not say where:\n%s", how, e.Stack)
		}
	}
	if _, err := fail.Call(ctx, f, wish{How: "exit"}); become.KindOf(err) != become.Remote || !strings.Contains(err.Error(), "Goexit") {
		t.Errorf("Goexit: got %v", err)
	}
	for range 100 { // no slot is lost
		if v, err := double.Call(ctx, f, 4); v != 8 || err != nil {
			t.Fatalf("afterwards: %v, %v", v, err)
		}
	}
}

func TestPanic_InOneOfManyFailsThatOneAlone(t *testing.T) {
	f, ctx := alone(t), soon(t)
	inputs := func(yield func(wish) bool) {
		for i := range 2000 {
			w := wish{How: "plain"}
			switch i % 100 {
			case 7:
				w.How = "panic"
			case 8:
				w.How = "exit"
			}
			if !yield(w) {
				return
			}
		}
	}
	got := map[string]int{}
	for a := range fail.Map(ctx, f, inputs) {
		switch text := a.Err.Error(); {
		case strings.Contains(text, "panic") && a.Input.How == "panic", strings.Contains(text, "Goexit") && a.Input.How == "exit", text == "no luck" && a.Input.How == "plain":
			got[a.Input.How]++
		default:
			t.Fatalf("%s: %v", a.Input.How, a.Err)
		}
	}
	if got["panic"] != 20 || got["exit"] != 20 || got["plain"] != 1960 {
		t.Errorf("got %v", got)
	}
}

func TestRetryAfter_RunsACallAgainUpToItsTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, ctx := alone(t), context.Background()
		for how, text := range map[string]string{"retry": "no luck", "retry at all": "asks to be tried again after 1m0s"} {
			for tries, opts := range map[int64][]become.CallOptions{4: nil, 2: {{Tries: 2}}, 1: {{Tries: 1}}} {
				id, s := newStage(t)
				began := time.Now()
				_, err := fail.Call(ctx, f, wish{Kind: become.Busy, How: how, After: time.Minute, Stage: id}, opts...)
				if err == nil || err.Error() != text {
					t.Errorf("%s: got %v, want %q", how, err, text)
				}
				if how == "retry" && become.KindOf(err) != become.Busy {
					t.Errorf("kind %v, want busy", become.KindOf(err))
				}
				if s.runs.Load() != tries {
					t.Errorf("%d runs, want %d", s.runs.Load(), tries)
				}
				if took, want := time.Since(began), time.Duration(tries-1)*time.Minute; took != want {
					t.Errorf("%d tries took %v, want %v", tries, took, want)
				}
			}
		}
		// While it waits for its retry it can be cancelled.
		id, s := newStage(t)
		fu := fail.Go(ctx, f, wish{How: "retry", After: time.Hour, Stage: id})
		synctest.Wait()
		if fu.State() != become.StateQueued {
			t.Errorf("state %s while it waits", fu.State())
		}
		fu.Cancel()
		if _, err := fu.Wait(ctx); become.KindOf(err) != become.Canceled || s.runs.Load() != 1 {
			t.Errorf("got %v after %d runs, want canceled after 1", err, s.runs.Load())
		}
	})
}

func TestCall_IsNotRunAgainWhenItFails(t *testing.T) {
	f, ctx := alone(t), soon(t)
	for _, how := range []string{"plain", "", "give up", "panic"} {
		id, s := newStage(t)
		if _, err := fail.Call(ctx, f, wish{How: how, Stage: id}); err == nil || s.runs.Load() != 1 {
			t.Errorf("%q: got %v after %d runs, want an error after 1", how, err, s.runs.Load())
		}
	}
}

func TestAnswer_ThatCannotTravelIsInvalid(t *testing.T) {
	f, ctx := alone(t), soon(t)
	_, err := anything.Call(ctx, f, "a channel")
	if become.KindOf(err) != become.Invalid || err == nil || !strings.Contains(err.Error(), "send answer of anything") {
		t.Errorf("got %v", err)
	}
	_, err = anything.Call(ctx, f, make(chan int))
	if become.KindOf(err) != become.Invalid || err == nil || !strings.Contains(err.Error(), "send argument of anything") {
		t.Errorf("got %v", err)
	}
	fu := anything.Go(ctx, f, make(chan int))
	if <-fu.Done(); fu.State() != become.StateFailed || fu.Worker() != (become.Worker{}) {
		t.Errorf("state %s, worker %v", fu.State(), fu.Worker())
	}
	fu.Cancel() // it never got anywhere
}

// steps reports, then answers.
var steps = become.Func("steps", func(ctx context.Context, n int) (int, error) {
	for i := range n {
		if err := become.Report(ctx, point{X: i, Label: "step"}); err != nil {
			return 0, err
		}
	}
	if err := become.Report(ctx, make(chan int)); become.KindOf(err) != become.Invalid {
		return 0, fmt.Errorf("reporting a channel: %v", err)
	}
	if err := become.Report(ctx, make([]byte, 1<<20)); become.KindOf(err) != become.Invalid {
		return 0, fmt.Errorf("reporting a megabyte: %v", err)
	}
	return n, nil
})

func TestReport_ReachesTheCaller(t *testing.T) {
	f, ctx := alone(t), soon(t)
	var got []int
	hear := func(p become.Progress) {
		var at point
		if err := p.Decode(&at); err != nil || at.Label != "step" {
			t.Errorf("got %+v, %v", at, err)
		}
		got = append(got, at.X)
	}
	n, err := steps.Call(ctx, f, 100, become.CallOptions{OnProgress: hear})
	if n != 100 || err != nil {
		t.Fatal(n, err)
	}
	check := func(want int) {
		t.Helper()
		for i, x := range got {
			if x != i%100 {
				t.Fatalf("report %d says %d", i, x)
			}
		}
		if len(got) != want {
			t.Errorf("%d reports, want %d", len(got), want)
		}
		got = nil
	}
	check(100)
	if n, err := steps.Call(ctx, f, 3); n != 3 || err != nil { // nobody listens
		t.Error(n, err)
	}
	for a := range steps.Map(ctx, f, func(yield func(int) bool) { yield(100) }, become.CallOptions{OnProgress: hear}) {
		if a.Err != nil {
			t.Error(a.Err)
		}
	}
	check(100)
	if err := become.Report(ctx, 1); err != nil {
		t.Errorf("outside of a task: %v", err)
	}
}

// down calls itself: nested calls that wait must not use up the slots.
var down *become.Function[int, int]

func init() {
	down = become.Func("down", func(ctx context.Context, n int) (int, error) {
		if n == 0 {
			return 0, nil
		}
		f, err := become.Here(ctx)
		if err != nil {
			return 0, err
		}
		below, err := down.Call(ctx, f, n-1)
		return below + 1, err
	})
}

func TestHere_NestedCallsOfAnyDepthAndWidth(t *testing.T) {
	f, ctx := alone(t), soon(t)
	if n, err := down.Call(ctx, f, 100); n != 100 || err != nil {
		t.Errorf("got %v, %v", n, err)
	}
	var all []*become.Future[int]
	for range 50 {
		all = append(all, down.Go(ctx, f, 10))
	}
	if _, err := become.Gather(ctx, all...); err != nil {
		t.Error(err)
	}
	if _, err := become.Here(ctx); become.KindOf(err) != become.Invalid || err == nil {
		t.Errorf("outside of a function: %v, want invalid", err)
	}
}

// fan makes nested calls in every way there is.
var fan = become.Func("fan", func(ctx context.Context, n int) (int, error) {
	f, err := become.Here(ctx)
	if err != nil {
		return 0, err
	}
	sum := 0
	for a := range double.Map(ctx, f, count(n)) {
		if a.Err != nil {
			return 0, a.Err
		}
		sum += a.Value
	}
	v, err := become.First(ctx, double.Go(ctx, f, 1), double.Go(ctx, f, 1))
	if err != nil {
		return 0, err
	}
	j, err := double.Submit(ctx, f, 5)
	if err != nil {
		return 0, err
	}
	w, err := j.Wait(ctx)
	return sum + v + w, err
})

func TestHere_MapFirstAndJobsInside(t *testing.T) {
	f, ctx := alone(t), soon(t)
	var all []*become.Future[int]
	for range 8 {
		all = append(all, fan.Go(ctx, f, 500))
	}
	got, err := become.Gather(ctx, all...)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range got {
		if want := 499*500 + 2 + 10; v != want {
			t.Errorf("got %d, want %d", v, want)
		}
	}
}

func TestHere_IsTheFleetOfTheTask(t *testing.T) {
	// A fleet that came and went before, and one beside it, do not matter.
	if err := alone(t).Close(); err != nil {
		t.Fatal(err)
	}
	other, f, ctx := alone(t), alone(t), soon(t)
	for _, f := range []*become.Fleet{f, other} {
		if n, err := down.Call(ctx, f, 3); n != 3 || err != nil {
			t.Errorf("got %v, %v", n, err)
		}
	}
	other.Close()
	if n, err := down.Call(ctx, f, 3); n != 3 || err != nil {
		t.Errorf("got %v, %v", n, err)
	}
}

func TestNested_CallsEndWithTheirCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, ctx := alone(t), context.Background()
		id, s := newStage(t)
		fu := outer.Go(ctx, f, job{id, 1})
		<-s.started
		fu.Cancel()
		if _, err := fu.Wait(ctx); become.KindOf(err) != become.Canceled {
			t.Errorf("got %v, want canceled", err)
		}
		<-s.ended // the inner one's context
	})
}

var outer = become.Func("outer", func(ctx context.Context, j job) (int, error) {
	f, err := become.Here(ctx)
	if err != nil {
		return 0, err
	}
	return hold.Call(ctx, f, j)
})
