package collection

import (
	"context"
	"slices"
	"sync"

	"github.com/universal-server/become/ground/fault"
)

// List returns items in the order of their ids, each as it was at some moment of the call.
func (s *Stored[T]) List(ctx context.Context, after string, limit int) ([]Item[T], error) {
	ids, err := s.index(ctx)
	if err != nil {
		return nil, fault.New(fault.KindOf(err), "list", "items", err)
	}
	next, found := slices.BinarySearch(ids, after)
	if found {
		next++
	}
	var all []Item[T]
	for ids = ids[next:]; len(ids) > 0 && len(all) < limit; { // once, unless some are deleted
		n := min(limit-len(all), len(ids))
		some, err := s.several(ctx, ids[:n])
		if err != nil {
			return nil, err
		}
		all, ids = append(all, some...), ids[n:]
	}
	return all, nil
}

// index returns the ids of all keys, in order, as they are now. Some may have no value.
func (s *Stored[T]) index(ctx context.Context) ([]string, error) {
	s.mu.Lock()
	since, ids := s.revision, s.ids
	s.mu.Unlock()
	keys, now, err := s.kv.Keys(ctx, since)
	if err != nil || now == since {
		return ids, err
	}
	ids = make([]string, 0, len(keys))
	for _, key := range keys {
		if id, ok := idOf(key); ok {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	s.mu.Lock()
	defer s.mu.Unlock()
	if now > s.revision { // another list may have been faster
		s.revision, s.ids = now, ids
	}
	return ids, nil
}

// atOnce is how many items are asked for at the same time.
const atOnce = 16

// several returns those items that there are, in the same order. The first error ends it.
func (s *Stored[T]) several(ctx context.Context, ids []string) ([]Item[T], error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	items, there := make([]Item[T], len(ids)), make([]bool, len(ids))
	var wg sync.WaitGroup
	work := make(chan int)
	for range min(atOnce, len(ids)) {
		wg.Go(func() {
			for i := range work {
				item, err := s.Get(ctx, ids[i])
				switch {
				case err == nil:
					items[i], there[i] = item, true
				case fault.KindOf(err) != fault.NotFound:
					cancel(err)
				}
			}
		})
	}
	for i := range ids {
		if ctx.Err() != nil {
			break
		}
		work <- i
	}
	close(work)
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, fault.New(fault.KindOf(err), "list", "items", err)
	}
	kept := items[:0]
	for i, item := range items {
		if there[i] {
			kept = append(kept, item)
		}
	}
	return kept, nil
}
