package register_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/anishathalye/porcupine"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/bus/mem"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/keep/register"
	"github.com/universal-server/become/keep/register/registertest"
)

// faulty is a store behind a network that loses and delays, and whose reads may be old.
type faulty struct {
	bus.KV
	writes, reads atomic.Int64
	lossy, stale  bool
	late          *sync.WaitGroup // delayed writes

	mu   sync.Mutex
	seen []bus.Entry
}

func (f *faulty) Get(ctx context.Context, key string) (bus.Entry, error) {
	f.reads.Add(1)
	e, err := f.KV.Get(ctx, key)
	if err != nil || !f.stale {
		return e, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen = append(f.seen, e)
	return f.seen[max(0, len(f.seen)-1-rand.IntN(3))], nil
}

func (f *faulty) Swap(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	f.writes.Add(1)
	lost := fault.Text(fault.Lost, "swap key", key, "the bus is away")
	if f.lossy {
		switch rand.IntN(12) {
		case 0: // the acknowledgement is lost
			f.KV.Swap(ctx, key, value, revision)
			return 0, lost
		case 1: // the request is lost
			return 0, lost
		case 2: // the request arrives later
			data := append([]byte(nil), value...)
			f.late.Go(func() { f.KV.Swap(context.WithoutCancel(ctx), key, data, revision) })
			return 0, lost
		}
	}
	return f.KV.Swap(ctx, key, value, revision)
}

func faultyViews(t *testing.T, n int, lossy, stale bool) []*faulty {
	s := mem.New()
	var late sync.WaitGroup
	t.Cleanup(late.Wait)
	all := make([]*faulty, n)
	for i := range all {
		all[i] = &faulty{KV: bucket(t, s.Connect()), lossy: lossy, stale: stale, late: &late}
	}
	return all
}

func TestStored_ReadsMayBeOld(t *testing.T) {
	registertest.Exercise(t, func(t *testing.T) func() register.Swapper {
		views, next := faultyViews(t, 8, false, true), -1
		return func() register.Swapper {
			next++
			return stored(t, views[next%8], "r")
		}
	})
}

func TestStored_AnUnknownOutcomeIsAnErrorAndNeverAGuess(t *testing.T) {
	for range 5 {
		const clients, each = 4, 40
		var h registertest.History
		var wg sync.WaitGroup
		for id, view := range faultyViews(t, clients, true, true) {
			r := stored(t, view, "r")
			wg.Go(func() {
				guess := register.Uint(0)
				for i := range each {
					next := register.Uint(uint64(id*1000 + i + 1))
					got, err := h.Swap(t.Context(), id, r, register.Op{Old: guess, New: next})
					switch {
					case err != nil && fault.KindOf(err) != fault.Lost:
						t.Errorf("got %v", err)
					case err != nil:
						id += 100 // as porcupine has it, a client whose call goes on for ever asks nothing more
					case got == guess:
						guess = next
					default:
						guess = got
					}
				}
			})
		}
		wg.Wait()
		if all, unknown := h.Len(); unknown == 0 || unknown == all {
			t.Errorf("%d of %d failed", unknown, all)
		}
		h.Check(t, porcupine.Ok)
	}
}

// slow holds each write up until the test lets it go.
type slow struct {
	bus.KV
	begun chan struct{}
	let   chan struct{}
}

func (s *slow) Swap(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	s.begun <- struct{}{}
	select {
	case <-s.let:
	case <-ctx.Done():
		return 0, fault.New(fault.Canceled, "swap key", key, ctx.Err())
	}
	return s.KV.Swap(ctx, key, value, revision)
}

func TestStored_OneRoundTripWhileNobodyElseWrites(t *testing.T) {
	views := faultyViews(t, 2, false, false)
	a, b := stored(t, views[0], "r"), stored(t, views[1], "r")
	swap := func(r *register.Stored, old, new, want uint64) {
		t.Helper()
		if got, err := register.CAS(t.Context(), r, register.Uint(old), register.Uint(new)); got != register.Uint(want) || err != nil {
			t.Fatalf("got %v, %v, want %d", got, err, want)
		}
	}
	for i := range uint64(10) {
		swap(a, i, i+1, i)
		swap(a, 99, 0, i+1) // fails, and is proved to fail
	}
	if r, w := views[0].reads.Load(), views[0].writes.Load(); r != 1 || w != 20 {
		t.Errorf("%d reads and %d writes for 20 operations", r, w)
	}
	swap(b, 10, 20, 10)
	swap(a, 10, 30, 20) // what it knew is no longer true
	if r, w := views[0].reads.Load(), views[0].writes.Load(); r != 2 || w != 22 {
		t.Errorf("%d reads and %d writes after somebody else wrote", r, w)
	}
}

func TestStored_ACallerThatLeavesHoldsUpNobody(t *testing.T) {
	kv := &slow{bucket(t, mem.New().Connect()), make(chan struct{}), make(chan struct{})}
	r := stored(t, kv, "r")
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() {
		_, err := register.CAS(ctx, r, register.Uint(0), register.Uint(1))
		left <- err
	}()
	<-kv.begun
	cancel()
	if err := <-left; fault.KindOf(err) != fault.Canceled {
		t.Errorf("got %v", err)
	}
	got := make(chan register.Number, 1)
	go func() {
		n, _ := register.CAS(t.Context(), r, register.Uint(1), register.Uint(2))
		got <- n
	}()
	kv.let <- struct{}{}
	<-kv.begun
	kv.let <- struct{}{}
	if n := <-got; n != register.Uint(1) {
		t.Errorf("got %s: what the caller who left had asked for was done all the same", n)
	}
	if _, err := register.CAS(ctx, r, register.Uint(1), register.Uint(2)); fault.KindOf(err) != fault.Canceled {
		t.Errorf("got %v", err)
	}
}

func TestStored_CloseEndsWhatIsUnderWay(t *testing.T) {
	kv := &slow{bucket(t, mem.New().Connect()), make(chan struct{}), make(chan struct{})}
	r := stored(t, kv, "r")
	left := make(chan error, 1)
	go func() {
		_, err := register.CAS(t.Context(), r, register.Uint(0), register.Uint(1))
		left <- err
	}()
	<-kv.begun
	r.Close()
	if err := <-left; fault.KindOf(err) != fault.Canceled {
		t.Errorf("got %v", err)
	}
	if _, err := r.Swap(t.Context(), nil); fault.KindOf(err) != fault.Lost {
		t.Errorf("after Close: %v", err)
	}
}

func TestStored_SaysWhatIsNoRegister(t *testing.T) {
	kv := bucket(t, mem.New().Connect())
	for _, text := range []string{"", "abc", "-1", " 1"} {
		if _, err := kv.Put(t.Context(), "r", []byte(text)); err != nil {
			t.Fatal(err)
		}
		_, err := stored(t, kv, "r").Swap(t.Context(), nil)
		if fault.KindOf(err) != fault.Internal || err.Error() != "cannot read register r: its record is no number" {
			t.Errorf("%q: got %v", text, err)
		}
	}
	full, err := mem.New().Connect().KV(t.Context(), bus.Spec{Name: "small", MaxBytes: 10})
	if err != nil {
		t.Fatal(err)
	}
	r := stored(t, full, "r")
	if _, err := register.CAS(t.Context(), r, register.Uint(0), registertest.Digits(t, "123456789012345678901234567890")); fault.KindOf(err) != fault.Busy {
		t.Errorf("got %v", err)
	}
	if got, err := register.CAS(t.Context(), r, register.Uint(0), register.Uint(1)); got != register.Uint(0) || err != nil {
		t.Errorf("got %v, %v", got, err)
	}
}
