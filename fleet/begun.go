package fleet

import (
	"context"
	"sync"

	"github.com/universal-server/become/ground/fault"
)

// begun is something that is begun at its first use, for all who use it, and again at
// the next one when that failed.
type begun struct {
	mu  sync.Mutex
	now *beginning
}

type beginning struct {
	over chan struct{} // closed when it has begun, or err is set
	err  error
}

// wait returns when begin, which runs on a goroutine of f with f's context, has returned nil.
// Who wants to wait no longer leaves it alone.
func (b *begun) wait(ctx context.Context, f *Fleet, what string, begin func(context.Context) error) error {
	b.mu.Lock()
	now := b.now
	if now == nil {
		now = &beginning{over: make(chan struct{})}
		b.now = now
		f.Do(func() {
			if now.err = begin(f.ctx); now.err != nil {
				b.mu.Lock()
				b.now = nil
				b.mu.Unlock()
			}
			close(now.over)
		})
	}
	b.mu.Unlock()
	select {
	case <-now.over:
		return now.err
	case <-ctx.Done():
		return fault.New(fault.KindOf(ctx.Err()), what, "", context.Cause(ctx))
	case <-f.ctx.Done():
		return fault.New(fault.Canceled, what, "", errClosed)
	}
}
