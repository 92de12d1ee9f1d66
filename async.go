package become

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/work/engine"
	"github.com/universal-server/become/work/task"
)

// Async begins f in this process, on a goroutine of its own, and returns at once with a future of its answer, for handlers that
// ask several others: see [Gather] for all of them, [First] for the first that succeeds, [AsDone] for one after the other
// as they come, [Then] for what follows. f's context ends with ctx, with a handler's therefore at its deadline, and with
// [Future.Cancel]. A panic is an error with its stack.
func Async[Out any](ctx context.Context, f func(ctx context.Context) (Out, error)) *Future[Out] {
	ctx, cancel := context.WithCancel(ctx)
	fu := &Future[Out]{done: make(chan struct{}), cancel: cancel}
	fu.call.Function = "what was begun"
	go func() {
		defer cancel()
		fu.err = fault.Text(fault.Internal, "do", "what was begun", "it ended its goroutine (runtime.Goexit)") // unless it returns
		defer func() {
			o := task.Outcome{Status: task.OK}
			if fu.err != nil {
				o = task.Outcome{Status: task.Failed, Err: fu.err}
			}
			fu.settle(o, Worker{})
		}()
		fu.value, fu.err = protected(ctx, f)
	}()
	return fu
}

func protected[Out any](ctx context.Context, f func(context.Context) (Out, error)) (out Out, err error) {
	defer func() {
		if p := recover(); p != nil {
			e := fault.Text(fault.Internal, "do", "what was begun", fmt.Sprintf("panic: %v", p))
			e.Stack = string(debug.Stack())
			err = e
		}
	}()
	return f(ctx)
}

// Then begins f with a future's answer when that is there, and returns at once with a future of what f answers: a sequence.
// A future that fails fails what follows.
func Then[In, Out any](ctx context.Context, first *Future[In], f func(ctx context.Context, in In) (Out, error)) *Future[Out] {
	return Async(ctx, func(ctx context.Context) (out Out, err error) {
		in, err := first.Wait(ctx)
		if err != nil {
			return out, err
		}
		return f(ctx, in)
	})
}

// RetryOptions say how [Retry] tries again. The zero value means the defaults.
type RetryOptions struct {
	// Tries is how often at most. Default 5; negative: until ctx ends.
	Tries int
	// First is the first pause, which doubles each time up to Most; each is shortened by chance, by up to a half. Defaults
	// 100 ms and 5 s.
	First, Most time.Duration
	// Within is how long each try may take. Default: as long as ctx.
	Within time.Duration
}

// Retry calls f until it succeeds. Tried again is what may do better: not an error that is [Invalid], [NotFound], [Conflict], [Denied]
// or [Canceled], nor what [GiveUp] wraps. [RetryAfter] says how long to wait. When ctx ends, or the tries are spent, the last error is
// returned.
func Retry[Out any](ctx context.Context, f func(ctx context.Context) (Out, error), opts ...RetryOptions) (Out, error) {
	var o RetryOptions
	if len(opts) > 0 {
		o = opts[len(opts)-1]
	}
	o.setDefaults()
	pause := o.First
	for try := 1; ; try++ {
		out, err := once(ctx, o.Within, f)
		if err == nil {
			return out, nil
		}
		wait := pause/2 + rand.N(pause/2+1)
		if after, ok := errors.AsType[*engine.RetryError](err); ok {
			wait = after.After
		}
		if try == o.Tries || !retryable(err) || !sleep(ctx, wait) {
			if try > 1 {
				err = fmt.Errorf("after %d tries: %w", try, err)
			}
			return out, err
		}
		pause = min(2*pause, o.Most)
	}
}

func (o *RetryOptions) setDefaults() {
	if o.Tries == 0 {
		o.Tries = 5
	}
	if o.First <= 0 {
		o.First = 100 * time.Millisecond
	}
	if o.Most <= 0 {
		o.Most = 5 * time.Second
	}
}

func once[Out any](ctx context.Context, within time.Duration, f func(context.Context) (Out, error)) (Out, error) {
	if within > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, within)
		defer cancel()
	}
	return f(ctx)
}

func retryable(err error) bool {
	if _, ok := errors.AsType[*engine.GiveUpError](err); ok {
		return false
	}
	switch KindOf(err) {
	case Invalid, NotFound, Conflict, Denied, Canceled:
		return false
	}
	return true
}

// sleep returns false when ctx ends first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
