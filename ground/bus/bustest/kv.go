package bustest

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
)

var kvTests = []func(*bench){
	ValuesAreKept, SwapComparesTheRevision, SwapCreatesOnce, SwapsDoNotOverwriteEachOther, ADeletedKeyIsGone,
	KeysAreChecked, KeysAreListed, SwapIsLinearizable,
}

func (h *bench) get(kv bus.KV, key string) (string, uint64) {
	h.Helper()
	e := must(kv.Get(h.ctx, key))(h)
	if e.Key != key || e.Deleted || e.Revision == 0 {
		h.Errorf("entry of %s is %+v", key, e)
	}
	return string(e.Value), e.Revision
}

func ValuesAreKept(h *bench) {
	n := name()
	kv, elsewhere := h.kv(h.b, bus.Spec{Name: n}), h.kv(h.other(), bus.Spec{Name: n})
	_, err := kv.Get(h.ctx, "a")
	h.kind("no key", err, fault.NotFound)
	var last uint64
	value := []byte("1")
	for _, key := range []string{"a", "b", "a", "A/b-c_d=e.f.9"} {
		rev := must(kv.Put(h.ctx, key, value))(h)
		if rev <= last {
			h.Errorf("revision %d after %d", rev, last)
		}
		last = rev
		if got, at := h.get(elsewhere, key); got != "1" || at != rev {
			h.Errorf("%s is %q at %d, want revision %d", key, got, at, rev)
		}
	}
	value[0] = 'X'
	e := must(kv.Get(h.ctx, "a"))(h)
	e.Value[0] = 'Y'
	if got, _ := h.get(kv, "a"); got != "1" {
		h.Errorf("a is %q", got)
	}
	must(kv.Put(h.ctx, "a", nil))(h)
	if got, _ := h.get(kv, "a"); got != "" {
		h.Errorf("a is %q", got)
	}
	_, err = kv.Put(h.ctx, "a", make([]byte, bus.MaxMessage+1))
	h.kind("too large", err, fault.Invalid)
	_, err = kv.Swap(h.ctx, "a", make([]byte, bus.MaxMessage+1), 1)
	h.kind("too large", err, fault.Invalid)
	must(kv.Put(h.ctx, "a", make([]byte, bus.MaxMessage)))(h)
}

func SwapComparesTheRevision(h *bench) {
	kv := h.kv(h.b, bus.Spec{Name: name()})
	first := must(kv.Swap(h.ctx, "k", []byte("1"), 0))(h)
	must(kv.Put(h.ctx, "other", nil))(h)
	second := must(kv.Swap(h.ctx, "k", []byte("2"), first))(h)
	if second <= first {
		h.Errorf("revision %d after %d", second, first)
	}
	for _, rev := range []uint64{0, first, second + 1, 1 << 40} {
		_, err := kv.Swap(h.ctx, "k", []byte("X"), rev)
		h.kind(fmt.Sprint("swap at ", rev), err, fault.Conflict)
	}
	_, err := kv.Swap(h.ctx, "none", []byte("X"), 7)
	h.kind("swap of a missing key", err, fault.Conflict)
	if got, rev := h.get(kv, "k"); got != "2" || rev != second {
		h.Errorf("k is %q at %d", got, rev)
	}
	third := must(kv.Put(h.ctx, "k", []byte("3")))(h)
	_, err = kv.Swap(h.ctx, "k", []byte("X"), second)
	h.kind("swap after a put", err, fault.Conflict)
	must(kv.Swap(h.ctx, "k", []byte("4"), third))(h)
}

func SwapCreatesOnce(h *bench) {
	n := name()
	var won atomic.Int64
	var wg sync.WaitGroup
	for i := range 8 {
		kv := h.kv(h.other(), bus.Spec{Name: n})
		wg.Go(func() {
			for key := range 5 {
				switch _, err := kv.Swap(h.ctx, fmt.Sprint(key), fmt.Append(nil, i), 0); {
				case err == nil:
					won.Add(1)
				case fault.KindOf(err) != fault.Conflict:
					h.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if won.Load() != 5 {
		h.Errorf("%d writers created 5 keys", won.Load())
	}
}

func SwapsDoNotOverwriteEachOther(h *bench) {
	const writers, times = 4, 15
	n := name()
	var wg sync.WaitGroup
	for range writers {
		kv := h.kv(h.other(), bus.Spec{Name: n})
		wg.Go(func() {
			for done := 0; done < times; {
				e, err := kv.Get(h.ctx, "count")
				if err != nil && fault.KindOf(err) != fault.NotFound {
					h.Error(err)
					return
				}
				was, _ := strconv.Atoi(string(e.Value))
				switch _, err := kv.Swap(h.ctx, "count", fmt.Append(nil, was+1), e.Revision); {
				case err == nil:
					done++
				case fault.KindOf(err) != fault.Conflict:
					h.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if got, _ := h.get(h.kv(h.b, bus.Spec{Name: n}), "count"); got != fmt.Sprint(writers*times) {
		h.Errorf("count is %s, want %d", got, writers*times)
	}
}

func ADeletedKeyIsGone(h *bench) {
	kv := h.kv(h.b, bus.Spec{Name: name()})
	h.ok(kv.Delete(h.ctx, "k"))
	first := must(kv.Put(h.ctx, "k", []byte("1")))(h)
	h.ok(kv.Delete(h.ctx, "k"))
	h.ok(kv.Delete(h.ctx, "k"))
	_, err := kv.Get(h.ctx, "k")
	h.kind("get", err, fault.NotFound)
	_, err = kv.Swap(h.ctx, "k", []byte("X"), first)
	h.kind("swap at its last revision", err, fault.Conflict)
	again := must(kv.Swap(h.ctx, "k", []byte("2"), 0))(h)
	if again <= first {
		h.Errorf("revision %d after %d", again, first)
	}
	_, err = kv.Swap(h.ctx, "k", []byte("X"), 0)
	h.kind("create twice", err, fault.Conflict)
}

func KeysAreChecked(h *bench) {
	kv := h.kv(h.b, bus.Spec{Name: name()})
	for _, key := range []string{"", ".", ".a", "a.", "a..b", "a b", "a*", ">", "*", "a.>", "ü", "a\n", "a:b"} {
		what := fmt.Sprintf("%q", key)
		_, err := kv.Get(h.ctx, key)
		h.kind("get "+what, err, fault.Invalid)
		_, err = kv.Put(h.ctx, key, nil)
		h.kind("put "+what, err, fault.Invalid)
		_, err = kv.Swap(h.ctx, key, nil, 0)
		h.kind("swap "+what, err, fault.Invalid)
		h.kind("delete "+what, kv.Delete(h.ctx, key), fault.Invalid)
	}
	ctx, cancel := context.WithCancel(h.ctx)
	cancel()
	_, err := kv.Get(ctx, "a")
	h.kind("get", err, fault.Canceled)
	_, err = kv.Put(ctx, "a", nil)
	h.kind("put", err, fault.Canceled)
	_, err = kv.Swap(ctx, "a", nil, 0)
	h.kind("swap", err, fault.Canceled)
	h.kind("delete", kv.Delete(ctx, "a"), fault.Canceled)
	h.kind("watch", kv.Watch(ctx, "", func(bus.Entry) {}), fault.Canceled)
}

// KeysAreListed: all that are there, and nothing when nothing has changed.
func KeysAreListed(h *bench) {
	n := name()
	kv, elsewhere := h.kv(h.b, bus.Spec{Name: n}), h.kv(h.other(), bus.Spec{Name: n})
	if keys, revision, err := kv.Keys(h.ctx, 0); err != nil || len(keys) > 0 || revision != 0 {
		h.Errorf("of an empty store: %v at %d, %v", keys, revision, err)
	}
	var last uint64
	want := []string{"A/b-c_d=e.f.9", "a", "b"}
	for _, key := range []string{"b", "a", "A/b-c_d=e.f.9", "a"} {
		last = must(elsewhere.Put(h.ctx, key, []byte("1")))(h)
	}
	keys, revision, err := kv.Keys(h.ctx, 0)
	slices.Sort(keys)
	if err != nil || !slices.Equal(keys, want) || revision != last {
		h.Errorf("got %q at %d, %v, want %q at %d", keys, revision, err, want, last)
	}
	if keys, again, err := kv.Keys(h.ctx, last); err != nil || keys != nil || again != last {
		h.Errorf("nothing has changed: %q at %d, %v", keys, again, err)
	}
	h.ok(elsewhere.Delete(h.ctx, "a"))
	if keys, now, err := kv.Keys(h.ctx, last); err != nil || !slices.Contains(keys, "b") || now <= last {
		h.Errorf("after a deletion: %q at %d, %v", keys, now, err)
	}
}
