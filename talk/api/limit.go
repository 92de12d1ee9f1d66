package api

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// limit is a context with a deadline whose timer is set when somebody first waits for its end. Why not context.WithDeadline? Most
// handlers look at nothing but values, and a timer for each request costs more than decoding it does: see docs/RATIONALE.md.
type limit struct {
	context.Context // of the request
	deadline        time.Time
	waited          atomic.Pointer[waited] // nil until somebody waits

	mu     sync.Mutex
	cancel context.CancelFunc // of waited
	over   bool
}

// waited is what a limit is for those who wait.
type waited struct{ context.Context }

func newLimit(ctx context.Context, deadline time.Time) *limit {
	if earlier, ok := ctx.Deadline(); ok && earlier.Before(deadline) {
		deadline = earlier
	}
	return &limit{Context: ctx, deadline: deadline}
}

// Deadline is as in context.Context, and so are the next three.
func (l *limit) Deadline() (time.Time, bool) { return l.deadline, true }

func (l *limit) Done() <-chan struct{} { return l.wait().Done() }

func (l *limit) Err() error {
	if l.waited.Load() == nil && !l.ended() {
		return nil
	}
	return l.wait().Err()
}

func (l *limit) Value(key any) any {
	if w := l.waited.Load(); w != nil { // without it, package context would start a goroutine for each child
		return w.Value(key)
	}
	return l.Context.Value(key)
}

func (l *limit) ended() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.over || l.Context.Err() != nil || !time.Now().Before(l.deadline)
}

// wait returns the context that has a timer.
func (l *limit) wait() context.Context {
	if w := l.waited.Load(); w != nil {
		return w
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if w := l.waited.Load(); w != nil {
		return w
	}
	w := &waited{}
	w.Context, l.cancel = context.WithDeadline(l.Context, l.deadline)
	if l.over {
		l.cancel()
	}
	l.waited.Store(w)
	return w
}

// end ends the context: the request is answered.
func (l *limit) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	if l.cancel != nil {
		l.cancel()
	}
}
