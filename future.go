package become

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"sync"
	"time"

	"github.com/universal-server/become/ground/codec"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/trace"
	"github.com/universal-server/become/ground/trace/span"
	"github.com/universal-server/become/work/boss"
	"github.com/universal-server/become/work/engine"
	"github.com/universal-server/become/work/task"
)

// CallOptions are one call's wishes. The zero value means the function's own.
type CallOptions struct {
	// Timeout ends the task. Default: the function's.
	Timeout time.Duration
	// Tries is how often the call is sent to a worker at most. Default: the function's, or 3.
	Tries int
	// OnProgress is called for each report of the running function, one at a time,
	// on a goroutine of the fleet: it must be quick.
	OnProgress func(Progress)
}

func callOptions(opts []CallOptions) CallOptions {
	if len(opts) == 0 {
		return CallOptions{}
	}
	return opts[len(opts)-1]
}

// Progress is a report from inside a running function.
type Progress struct {
	value []byte
}

// Decode reads the reported value into v, a pointer.
func (p Progress) Decode(v any) error { return codec.Into(p.value, v) }

// Report sends a value from inside a running function to whoever called it.
// It may get lost; it never delays the function for long. Outside of a task it
// does nothing.
func Report(ctx context.Context, v any) error {
	h := engine.HandleOf(ctx)
	if h == nil {
		return nil
	}
	var b []byte
	var err error
	if h.Format() == engine.JSON {
		b, err = codec.JSON[any]().Append(nil, v)
	} else {
		b, err = codec.From(nil, v)
	}
	if err != nil {
		return fault.New(fault.Invalid, "report progress", "", plain(err))
	}
	return h.Progress(b)
}

// Worker says which process ran a task.
type Worker = boss.Worker

// State is a station of a future's life.
type State string

const (
	StateQueued    State = "queued"
	StateRunning   State = "running"
	StateSucceeded State = "succeeded"
	StateFailed    State = "failed"
	StateCanceled  State = "canceled"
)

// Future is the answer of a call that is still to come. Its methods may be
// called from several goroutines.
type Future[Out any] struct {
	fleet      *Fleet
	codec      codec.Codec[Out]
	call       boss.Call
	onProgress func(Progress)
	done       chan struct{}

	mu        sync.Mutex
	callbacks []func(*Future[Out])
	unwatch   func() bool // ends the watch over the call's context
	ended     error       // why the call's context ended, if it did before the answer

	// Written before done is closed.
	outcome task.Outcome
	worker  Worker

	// Written by the first who asks.
	once  sync.Once
	value Out
	err   error

	fetching *fetch[Out] // of a large answer; guarded by mu

	cancel context.CancelFunc // of what this process does itself, see Async; nil for a call
	span   *span.Span         // of the call; nil if nobody makes them
}

// Go starts the function on the fleet and returns at once with a future of its
// answer, unless too many calls are waiting already: then it blocks until there
// is room. What goes wrong, goes wrong in the future. When ctx ends the call is
// cancelled.
func (f *Function[In, Out]) Go(ctx context.Context, on *Fleet, in In, opts ...CallOptions) *Future[Out] {
	o := callOptions(opts)
	fu := &Future[Out]{fleet: on, codec: f.out, onProgress: o.OnProgress, done: make(chan struct{})}
	at := ctx
	if span.On() {
		at, fu.span = span.Begin(ctx, span.Client, "call "+f.Name())
	}
	fu.call = boss.Call{
		Function: f.name, Format: engine.CBOR, Timeout: o.Timeout, Tries: f.tries(o), Sink: (*futureSink[Out])(fu), Place: placeOf(at),
	}
	if err := f.start(ctx, on, &fu.call, in); err != nil {
		fu.settle(task.Outcome{Status: task.Failed, Err: err}, Worker{})
		return fu
	}
	if ctx.Done() != nil {
		fu.watch(ctx)
	}
	return fu
}

// placeOf is the place in a trace that a context is of; nil for none.
func placeOf(ctx context.Context) *trace.Place {
	found := trace.From(ctx)
	if !found.Valid() {
		return nil
	}
	place := found // the only one that is on the heap
	return &place
}

func (f *Function[In, Out]) tries(o CallOptions) int {
	if o.Tries > 0 {
		return o.Tries
	}
	return f.limits.Tries
}

// start finds the bundle, encodes the argument and hands the call to the boss.
func (f *Function[In, Out]) start(ctx context.Context, on *Fleet, c *boss.Call, in In) error {
	digest, err := on.target(ctx, f.deploy)
	if err != nil {
		return err
	}
	c.Digest = digest
	data, err := f.in.Append(nil, in)
	if err != nil {
		return fault.New(fault.Invalid, "send argument of", f.Name(), plain(err))
	}
	if c.Input, err = on.f.Outline(ctx, data); err != nil {
		return err
	}
	return on.f.Boss().Start(ctx, c)
}

// Call runs the function on the fleet and waits for its answer. When ctx ends
// the call is cancelled.
func (f *Function[In, Out]) Call(ctx context.Context, on *Fleet, in In, opts ...CallOptions) (Out, error) {
	fu := f.Go(ctx, on, in, opts...)
	return fu.Wait(ctx)
}

func (fu *Future[Out]) watch(ctx context.Context) {
	unwatch := context.AfterFunc(ctx, func() {
		fu.mu.Lock()
		fu.ended = fault.New(fault.KindOf(ctx.Err()), "call", fu.call.Function, context.Cause(ctx))
		fu.mu.Unlock()
		fu.Cancel()
	})
	fu.mu.Lock()
	defer fu.mu.Unlock()
	select {
	case <-fu.done:
		unwatch()
	default:
		fu.unwatch = unwatch
	}
}

// futureSink keeps the boss's methods out of Future's own.
type futureSink[Out any] Future[Out]

// Done takes the outcome.
func (s *futureSink[Out]) Done(_ *boss.Call, o task.Outcome, by boss.Worker) {
	o.Value = bytes.Clone(o.Value)
	(*Future[Out])(s).settle(o, by)
}

// Progress passes a report on.
func (s *futureSink[Out]) Progress(_ *boss.Call, value []byte) {
	if s.onProgress != nil {
		s.onProgress(Progress{value: bytes.Clone(value)})
	}
}

func (fu *Future[Out]) settle(o task.Outcome, by Worker) {
	fu.mu.Lock()
	if fu.ended != nil && o.Status == task.Failed && fault.KindOf(o.Err) == fault.Canceled {
		o.Err = fu.ended
	}
	fu.outcome, fu.worker = o, by
	callbacks := fu.callbacks
	fu.callbacks = nil
	unwatch := fu.unwatch
	fu.spanEnded(o, by)
	close(fu.done)
	fu.mu.Unlock()
	if unwatch != nil {
		unwatch()
	}
	for _, f := range callbacks {
		fu.do(f)
	}
}

// spanEnded tells the call's span how it ended.
func (fu *Future[Out]) spanEnded(o task.Outcome, by Worker) {
	if fu.span != nil {
		fu.span.Text("become.worker", by.ID)
		fu.span.End(o.Err)
	}
}

// do calls f on a goroutine of its own, which the fleet waits for.
func (fu *Future[Out]) do(f func(*Future[Out])) {
	if fu.cancel != nil {
		go f(fu)
		return
	}
	fu.fleet.f.Do(func() { f(fu) })
}

// Done returns a channel that is closed when the answer is there.
func (fu *Future[Out]) Done() <-chan struct{} { return fu.done }

// Wait returns the answer when it is there, or ctx's error when that ends
// first; the call goes on then. Inside a function the slot is free for others while it waits.
func (fu *Future[Out]) Wait(ctx context.Context) (Out, error) {
	select {
	case <-fu.done:
		return fu.result(ctx)
	default:
	}
	defer yieldSlot(ctx)()
	select {
	case <-fu.done:
		return fu.result(ctx)
	case <-ctx.Done():
		return fu.tooLate(ctx)
	}
}

// tooLate is what a wait returns that ctx has ended.
func (fu *Future[Out]) tooLate(ctx context.Context) (none Out, err error) {
	return none, fault.New(fault.KindOf(ctx.Err()), "wait for", fu.call.Function, context.Cause(ctx))
}

// yieldSlot lends the running task's slot to others until the returned
// function is called.
func yieldSlot(ctx context.Context) func() {
	h := engine.HandleOf(ctx)
	if h == nil {
		return func() {}
	}
	h.Block()
	return h.Unblock
}

// result decodes the outcome, once.
func (fu *Future[Out]) result(ctx context.Context) (Out, error) {
	if fu.cancel != nil {
		return fu.value, fu.err
	}
	if fu.outcome.Status == task.OKRef {
		return fu.fetch(ctx)
	}
	fu.once.Do(func() { fu.value, fu.err = decode(ctx, fu.fleet, fu.codec, fu.call.Function, fu.outcome) })
	return fu.value, fu.err
}

// State says where the call is now.
func (fu *Future[Out]) State() State {
	select {
	case <-fu.done:
	default:
		if fu.cancel != nil || fu.call.State() == boss.Running {
			return StateRunning
		}
		return StateQueued
	}
	switch {
	case fu.outcome.Status == task.OK || fu.outcome.Status == task.OKRef:
		return StateSucceeded
	case fault.KindOf(fu.outcome.Err) == fault.Canceled:
		return StateCanceled
	}
	return StateFailed
}

// Worker says which process gave the answer; zero before, and when none did.
func (fu *Future[Out]) Worker() Worker {
	select {
	case <-fu.done:
		return fu.worker
	default:
		return Worker{}
	}
}

// Cancel ends the call. One that waits for a worker is answered at once with
// a Canceled error; one that runs has its context ended and is answered when it
// returns, or when its grace is over and its process is killed. Of an [Async] it ends the context.
func (fu *Future[Out]) Cancel() {
	if fu.cancel != nil {
		fu.cancel()
		return
	}
	fu.fleet.f.Boss().Cancel(&fu.call)
}

// OnDone calls f with the future when the answer is there, or now when it is
// there already; on a goroutine of its own in either case.
func (fu *Future[Out]) OnDone(f func(*Future[Out])) {
	fu.mu.Lock()
	select {
	case <-fu.done:
		fu.mu.Unlock()
		fu.do(f)
	default:
		fu.callbacks = append(fu.callbacks, f)
		fu.mu.Unlock()
	}
}

// Gather waits for all futures and returns their answers in order. The error
// joins those of all that failed; ctx ends the wait.
func Gather[Out any](ctx context.Context, futures ...*Future[Out]) ([]Out, error) {
	out := make([]Out, len(futures))
	var errs []error
	for i, fu := range futures {
		var err error
		if out[i], err = fu.Wait(ctx); err != nil {
			if ctx.Err() != nil {
				return out, err
			}
			errs = append(errs, err)
		}
	}
	return out, errors.Join(errs...)
}

// AsDone yields the futures in the order in which they end, until ctx does.
func AsDone[Out any](ctx context.Context, futures ...*Future[Out]) iter.Seq[*Future[Out]] {
	return func(yield func(*Future[Out]) bool) {
		ended := make(chan *Future[Out], len(futures))
		for _, fu := range futures {
			fu.OnDone(func(fu *Future[Out]) { ended <- fu })
		}
		for range futures {
			back := yieldSlot(ctx)
			select {
			case fu := <-ended:
				back()
				if !yield(fu) {
					return
				}
			case <-ctx.Done():
				back()
				return
			}
		}
	}
}

// First waits for the first future that succeeds and cancels the others. When
// all fail the error joins theirs; of no futures none succeeds (fault.Invalid).
func First[Out any](ctx context.Context, futures ...*Future[Out]) (Out, error) {
	var errs []error
	if len(futures) == 0 {
		errs = append(errs, fault.Text(fault.Invalid, "wait for", "the first of several calls", "there are none"))
	}
	for fu := range AsDone(ctx, futures...) {
		out, err := fu.Wait(ctx)
		if err == nil {
			for _, other := range futures {
				other.Cancel()
			}
			return out, nil
		}
		errs = append(errs, err)
	}
	if ctx.Err() != nil {
		errs = append(errs, fault.New(fault.KindOf(ctx.Err()), "wait for", "the first of several calls", ctx.Err()))
	}
	var none Out
	return none, errors.Join(errs...)
}
