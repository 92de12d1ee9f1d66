package become

import (
	"context"

	"github.com/universal-server/become/ground/codec"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/work/task"
)

// decode reads a task's answer, for which it fetches a large one.
func decode[Out any](ctx context.Context, on *Fleet, c codec.Codec[Out], function string, o task.Outcome) (value Out, err error) {
	switch o.Status {
	case task.OK:
		value, err = c.Decode(o.Value)
	case task.OKRef:
		var b []byte
		if b, err = on.f.Values().Load(ctx, string(o.Value)); err != nil {
			return value, err
		}
		value, err = c.Decode(b)
	default:
		return value, o.Err
	}
	if err != nil {
		return value, fault.New(fault.Invalid, "read answer of", function, plain(err))
	}
	return value, nil
}

// fetch is a large answer on its way.
type fetch[Out any] struct {
	over  chan struct{} // closed when the rest is set
	value Out
	err   error
}

// fetch brings a large answer on a goroutine of its own: it is everybody's who waits, and ends with
// nobody's context. When the bus does not give it, the next one who asks tries again.
func (fu *Future[Out]) fetch(ctx context.Context) (Out, error) {
	fu.mu.Lock()
	f := fu.fetching
	if f == nil {
		f = &fetch[Out]{over: make(chan struct{})}
		fu.fetching = f
		fu.fleet.f.Do(func() {
			f.value, f.err = decode(fu.fleet.f.Context(), fu.fleet, fu.codec, fu.call.Function, fu.outcome)
			if kind := fault.KindOf(f.err); f.err != nil && (kind == fault.Lost || kind == fault.Deadline) {
				fu.mu.Lock()
				fu.fetching = nil
				fu.mu.Unlock()
			}
			close(f.over)
		})
	}
	fu.mu.Unlock()
	select {
	case <-f.over:
		return f.value, f.err
	case <-ctx.Done():
		return fu.tooLate(ctx)
	}
}
