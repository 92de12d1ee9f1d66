package become_test

import (
	"context"
	"errors"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/universal-server/become"
)

func check[In, Out any](name string) error {
	_, err := become.CheckFunc(name, func(context.Context, In) (out Out, err error) { return out, nil })
	return err
}

func TestCheckFunc_RefusesWhatCannotTravel(t *testing.T) {
	type inside struct{ F func() }
	for _, c := range []struct {
		what string
		err  error
		kind become.Kind
		text string
	}{
		{"channel in", check[chan int, int]("bad1"), become.Invalid, "bad1"},
		{"channel out", check[int, <-chan int]("bad2"), become.Invalid, "bad2"},
		{"function inside", check[[]inside, int]("bad3"), become.Invalid, "bad3"},
		{"no name", check[int, int](""), become.Invalid, `""`},
		{"space", check[int, int]("a b"), become.Invalid, `"a b"`},
		{"dot", check[int, int]("a.b"), become.Invalid, `"a.b"`},
		{"newline", check[int, int]("a\n"), become.Invalid, "a name is letters"},
		{"long", check[int, int](strings.Repeat("x", 64)), become.Invalid, "a name is letters"},
		{"taken", check[int, int]("double"), become.Conflict, "double"},
	} {
		if become.KindOf(c.err) != c.kind || c.err == nil || !strings.Contains(c.err.Error(), c.text) {
			t.Errorf("%s: got %v, want %v naming %q", c.what, c.err, c.kind, c.text)
		}
	}
	if _, err := become.CheckFunc[int, int]("nil", nil); become.KindOf(err) != become.Invalid || err == nil {
		t.Errorf("a nil function: %v, want invalid", err)
	}
}

func TestFunc_PanicsWhereCheckFuncRefuses(t *testing.T) {
	defer func() {
		if e, ok := recover().(error); !ok || become.KindOf(e) != become.Conflict {
			t.Errorf("panic with %v, want a conflict", e)
		}
	}()
	become.Func("double", func(context.Context, int) (int, error) { return 0, nil })
	t.Error("no panic")
}

func TestNamed_WantsADeploymentAndAFunction(t *testing.T) {
	for _, name := range []string{"", "x", ".", "a.", ".b", "a.b.c", "a b.c", "a.b\n"} {
		if _, err := become.Named[int, int](name); become.KindOf(err) != become.Invalid || err == nil {
			t.Errorf("%q: %v, want invalid", name, err)
		}
	}
	f, err := become.Named[int, int]("crunch.Multiply")
	if err != nil || f.Name() != "crunch.Multiply" {
		t.Errorf("got %v, %v", f, err)
	}
}

func TestCall_CarriesValuesOfAnyType(t *testing.T) {
	f, ctx := alone(t), soon(t)
	exact, _ := new(big.Int).SetString("123456789012345678901234567890", 10)
	got, err := mirror.Call(ctx, f, point{X: 1, Y: -2, Label: "ü", Tags: []string{"a", ""}, Exact: exact})
	want := point{X: -2, Y: 1, Label: "ü", Tags: []string{"a", ""}, Exact: exact}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
}

func TestCall_LargeValuesTravelByReference(t *testing.T) {
	f, ctx := alone(t), soon(t)
	in := make([]byte, 9<<20) // more than a frame holds
	for i := range in {
		in[i] = byte(i * 7)
	}
	out, err := same.Call(ctx, f, in)
	if err != nil || !reflect.DeepEqual(in, out) {
		t.Errorf("got %d bytes, %v; want %d", len(out), err, len(in))
	}
}

func TestOptions_TimeoutEndsTheTask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := alone(t)
		for want, opts := range map[time.Duration][]become.CallOptions{
			50 * time.Millisecond: nil,
			70 * time.Millisecond: {{Timeout: 70 * time.Millisecond}},
		} {
			began := time.Now()
			_, err := hurried.Call(context.Background(), f, struct{}{}, opts...)
			if become.KindOf(err) != become.Deadline || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want a deadline", err)
			}
			if took := time.Since(began); took != want {
				t.Errorf("it took %v, want %v", took, want)
			}
		}
	})
}

// As with a timeout that is what is left until a moment already past.
func TestOptions_ATimeThatIsOverFailsItsTaskAlone(t *testing.T) {
	f, ctx := alone(t), soon(t)
	id, s := newStage(t)
	other := hold.Go(ctx, f, job{Stage: id})
	<-s.started
	late := become.CallOptions{Timeout: -5 * time.Second}
	if v, err := double.Call(ctx, f, 1, late); become.KindOf(err) != become.Deadline {
		t.Errorf("a call: %v, %v, want deadline", v, err)
	}
	for a := range double.Map(ctx, f, slices.Values([]int{1, 2}), late) {
		if become.KindOf(a.Err) != become.Deadline {
			t.Errorf("Map: %v, %v, want deadline", a.Value, a.Err)
		}
	}
	if _, err := double.Submit(ctx, f, 1, become.JobOptions{Timeout: -5 * time.Second}); become.KindOf(err) != become.Deadline {
		t.Errorf("a job: %v, want deadline", err)
	}
	j, err := double.Submit(ctx, f, 21, become.JobOptions{Tries: -1})
	if err != nil {
		t.Fatal(err)
	}
	if v, err := j.Wait(ctx); v != 42 || err != nil {
		t.Errorf("a job with a number of tries that makes no sense: %v, %v", v, err)
	}
	close(s.release)
	if _, err := other.Wait(ctx); err != nil || s.runs.Load() != 1 {
		t.Errorf("another call ran %d times: %v", s.runs.Load(), err)
	}
}

func TestOptions_SlotsBoundOneFunctionOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := alone(t)
		ctx := context.Background()
		id, s := newStage(t)
		var calls []*become.Future[int]
		for i := range 20 {
			calls = append(calls, one.Go(ctx, f, job{id, i}))
		}
		if _, err := become.Gather(ctx, calls...); err != nil {
			t.Fatal(err)
		}
		if most, runs := s.most.Load(), s.runs.Load(); most != 1 || runs != 20 {
			t.Errorf("%d at once in %d runs, want 1 in 20", most, runs)
		}
		id, s = newStage(t)
		var jobs []*become.Job[int]
		for i := range 20 {
			j, err := one.Submit(ctx, f, job{id, i})
			if err != nil {
				t.Fatal(err)
			}
			jobs = append(jobs, j)
		}
		for _, j := range jobs {
			if _, err := j.Wait(ctx); err != nil {
				t.Fatal(err)
			}
		}
		if most, runs := s.most.Load(), s.runs.Load(); most != 1 || runs != 20 {
			t.Errorf("jobs: %d at once in %d runs, want 1 in 20", most, runs)
		}
	})
}
