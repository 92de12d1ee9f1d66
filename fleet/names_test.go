package fleet

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/work/engine/native"
)

// slowNames lets watches begin when gate is closed.
type slowNames struct {
	bus.KV
	gate    chan struct{}
	watches atomic.Int64
	fail    atomic.Bool
}

func (s *slowNames) Watch(ctx context.Context, prefix string, f func(bus.Entry)) error {
	s.watches.Add(1)
	select {
	case <-s.gate:
	case <-ctx.Done():
		return ctx.Err()
	}
	if s.fail.Load() {
		return errors.New("the bus is away")
	}
	return s.KV.Watch(ctx, prefix, f)
}

func TestResolve_WatchesOnceHoweverManyAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, err := Local(context.Background(), native.New(nil), nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		slow := &slowNames{KV: f.names.kv, gate: make(chan struct{})}
		f.names.kv = slow
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if _, err := f.Resolve(ctx, "square"); fault.KindOf(err) != fault.Deadline {
					t.Errorf("got %v, want deadline", err)
				}
			})
		}
		wg.Wait()
		slow.fail.Store(true)
		close(slow.gate)
		synctest.Wait()
		if n := slow.watches.Load(); n != 1 {
			t.Errorf("%d watches", n)
		}
		slow.fail.Store(false) // it has failed: the next one tries again
		if _, err := f.Resolve(t.Context(), "square"); fault.KindOf(err) != fault.NotFound {
			t.Errorf("got %v, want not found", err)
		}
		if _, err := f.Deploy(t.Context(), "square", "d", []string{"f"}, "me"); err != nil {
			t.Error(err)
		}
		if d, err := f.Resolve(t.Context(), "square"); err != nil || d.Digest != "d" || slow.watches.Load() != 2 {
			t.Errorf("got %+v, %v after %d watches", d, err, slow.watches.Load())
		}
	})
}

func TestResolve_EndsWithTheFleet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, err := Local(context.Background(), native.New(nil), nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		f.names.kv = &slowNames{KV: f.names.kv, gate: make(chan struct{})}
		time.AfterFunc(time.Second, func() { f.Close() })
		if _, err := f.Resolve(context.Background(), "square"); fault.KindOf(err) != fault.Canceled {
			t.Errorf("got %v, want canceled", err)
		}
		synctest.Wait()
	})
}
