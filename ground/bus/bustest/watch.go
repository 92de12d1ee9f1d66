package bustest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/universal-server/become/ground/bus"
)

var watchTests = []func(*bench){
	AWatchTellsWhatIsThereThenWhatChanges, AWatchOfNothingSaysSo, AWatchTellsOnlyItsPrefix, AWatchMirrorsTheStore,
	AWatchEndsWithItsContext, AWatchOutlivesTheCallThatMadeIt, ASlowWatcherMissesNothing,
}

// watch hands over what a watch tells.
func (h *bench) watch(ctx context.Context, kv bus.KV, prefix string) <-chan bus.Entry {
	h.Helper()
	c := make(chan bus.Entry, 10_000)
	h.ok(kv.Watch(ctx, prefix, func(e bus.Entry) { c <- e }))
	return c
}

func isMark(e bus.Entry) bool { return e.Key == "" && e.Revision == 0 && e.Value == nil && !e.Deleted }

func AWatchTellsWhatIsThereThenWhatChanges(h *bench) {
	n := name()
	kv := h.kv(h.b, bus.Spec{Name: n})
	revs := map[string]uint64{}
	for i := range 5 {
		key := fmt.Sprint("k", i)
		revs[key] = must(kv.Put(h.ctx, key, []byte(key)))(h)
	}
	h.ok(kv.Delete(h.ctx, "k4")) // gone before: never told
	c := h.watch(h.ctx, h.kv(h.other(), bus.Spec{Name: n}), "")
	var last uint64
	for i := range 4 {
		e := next(h, c)
		if e.Key != fmt.Sprint("k", i) || string(e.Value) != e.Key || e.Revision != revs[e.Key] || e.Deleted || e.Revision <= last {
			h.Errorf("entry %d is %+v", i, e)
		}
		last = e.Revision
	}
	if e := next(h, c); !isMark(e) {
		h.Fatalf("after all that is there came %+v", e)
	}
	rev := must(kv.Put(h.ctx, "k1", []byte("new")))(h)
	if e := next(h, c); e.Key != "k1" || string(e.Value) != "new" || e.Revision != rev {
		h.Errorf("change is %+v", e)
	}
	rev = must(kv.Swap(h.ctx, "k1", []byte("newer"), rev))(h)
	if e := next(h, c); e.Key != "k1" || string(e.Value) != "newer" || e.Revision != rev {
		h.Errorf("change is %+v", e)
	}
	h.ok(kv.Delete(h.ctx, "k1"))
	if e := next(h, c); e.Key != "k1" || !e.Deleted || e.Revision <= rev {
		h.Errorf("deletion is %+v", e)
	}
}

func AWatchOfNothingSaysSo(h *bench) {
	kv := h.kv(h.b, bus.Spec{Name: name()})
	if e := next(h, h.watch(h.ctx, kv, "")); !isMark(e) {
		h.Errorf("got %+v", e)
	}
	must(kv.Put(h.ctx, "a", nil))(h)
	if e := next(h, h.watch(h.ctx, kv, "b")); !isMark(e) {
		h.Errorf("got %+v", e)
	}
	h.ok(kv.Delete(h.ctx, "a"))
	if e := next(h, h.watch(h.ctx, kv, "")); !isMark(e) {
		h.Errorf("got %+v", e)
	}
}

func AWatchTellsOnlyItsPrefix(h *bench) {
	kv := h.kv(h.b, bus.Spec{Name: name()})
	must(kv.Put(h.ctx, "ab.1", nil))(h)
	must(kv.Put(h.ctx, "b.1", nil))(h)
	c := h.watch(h.ctx, kv, "ab")
	must(kv.Put(h.ctx, "b.2", nil))(h)
	must(kv.Put(h.ctx, "abc", nil))(h)
	for _, want := range []string{"ab.1", "", "abc"} {
		if e := next(h, c); e.Key != want {
			h.Errorf("got %q, want %q", e.Key, want)
		}
	}
}

// Whatever happens while a watch begins, its mirror ends up as the store is.
func AWatchMirrorsTheStore(h *bench) {
	n := name()
	kv := h.kv(h.b, bus.Spec{Name: n})
	var wg sync.WaitGroup
	for w := range 3 {
		mine := h.kv(h.other(), bus.Spec{Name: n})
		wg.Go(func() {
			for i := range 60 {
				key := fmt.Sprint("k", (i*7+w)%10)
				var err error
				if i%4 == 3 {
					err = mine.Delete(h.ctx, key)
				} else {
					_, err = mine.Put(h.ctx, key, fmt.Append(nil, w, i))
				}
				if err != nil {
					h.Error(err)
				}
			}
		})
	}
	watches := []<-chan bus.Entry{}
	for range 3 {
		watches = append(watches, h.watch(h.ctx, h.kv(h.other(), bus.Spec{Name: n}), ""))
	}
	wg.Wait()
	must(kv.Put(h.ctx, "end", nil))(h)
	for _, c := range watches {
		mirror, last, marks := map[string]string{}, uint64(0), 0
		for e := next(h, c); e.Key != "end"; e = next(h, c) {
			if isMark(e) {
				marks++
				continue
			}
			if e.Revision <= last {
				h.Errorf("revision %d after %d", e.Revision, last)
			}
			last = e.Revision
			if mirror[e.Key] = string(e.Value); e.Deleted {
				delete(mirror, e.Key)
			}
		}
		if marks != 1 {
			h.Errorf("%d marks", marks)
		}
		for i := range 10 {
			key := fmt.Sprint("k", i)
			e, err := kv.Get(h.ctx, key)
			if got, there := mirror[key]; there != (err == nil) || got != string(e.Value) {
				h.Errorf("the mirror has %s = %q %v, the store %q %v", key, got, there, e.Value, err)
			}
		}
	}
}

func AWatchEndsWithItsContext(h *bench) {
	kv := h.kv(h.b, bus.Spec{Name: name()})
	ctx, cancel := context.WithCancel(h.ctx)
	ended, lives := h.watch(ctx, kv, ""), h.watch(h.ctx, kv, "")
	next(h, ended)
	next(h, lives)
	cancel()
	for i := range 100 {
		must(kv.Put(h.ctx, "k", fmt.Append(nil, i)))(h)
		next(h, lives)
	}
	if len(ended) > 1 { // one may have been under way
		h.Errorf("%d changes were told after the end", len(ended))
	}
}

func AWatchOutlivesTheCallThatMadeIt(h *bench) {
	n := name()
	b := h.other()
	opening, cancel := context.WithTimeout(h.ctx, patience)
	kv := must(b.KV(opening, bus.Spec{Name: n}))(h)
	cancel()
	c := h.watch(context.Background(), kv, "")
	next(h, c)
	late := time.NewTimer(300 * time.Millisecond)
	<-late.C
	must(kv.Put(h.ctx, "k", nil))(h)
	if e := next(h, c); e.Key != "k" {
		h.Errorf("got %+v", e)
	}
}

func ASlowWatcherMissesNothing(h *bench) {
	const n = 600
	kv := h.kv(h.b, bus.Spec{Name: name()})
	free := make(chan struct{})
	var told atomic.Int64
	done := make(chan struct{})
	h.ok(kv.Watch(h.ctx, "", func(e bus.Entry) {
		<-free
		if told.Add(1) == n+1 {
			close(done)
		}
	}))
	for i := range n {
		must(kv.Put(h.ctx, fmt.Sprint(i), nil))(h)
	}
	close(free)
	next(h, done)
}
