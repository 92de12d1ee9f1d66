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
}

// Watch looks at a set that often; 0 means four times a second.
func Watch(ctx context.Context, s Set, every time.Duration) *Watcher {
	if every <= 0 {
		every = usually
	}
	w := &Watcher{changed: make(chan struct{}, 1)}
	before := s.Now()
	w.wg.Go(func() { w.follow(ctx, s, before, every) })
	return w
}

// Changed holds an item when something has changed, however much that was. It is closed at the end.
func (w *Watcher) Changed() <-chan struct{} { return w.changed }

// Wait returns when the context has ended and nobody looks any more.
func (w *Watcher) Wait() { w.wg.Wait() }

func (w *Watcher) follow(ctx context.Context, s Set, before string, every time.Duration) {
	defer close(w.changed)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for last := before; ; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		now := s.Now()
		calm := now == last
		last = now
		if now == before || !calm {
			continue
		}
		s = s.again(ctx)
		before = s.Now() // what changes after this is another change
		last = before
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
