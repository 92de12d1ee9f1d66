package sources

import (
	"context"
	"sync"
	"time"
)

const (
	// usually is how often the files are looked at.
	usually = 250 * time.Millisecond
	// waitDelay is how long the compiler may take to hear that it is not wanted any more.
	waitDelay = 2 * time.Second
)

// Watcher tells when a set changes, until its context ends.
type Watcher struct {
	changed chan struct{}
	wg      sync.WaitGroup
	seen    string // what was told of, or need not be; wg guards it
}

// Watch looks at a set that often; 0 means four times a second. What is not as it was then, see Set.Now, has changed.
func Watch(ctx context.Context, s Set, then string, every time.Duration) *Watcher {
	if every <= 0 {
		every = usually
	}
	w := &Watcher{changed: make(chan struct{}, 1)}
	w.seen = then
	w.wg.Go(func() { w.follow(ctx, s, every) })
	return w
}

// Changed holds an item when something has changed, however much that was. It is closed at the end.
func (w *Watcher) Changed() <-chan struct{} { return w.changed }

// Wait returns when the context has ended and nobody looks any more: how the files were, for another Watch.
func (w *Watcher) Wait() (seen string) {
	w.wg.Wait()
	return w.seen
}

func (w *Watcher) follow(ctx context.Context, s Set, every time.Duration) {
	defer close(w.changed)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for last := w.seen; ; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		now := s.Now()
		calm := now == last
		last = now
		if now == w.seen || !calm {
			continue
		}
		s = s.again(ctx)
		w.seen = s.Now() // what changes after this is another change
		last = w.seen
		select {
		case w.changed <- struct{}{}:
		default:
		}
	}
}

// again is the set as it is now, and as it was while the compiler cannot tell.
func (s Set) again(ctx context.Context) Set {
	if s.pkg == "" {
		return s
	}
	now, err := Of(ctx, s.pkg, s.dir)
	switch {
	case err != nil:
		return s
	case now.partly:
		return now.with(s)
	}
	return now
}
