package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/work/engine"
	"github.com/universal-server/become/work/task"
)

// one runs one task. The answer is in the returned slice.
func (r *run) one(ctx *taskContext, v task.Value, scratch []byte) (task.Outcome, []byte) {
	if r.fnErr != nil {
		return task.Outcome{Status: task.GaveUp, Err: r.fnErr}, scratch
	}
	var c context.Context = ctx
	timeout := r.pack.Timeout
	if timeout == 0 {
		timeout = time.Duration(r.fn.Limits().TimeoutMS) * time.Millisecond
	}
	if timeout > 0 {
		withTimeout, cancel := context.WithTimeoutCause(c, timeout, fmt.Errorf("longer than %v", timeout))
		defer cancel()
		// The grace begins when the time is over, whatever the function does.
		defer context.AfterFunc(withTimeout, func() { r.expire(ctx.index, withTimeout) })()
		c = withTimeout
	}
	input := v.Data
	if v.Ref {
		loaded, err := r.load(c, string(v.Data))
		if err != nil {
			return task.Outcome{Status: task.Failed, Err: err}, scratch
		}
		input = loaded
	}
	answer, err := r.fn.Invoke(c, r.pack.Format, input, scratch)
	if err != nil {
		return outcomeOf(c, r.pack.Function, err), answer
	}
	if len(answer) > task.Inline {
		name, err := r.store(c, answer)
		if err != nil {
			return task.Outcome{Status: task.Failed, Err: err}, answer
		}
		return task.Outcome{Status: task.OKRef, Value: []byte(name)}, nil
	}
	return task.Outcome{Status: task.OK, Value: answer}, answer
}

func (r *run) load(ctx context.Context, name string) ([]byte, error) {
	if r.w.opts.Values == nil {
		return nil, fault.Text(fault.Invalid, "load value", name, "this worker takes no values by reference")
	}
	return r.w.opts.Values.Load(ctx, name)
}

func (r *run) store(ctx context.Context, value []byte) (string, error) {
	if r.w.opts.Values == nil {
		return "", fault.Text(fault.Invalid, "answer", r.pack.Function, fmt.Sprintf("%d bytes, the limit is %d", len(value), task.Inline))
	}
	return r.w.opts.Values.Store(ctx, value)
}

// outcomeOf sorts a function's error: what it says itself, and what the end
// of its context makes of it.
func outcomeOf(ctx context.Context, function string, err error) task.Outcome {
	if retry, ok := errors.AsType[*engine.RetryError](err); ok {
		if retry.Err != nil {
			err = retry.Err
		}
		return task.Outcome{Status: task.Retry, After: retry.After, Err: remote(function, err)}
	}
	if quit, ok := errors.AsType[*engine.GiveUpError](err); ok {
		return task.Outcome{Status: task.GaveUp, Err: remote(function, quit.Err)}
	}
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return task.Outcome{Status: task.Failed, Err: fault.New(fault.KindOf(ctx.Err()), "run function", function, context.Cause(ctx))}
	}
	return task.Outcome{Status: task.Failed, Err: remote(function, err)}
}

// remote marks an error nobody classified as the function's own.
func remote(function string, err error) error {
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	kind := fault.Remote
	if k := fault.KindOf(err); k != fault.Internal {
		kind = k
	}
	return &fault.Error{Kind: kind, Err: err}
}

// taskContext is the context of one task and the function's handle on its
// worker in one allocation.
type taskContext struct {
	context.Context
	r     *run
	index int
}

var _ engine.Handle = (*taskContext)(nil)

// Value answers for the handle and passes every other key on.
func (c *taskContext) Value(key any) any {
	if key == engine.HandleKey {
		return c
	}
	return c.Context.Value(key)
}

// Format is the format of the task's values.
func (c *taskContext) Format() engine.Format { return c.r.pack.Format }

// Attempt is 1 the first time the task is run.
func (c *taskContext) Attempt() int { return c.r.out.attempt(c.index) }

// Progress sends value to the boss, unless the task has ended.
func (c *taskContext) Progress(value []byte) error {
	if len(value) > task.Inline {
		return fault.Text(fault.Invalid, "report progress", "", fmt.Sprintf("%d bytes, the limit is %d", len(value), task.Inline))
	}
	c.r.mu.Lock()
	live := !c.r.over && c.r.current == c.index
	c.r.mu.Unlock()
	if live {
		c.r.out.progress(c.r.pack.ID, c.index, value)
	}
	return nil
}

// Block lends the slot to others, until every Block has its Unblock.
func (c *taskContext) Block() {
	c.r.keepOnlyCurrent()
	c.r.w.block(c.r)
}

// Unblock takes the slot back.
func (c *taskContext) Unblock() { c.r.w.unblock(c.r) }
