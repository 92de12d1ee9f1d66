package become_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/universal-server/become"
	"github.com/universal-server/become/ground/fault"
)

// after answers when some time has passed; less than none is an error.
func after(d time.Duration) func(context.Context) (time.Duration, error) {
	return func(ctx context.Context) (time.Duration, error) {
		select {
		case <-time.After(d.Abs()):
		case <-ctx.Done():
			return 0, ctx.Err()
		}
		if d < 0 {
			return 0, fmt.Errorf("%v is less than none", d)
		}
		return d, nil
	}
}

func TestAsync_SeveralAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, began := t.Context(), time.Now()
		one, two := become.Async(ctx, after(2*time.Second)), become.Async(ctx, after(time.Second))
		if got := one.State(); got != become.StateRunning {
			t.Errorf("it is %s", got)
		}
		all, err := become.Gather(ctx, one, two)
		if err != nil || !slices.Equal(all, []time.Duration{2 * time.Second, time.Second}) || time.Since(began) != 2*time.Second {
			t.Errorf("got %v, %v after %v", all, err, time.Since(began))
		}
		slow := become.Async(ctx, after(time.Hour))
		first, err := become.First(ctx, slow, become.Async(ctx, after(-time.Second)), become.Async(ctx, after(2*time.Second)))
		if err != nil || first != 2*time.Second {
			t.Errorf("got %v, %v", first, err)
		}
		<-slow.Done() // First has cancelled it
		if got := slow.State(); got != become.StateCanceled {
			t.Errorf("it is %s", got)
		}
		var order []time.Duration
		for fu := range become.AsDone(ctx, become.Async(ctx, after(3)), become.Async(ctx, after(1)), become.Async(ctx, after(2))) {
			d, _ := fu.Wait(ctx)
			order = append(order, d)
		}
		if !slices.Equal(order, []time.Duration{1, 2, 3}) {
			t.Errorf("got %v", order)
		}
	})
}

func TestAsync_EndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		fu := become.Async(ctx, after(time.Hour))
		if _, err := fu.Wait(context.Background()); become.KindOf(err) != become.Deadline || ctx.Err() == nil {
			t.Errorf("got %v", err)
		}
		deaf := make(chan struct{})
		fu = become.Async(t.Context(), func(context.Context) (time.Duration, error) { <-deaf; return 0, nil })
		if _, err := fu.Wait(ctx); become.KindOf(err) != become.Deadline {
			t.Errorf("got %v", err)
		}
		told := make(chan become.State, 1)
		fu.OnDone(func(fu *become.Future[time.Duration]) { told <- fu.State() })
		close(deaf)
		if got := <-told; got != become.StateSucceeded {
			t.Errorf("it is %s", got)
		}
	})
}

func TestAsync_APanicIsAnError(t *testing.T) {
	fu := become.Async(t.Context(), func(context.Context) (int, error) { panic("oh no") })
	if _, err := fu.Wait(t.Context()); err == nil || !strings.Contains(err.Error(), "oh no") || !strings.Contains(fault.Stack(err), "TestAsync_APanic") {
		t.Errorf("got %v, %s", err, fault.Stack(err))
	}
	if got := fu.State(); got != become.StateFailed {
		t.Errorf("it is %s", got)
	}
}

func TestAsync_WhoEndsItsGoroutineHasFailed(t *testing.T) {
	fu := become.Async(t.Context(), func(context.Context) (n int, err error) { runtime.Goexit(); return n, err })
	if _, err := fu.Wait(t.Context()); err == nil || !strings.Contains(err.Error(), "it ended its goroutine") || fu.State() != become.StateFailed {
		t.Errorf("got %v, it is %s", err, fu.State())
	}
}

func TestThen_IsASequence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		text := func(_ context.Context, d time.Duration) (string, error) { return d.String(), nil }
		if got, err := become.Then(ctx, become.Async(ctx, after(time.Second)), text).Wait(ctx); got != "1s" || err != nil {
			t.Errorf("got %v, %v", got, err)
		}
		if _, err := become.Then(ctx, become.Async(ctx, after(-time.Second)), text).Wait(ctx); err == nil {
			t.Error("what follows a failure has succeeded")
		}
	})
}

func TestRetry_UntilItSucceeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries, began := 0, time.Now()
		got, err := become.Retry(t.Context(), func(context.Context) (int, error) {
			if tries++; tries < 4 {
				return 0, become.NewError(become.Busy, "not now")
			}
			return tries, nil
		})
		// The pauses are 100, 200 and 400 ms, or down to a half of that.
		if took := time.Since(began); got != 4 || err != nil || took < 350*time.Millisecond || took > 700*time.Millisecond {
			t.Errorf("got %v, %v after %v", got, err, took)
		}
	})
}

func TestRetry_GivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			err   error
			tries int
			took  time.Duration // 0: whatever
		}{
			{errors.New("a plain one"), 3, 0},
			{become.NewError(become.Lost, "gone"), 3, 0},
			{become.RetryAfter(time.Minute), 3, 2 * time.Minute},
			{become.NewError(become.Invalid, "wrong"), 1, 0},
			{become.NewError(become.Denied, "no"), 1, 0},
			{become.GiveUp(errors.New("it is no use")), 1, 0},
		} {
			tries, began := 0, time.Now()
			_, err := become.Retry(t.Context(), func(context.Context) (int, error) { tries++; return 0, c.err }, become.RetryOptions{Tries: 3})
			if took := time.Since(began); c.took > 0 && took != c.took {
				t.Errorf("%v: it took %v", c.err, took)
			}
			if tries != c.tries || !errors.Is(err, c.err) {
				t.Errorf("%v: %d tries, %v", c.err, tries, err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		tries := 0
		_, err := become.Retry(ctx, func(ctx context.Context) (int, error) {
			tries++
			<-ctx.Done() // a slow peer
			return 0, ctx.Err()
		}, become.RetryOptions{Tries: -1, Within: 7 * time.Second, First: time.Second, Most: time.Second})
		if become.KindOf(err) != become.Deadline || tries != 8 && tries != 9 {
			t.Errorf("%d tries, %v", tries, err)
		}
	})
}
