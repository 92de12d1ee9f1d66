package collection

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/universal-server/become/ground/fault"
)

// List returns items in the order of their ids, each as it was at some moment of the call.
func (s *Stored[T]) List(ctx context.Context, after string, limit int) ([]Item[T], error) {
	ids, revision, err := s.index(ctx)
	if err != nil {
		return nil, fault.New(fault.KindOf(err), "list", "items", err)
	}
	next, found := slices.BinarySearch(ids, after)
	if found {
		next++
	}
	var all []Item[T]
	var gone []string
	ids = ids[next:]
	for ahead := 1; len(ids) > 0 && len(all) < limit && err == nil; ahead = min(2*ahead, atOnce) { // once, unless some are deleted
		some := s.several(ctx, ids[:min(max(limit-len(all), ahead), len(ids))])
		for i := 0; i < len(some) && len(all) < limit && err == nil; i++ {
			switch item, failed := some[i].item, some[i].err; {
			case failed == nil:
				all = append(all, item)
			case fault.KindOf(failed) == fault.NotFound:
				gone = append(gone, ids[i])
			default:
				err = fault.New(fault.KindOf(failed), "list", "items", failed)
			}
		}
		ids = ids[len(some):]
	}
	s.forget(revision, gone)
	if err != nil {
		return nil, err
	}
	return all, nil
}

// index returns the ids of all keys, in order, as they are now, and the revision of the store that they are of. Some may have no value.
func (s *Stored[T]) index(ctx context.Context) ([]string, uint64, error) {
	s.mu.Lock()
	since, ids := s.revision, s.ids
	s.mu.Unlock()
	keys, now, err := s.kv.Keys(ctx, since)
	if err != nil || now == since {
		return ids, since, err
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
	return ids, now, nil
}

// forget drops ids that have no value from the index, in order as they are there. Until something is stored they have none.
func (s *Stored[T]) forget(revision uint64, gone []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(gone) == 0 || s.revision != revision {
		return
	}
	left := make([]string, 0, len(s.ids))
	for _, id := range s.ids {
		if _, is := slices.BinarySearch(gone, id); !is {
			left = append(left, id)
		}
	}
	s.ids = left
}

// atOnce is how many items are asked for at the same time.
const atOnce = 16

// outcome is what came of asking for an item: fault.NotFound when there is none.
type outcome[T any] struct {
	item Item[T]
	err  error
}

// several asks for items, and returns what came of it in the same order. After one that fails there may be fewer.
func (s *Stored[T]) several(ctx context.Context, ids []string) []outcome[T] {
	all := make([]outcome[T], len(ids))
	var failed atomic.Bool
	var wg sync.WaitGroup
	work := make(chan int)
	for range min(atOnce, len(ids)) {
		wg.Go(func() {
			for i := range work {
				o := &all[i]
				if o.item, o.err = s.Get(ctx, ids[i]); o.err != nil && fault.KindOf(o.err) != fault.NotFound {
					failed.Store(true)
				}
			}
		})
	}
	asked := 0
	for ; asked < len(ids) && !failed.Load(); asked++ {
		work <- asked
	}
	close(work)
	wg.Wait()
	return all[:asked]
}
