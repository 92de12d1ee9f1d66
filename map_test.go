package become_test

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/universal-server/become"
)

func count(n int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range n {
			if !yield(i) {
				return
			}
		}
	}
}

const large = 200_000 // several windows

func TestMap_AnswersEveryInputOnce(t *testing.T) {
	f, ctx := alone(t), soon(t)
	seen := make([]bool, large)
	for a := range double.Map(ctx, f, count(large)) {
		if a.Err != nil {
			t.Fatal(a.Err)
		}
		if a.Input != a.Index || a.Value != 2*a.Input || a.Worker.PID == 0 {
			t.Fatalf("got %+v", a)
		}
		if seen[a.Index] {
			t.Fatalf("input %d was answered twice", a.Index)
		}
		seen[a.Index] = true
	}
	if i := slices.Index(seen, false); i >= 0 {
		t.Errorf("input %d was not answered", i)
	}
	for range double.Map(ctx, f, count(0)) {
		t.Error("an answer without an input")
	}
}

func TestMapOrdered_KeepsTheOrder(t *testing.T) {
	f, ctx := alone(t), soon(t)
	next := 0
	for a := range double.MapOrdered(ctx, f, count(large)) {
		if a.Err != nil || a.Index != next || a.Input != next || a.Value != 2*next {
			t.Fatalf("got %+v, want number %d", a, next)
		}
		next++
	}
	if next != large {
		t.Errorf("%d answers, want %d", next, large)
	}
}

func TestMapOrdered_ALateAnswerHoldsTheOthersBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, ctx := alone(t), context.Background()
		id, s := newStage(t) // holds input 0
		quick, q := newStage(t)
		close(q.release)
		inputs := func(yield func(job) bool) {
			_ = yield(job{id, 0}) && yield(job{quick, 1}) && yield(job{quick, 2})
		}
		go func() {
			synctest.Wait()
			close(s.release)
		}()
		var got []int
		for a := range hold.MapOrdered(ctx, f, inputs) {
			got = append(got, a.Value)
		}
		if !slices.Equal(got, []int{0, 1, 2}) {
			t.Errorf("got %v", got)
		}
	})
}

func TestMap_FailedItemsFailAlone(t *testing.T) {
	f, ctx := alone(t), soon(t)
	for name, m := range map[string]func(context.Context, *become.Fleet, iter.Seq[int], ...become.CallOptions) iter.Seq[become.Answer[int, int]]{
		"Map": even.Map, "MapOrdered": even.MapOrdered,
	} {
		failed := 0
		for a := range m(ctx, f, count(1000)) {
			odd := a.Input%2 != 0
			if odd {
				failed++
			}
			if odd != (a.Err != nil) || !odd && a.Value != a.Input/2 {
				t.Errorf("%s: got %+v", name, a)
			}
			if odd && (become.KindOf(a.Err) != become.Remote || a.Index != a.Input) {
				t.Errorf("%s: got %+v", name, a)
			}
		}
		if failed != 500 {
			t.Errorf("%s: %d failed, want 500", name, failed)
		}
	}
}

// anything is typed so that it can hold what cannot travel.
var anything = become.Func("anything", func(_ context.Context, v any) (any, error) {
	if v == "a channel" {
		return make(chan int), nil
	}
	return v, nil
})

func TestMap_InputsAndAnswersThatCannotTravelFailAlone(t *testing.T) {
	f, ctx := alone(t), soon(t)
	inputs := []any{"good", make(chan int), "a channel", "also good", func() {}}
	want := []string{"good", "", "", "also good", ""}
	n := 0
	for a := range anything.MapOrdered(ctx, f, slices.Values(inputs)) {
		n++
		if want[a.Index] == "" {
			if become.KindOf(a.Err) != become.Invalid || a.Err == nil {
				t.Errorf("input %d: %v, %v; want invalid", a.Index, a.Value, a.Err)
			}
		} else if a.Err != nil || a.Value != want[a.Index] {
			t.Errorf("input %d: %v, %v", a.Index, a.Value, a.Err)
		}
	}
	if n != len(inputs) {
		t.Errorf("%d answers, want %d", n, len(inputs))
	}
}

func TestMap_LargeInputsTravelByReference(t *testing.T) {
	f, ctx := alone(t), soon(t)
	sizes := []int{10, 300 << 10, 0, 5 << 20, 20}
	inputs := func(yield func([]byte) bool) {
		for i, n := range sizes {
			if !yield(slices.Repeat([]byte{byte('a' + i)}, n)) {
				return
			}
		}
	}
	i := 0
	for a := range same.MapOrdered(ctx, f, inputs) {
		if a.Err != nil || len(a.Value) != sizes[i] || len(a.Value) > 0 && a.Value[len(a.Value)-1] != byte('a'+i) {
			t.Errorf("input %d: %d bytes, %v", i, len(a.Value), a.Err)
		}
		i++
	}
	if i != len(sizes) {
		t.Errorf("%d answers", i)
	}
}

// endless counts what is drawn of it.
func endless(drawn *atomic.Int64, make func(int) job) iter.Seq[job] {
	return func(yield func(job) bool) {
		for i := 0; ; i++ {
			drawn.Add(1)
			if !yield(make(i)) {
				return
			}
		}
	}
}

func TestMap_DrawsAnEndlessInputOnlySoFarAhead(t *testing.T) {
	const window = 65_536
	for name, m := range map[string]func(context.Context, *become.Fleet, iter.Seq[job], ...become.CallOptions) iter.Seq[become.Answer[job, int]]{
		"Map": hold.Map, "MapOrdered": hold.MapOrdered,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, ctx := alone(t), context.Background()
				id, s := newStage(t)
				var drawn atomic.Int64
				left := make(chan int)
				go func() {
					n := 0
					for a := range m(ctx, f, endless(&drawn, func(i int) job { return job{id, i} })) {
						if a.Err != nil {
							t.Error(a.Err)
						}
						if n++; n == 2000 {
							break
						}
					}
					left <- n
				}()
				synctest.Wait()
				if n := drawn.Load(); n != window+1 { // the one beyond waits for room
					t.Errorf("%d inputs were drawn without an answer, want %d", n, window+1)
				}
				close(s.release)
				n := <-left
				if over := drawn.Load() - int64(n); over > window+1024+1 {
					t.Errorf("%d inputs were drawn ahead of the answers", over)
				}
				drawnThen := drawn.Load()
				synctest.Wait()
				if drawn.Load() != drawnThen {
					t.Error("inputs were drawn after the loop was left")
				}
			})
		})
	}
}

func TestMap_LeavingTheLoopCancelsTheRest(t *testing.T) {
	for name, m := range map[string]func(context.Context, *become.Fleet, iter.Seq[job], ...become.CallOptions) iter.Seq[become.Answer[job, int]]{
		"Map": hold.Map, "MapOrdered": hold.MapOrdered,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, ctx := alone(t), context.Background()
				id, s := newStage(t)
				quick, q := newStage(t)
				close(q.release)
				inputs := func(yield func(job) bool) {
					if !yield(job{quick, 0}) {
						return
					}
					for i := range 5000 {
						if !yield(job{id, i}) {
							return
						}
					}
				}
				for a := range m(ctx, f, inputs) {
					if a.Value != 0 || a.Err != nil {
						t.Errorf("got %+v", a)
					}
					break
				}
				synctest.Wait()
				if began, ended := s.runs.Load(), len(s.ended); int64(ended) != began || s.now.Load() != 0 {
					t.Errorf("%d of %d contexts ended, %d still run", ended, began, s.now.Load())
				}
				// Nothing is left in the way of others.
				if v, err := double.Call(ctx, f, 1); v != 2 || err != nil {
					t.Errorf("afterwards: %v, %v", v, err)
				}
			})
		})
	}
}

func TestMap_AnswersWithTheContextsError(t *testing.T) {
	for name, c := range map[string]struct {
		kind become.Kind
		end  func(context.CancelCauseFunc)
	}{
		"deadline": {become.Deadline, func(context.CancelCauseFunc) {}},
		"canceled": {become.Canceled, func(cancel context.CancelCauseFunc) { cancel(errOdd) }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := alone(t)
				id, _ := newStage(t)
				ctx, stop := context.WithTimeout(context.Background(), time.Minute)
				defer stop()
				ctx, cancel := context.WithCancelCause(ctx)
				defer cancel(nil)
				inputs := func(yield func(job) bool) {
					for i := range 3000 {
						if !yield(job{id, i}) {
							return
						}
					}
				}
				go func() {
					synctest.Wait()
					c.end(cancel)
				}()
				answers := 0
				for a := range hold.Map(ctx, f, inputs) {
					answers++
					if become.KindOf(a.Err) != c.kind {
						t.Fatalf("input %d: %v, want %v", a.Index, a.Err, c.kind)
					}
					if c.kind == become.Canceled && !errors.Is(a.Err, errOdd) {
						t.Fatalf("input %d: %v does not say why", a.Index, a.Err)
					}
				}
				if answers != 3000 {
					t.Errorf("%d of 3000 inputs were answered", answers)
				}
			})
		})
	}
}

func TestMap_ASlowInputSequenceDelaysNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, ctx := alone(t), context.Background()
		inputs := func(yield func(int) bool) {
			for i := range 3 {
				if !yield(i) {
					return
				}
				time.Sleep(time.Hour) // of the bubble
			}
		}
		began := time.Now()
		for a := range double.Map(ctx, f, inputs) {
			if late := time.Since(began) - time.Duration(a.Index)*time.Hour; late > time.Minute {
				t.Errorf("answer %d came %v late", a.Index, late)
			}
		}
	})
}
