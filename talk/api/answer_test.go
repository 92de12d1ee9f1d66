package api_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/talk/api"
)

type Wait struct{ Name string }

// one makes an API of one handler.
func one(t *testing.T, timeout time.Duration, f func(context.Context, Wait) (Sum, error)) (*api.API, *api.Handler) {
	t.Helper()
	h, err := api.Handle(f, &api.HandlerOptions{Timeout: timeout})
	if err != nil {
		t.Fatal(err)
	}
	a, err := api.New("waits", []*api.Handler{h}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return a, h
}

func message(name string) reflect.Value {
	v := reflect.New(reflect.TypeFor[Wait]()).Elem()
	v.Field(0).SetString(name)
	return v
}

// end is a door's that can write anything.
type end func(err error, late bool)

func (end) Encode(api.Reply) error        { return nil }
func (x end) Answer(err error, late bool) { x(err, late) }

// answered is what came of a request.
type answered struct {
	name  string
	after time.Duration
	kind  fault.Kind
	late  bool
}

func TestAnswer_IsThereInTimeWhateverTheHandlerDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		goOn := make(chan struct{})
		a, h := one(t, time.Second, func(_ context.Context, m Wait) (Sum, error) {
			if m.Name == "quick" {
				return Sum{1}, nil
			}
			<-goOn
			return Sum{2}, nil
		})
		begun := time.Now()
		all := make(chan answered, 100)
		ask := func(name string) {
			begun := time.Now()
			a.Answer(t.Context(), h, message(name), end(func(err error, late bool) {
				is := answered{name: name, after: time.Since(begun), late: late}
				if err != nil {
					is.kind = fault.KindOf(err)
				}
				all <- is
			}))
		}
		for range 2 { // the second time after a time in which nothing was watched
			for _, name := range []string{"deaf", "quick", "deaf", "quick", "deaf"} {
				go ask(name)
				time.Sleep(300 * time.Millisecond)
			}
			time.Sleep(5 * time.Second)
			synctest.Wait()
			for range 5 {
				want := answered{name: "quick"}
				is := <-all
				if is.name == "deaf" {
					want = answered{"deaf", time.Second + 50*time.Millisecond, fault.Deadline, true}
				}
				if is != want {
					t.Errorf("got %+v, want %+v", is, want)
				}
			}
		}
		if took := time.Since(begun); took > 14*time.Second {
			t.Errorf("it took %v", took)
		}
		close(goOn)
		synctest.Wait()
		if len(all) > 0 {
			t.Errorf("it was answered again: %+v", <-all)
		}
	})
}

func TestAnswer_ReturnsAfterTheHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, h := one(t, time.Second, func(context.Context, Wait) (Sum, error) {
			time.Sleep(3 * time.Second)
			return Sum{}, nil
		})
		begun := time.Now()
		a.Answer(t.Context(), h, message(""), end(func(error, bool) { time.Sleep(time.Minute) }))
		if took, want := time.Since(begun), 61*time.Second+50*time.Millisecond; took != want {
			t.Errorf("it took %v, want %v", took, want)
		}
	})
}

// ended says how a context ended: what it says, its cause, and when.
type ended struct {
	err, cause error
	after      time.Duration
}

// endOf waits for the end of a context of its kind.
func endOf(ctx context.Context) ended {
	begun := time.Now()
	<-ctx.Done()
	return ended{ctx.Err(), context.Cause(ctx), time.Since(begun).Round(time.Millisecond)}
}

func TestAnswer_ItsContextEnds(t *testing.T) {
	parted := errors.New("the client is gone")
	key := new(int)
	for name, c := range map[string]struct {
		parent func(context.Context) (context.Context, func())
		want   ended
	}{
		"at the timeout": {func(ctx context.Context) (context.Context, func()) { return ctx, func() {} },
			ended{context.DeadlineExceeded, context.DeadlineExceeded, time.Second}},
		"at an earlier deadline": {func(ctx context.Context) (context.Context, func()) {
			ctx, cancel := context.WithTimeout(ctx, time.Millisecond)
			return ctx, cancel
		}, ended{context.DeadlineExceeded, context.DeadlineExceeded, time.Millisecond}},
		"with the client": {func(ctx context.Context) (context.Context, func()) {
			ctx, cancel := context.WithCancelCause(ctx)
			time.AfterFunc(10*time.Millisecond-time.Microsecond, func() { cancel(parted) })
			return ctx, func() { cancel(nil) }
		}, ended{context.Canceled, parted, 10 * time.Millisecond}},
	} {
		for how, wait := range map[string]func(context.Context) ended{
			"itself": endOf,
			"a child": func(ctx context.Context) ended {
				ctx, cancel := context.WithCancel(ctx)
				defer cancel()
				return endOf(ctx)
			},
			"asked again and again": func(ctx context.Context) ended {
				begun := time.Now()
				for ctx.Err() == nil {
					time.Sleep(time.Millisecond)
				}
				return ended{ctx.Err(), context.Cause(ctx), time.Since(begun).Round(time.Millisecond)}
			},
		} {
			t.Run(name+", "+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					a, h := one(t, time.Second, func(ctx context.Context, _ Wait) (Sum, error) {
						if ctx.Value(key) != "it" {
							t.Error("the context has lost a value")
						}
						if got := wait(ctx); got != c.want {
							t.Errorf("got %v, want %v", got, c.want)
						}
						if ctx.Value(key) != "it" {
							t.Error("the context has lost a value at its end")
						}
						return Sum{}, nil
					})
					parent, stop := c.parent(context.WithValue(t.Context(), key, "it"))
					defer stop()
					a.Answer(parent, h, message(""), end(func(err error, _ bool) {
						if err != nil {
							t.Error(err)
						}
					}))
				})
			})
		}
	}
}

func TestAnswer_ItsContextEndsWithIt(t *testing.T) {
	for _, waited := range []bool{false, true} {
		var kept context.Context
		a, h := one(t, time.Hour, func(ctx context.Context, _ Wait) (Sum, error) {
			kept = ctx
			if at, ok := ctx.Deadline(); !ok || time.Until(at) > time.Hour || time.Until(at) < 59*time.Minute {
				t.Errorf("its deadline is %v, %t", at, ok)
			}
			if waited {
				select {
				case <-ctx.Done():
					t.Error("it has ended")
				default:
				}
			}
			return Sum{}, ctx.Err()
		})
		a.Answer(t.Context(), h, message(""), end(func(err error, _ bool) {
			if err != nil {
				t.Error(err)
			}
		}))
		<-kept.Done()
		if !errors.Is(kept.Err(), context.Canceled) {
			t.Errorf("waited %t: got %v", waited, kept.Err())
		}
	}
}

// A handler that ends its goroutine is answered for, and gives its place back, whether it was late or not.
func TestAnswer_ForWhoEndsItsGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			timeout, runs time.Duration
			want          answered
		}{
			{-1, time.Hour, answered{name: "an error", after: time.Hour, kind: fault.Internal, late: true}},
			{time.Minute, time.Second, answered{name: "an error", after: time.Second, kind: fault.Internal, late: true}},
			{time.Minute, time.Hour, answered{name: "an error", after: time.Minute + 50*time.Millisecond, kind: fault.Deadline, late: true}},
		} {
			h, err := api.Handle(func(context.Context, Wait) (Sum, error) {
				time.Sleep(c.runs)
				runtime.Goexit()
				return Sum{}, nil
			}, &api.HandlerOptions{Timeout: c.timeout})
			if err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			a, err := api.New("waits", []*api.Handler{h}, &api.Options{MaxRequests: 1, Logger: slog.New(slog.NewTextHandler(&log, nil))})
			if err != nil {
				t.Fatal(err)
			}
			for range 3 {
				begun := time.Now()
				var all []answered
				var wg sync.WaitGroup
				wg.Go(func() {
					a.Answer(t.Context(), h, message("it"), end(func(err error, late bool) {
						is := answered{after: time.Since(begun), late: late}
						if err != nil {
							is.name, is.kind = "an error", fault.KindOf(err)
						}
						all = append(all, is)
					}))
				})
				wg.Wait()
				if len(all) != 1 || all[0] != c.want {
					t.Errorf("got %+v, want %+v", all, c.want)
				}
			}
			if got := log.String(); strings.Count(got, "ended its goroutine") != 3 || !strings.Contains(got, "request=Wait") {
				t.Errorf("the log has:\n%s", got)
			}
		}
	})
}
