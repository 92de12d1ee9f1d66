package become

import (
	"context"
	"iter"
)

// Answer is one answer of a Map.
type Answer[In, Out any] struct {
	Index  int // of the input, from 0
	Input  In
	Value  Out
	Err    error
	Worker Worker
}

// Map runs the function on every input and yields each answer as it comes, one per
// input. Inputs are drawn on a goroutine of its own, at most 65,536 ahead of the answers.
// Small tasks travel together; a slow one never holds others back. When ctx
// ends, inputs not yet answered are answered with its error; when the loop is
// left, they are cancelled. Map lets go of the sequence before it returns: one that blocks must
// end with ctx.
func (f *Function[In, Out]) Map(ctx context.Context, on *Fleet, inputs iter.Seq[In], opts ...CallOptions) iter.Seq[Answer[In, Out]] {
	return func(yield func(Answer[In, Out]) bool) {
		m := newMapper(ctx, f, on, callOptions(opts))
		defer m.stop()
		m.wg.Go(func() { m.draw(inputs) })
		for {
			answers, more := m.next()
			for i := range answers {
				if !yield(answers[i]) {
					return
				}
			}
			m.taken(len(answers))
			m.recycle(answers)
			if !more {
				return
			}
		}
	}
}

// MapOrdered is Map with the answers in the order of the inputs.
func (f *Function[In, Out]) MapOrdered(ctx context.Context, on *Fleet, inputs iter.Seq[In], opts ...CallOptions) iter.Seq[Answer[In, Out]] {
	return func(yield func(Answer[In, Out]) bool) {
		early := map[int]Answer[In, Out]{}
		next := 0
		m := newMapper(ctx, f, on, callOptions(opts))
		defer m.stop()
		m.wg.Go(func() { m.draw(inputs) })
		for {
			answers, more := m.next()
			for _, a := range answers {
				early[a.Index] = a
			}
			for ; ; next++ {
				a, ok := early[next]
				if !ok {
					break
				}
				delete(early, next)
				if !yield(a) {
					return
				}
				m.taken(1)
			}
			m.recycle(answers)
			if !more {
				return
			}
		}
	}
}
