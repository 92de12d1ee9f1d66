package mem_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/bus/mem"
	"github.com/universal-server/become/ground/fault"
)

// bubble runs f where time stands still while anybody works. It also fails
// if a goroutine is left when the connection is closed.
func bubble(t *testing.T, f func(t *testing.T, ctx context.Context, b bus.Bus)) {
	synctest.Test(t, func(t *testing.T) {
		b := mem.New().Connect()
		f(t, t.Context(), b)
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
}

func must[T any](t *testing.T, v T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

type work struct {
	bus.Queue
	bus.Consumer
}

func open(t *testing.T, b bus.Bus, lease time.Duration) work {
	t.Helper()
	q, err := b.Queue(t.Context(), bus.Spec{Name: "q", MaxAge: time.Hour})
	must(t, q, err)
	c, err := q.Consumer(t.Context(), "q.>", lease)
	return work{q, must(t, c, err)}
}

func (w work) put(t *testing.T, data string) {
	t.Helper()
	if _, err := w.Put(t.Context(), "q.x", []byte(data), ""); err != nil {
		t.Fatal(err)
	}
}

// pull takes what comes within wait, and says when.
func (w work) pull(t *testing.T, wait time.Duration) (string, bus.Delivery, time.Duration) {
	t.Helper()
	start := time.Now()
	d, err := w.Pull(t.Context(), 1, wait)
	if err != nil {
		t.Fatal(err)
	}
	if len(d) == 0 {
		return "", nil, time.Since(start)
	}
	return fmt.Sprintf("%s#%d", d[0].Record().Data, d[0].Attempt()), d[0], time.Since(start)
}

func TestQueue_ALeaseEndsToTheSecond(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context, b bus.Bus) {
		w := open(t, b, 10*time.Second)
		w.put(t, "a")
		w.pull(t, 0)
		if got, _, took := w.pull(t, time.Hour); got != "a#2" || took != 10*time.Second {
			t.Errorf("got %s after %v", got, took)
		}
		if got, _, took := w.pull(t, 9*time.Second); got != "" || took != 9*time.Second {
			t.Errorf("got %q after %v", got, took)
		}
	})
}

func TestQueue_ExtendMovesTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context, b bus.Bus) {
		w := open(t, b, 10*time.Second)
		w.put(t, "a")
		_, d, _ := w.pull(t, 0)
		for range 5 {
			time.Sleep(9 * time.Second)
			if err := d.Extend(); err != nil {
				t.Fatal(err)
			}
		}
		if got, _, took := w.pull(t, time.Hour); got != "a#2" || took != 10*time.Second {
			t.Errorf("got %s after %v", got, took)
		}
		if err := d.Extend(); fault.KindOf(err) != fault.Lost {
			t.Errorf("extending a lease that ran out: %v", err)
		}
	})
}

// At the very moment a lease ends, either the extension holds or it fails.
func TestQueue_ExtendAtTheLastMomentIsTrueOrRefused(t *testing.T) {
	for range 50 {
		bubble(t, func(t *testing.T, ctx context.Context, b bus.Bus) {
			w := open(t, b, time.Second)
			w.put(t, "a")
			_, d, _ := w.pull(t, 0)
			time.Sleep(time.Second)
			extended := d.Extend() == nil
			synctest.Wait()
			got, _, took := w.pull(t, 999*time.Millisecond)
			if extended != (got == "") {
				t.Errorf("extended: %v, yet another got %q after %v", extended, got, took)
			}
		})
	}
}

func TestQueue_NakComesBackWhenToldTo(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context, b bus.Bus) {
		w := open(t, b, time.Second)
		w.put(t, "a")
		w.put(t, "b")
		_, d, _ := w.pull(t, 0)
		d.Nak(30 * time.Second)
		if err := d.Extend(); err == nil {
			t.Error("what was given back was extended")
		}
		_, d, _ = w.pull(t, 0)
		d.Ack(ctx)
		if got, _, took := w.pull(t, time.Hour); got != "a#2" || took != 30*time.Second {
			t.Errorf("got %s after %v", got, took)
		}
	})
}

func TestQueue_WhatIsGivenBackComesFirst(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context, b bus.Bus) {
		w := open(t, b, time.Minute)
		var taken []bus.Delivery
		for _, s := range strings.Fields("a b c d") {
			w.put(t, s)
		}
		for range 2 {
			_, d, _ := w.pull(t, 0)
			taken = append(taken, d)
		}
		taken[0].Nak(0)
		taken[1].Nak(0)
		var got []string
		for range 4 {
			s, _, _ := w.pull(t, 0)
			got = append(got, s)
		}
		if s := strings.Join(got, " "); s != "a#2 b#2 c#1 d#1" {
			t.Errorf("order is %s", s)
		}
	})
}

func TestQueue_AnIDIsRememberedTwoMinutes(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context, b bus.Bus) {
		w := open(t, b, time.Hour)
		first, _ := w.Put(ctx, "q.x", nil, "id")
		time.Sleep(2 * time.Minute)
		if again, _ := w.Put(ctx, "q.x", nil, "id"); again != first {
			t.Errorf("number %d, want %d", again, first)
		}
		time.Sleep(time.Nanosecond)
		if again, _ := w.Put(ctx, "q.x", nil, "id"); again == first {
			t.Error("it is remembered for longer")
		}
	})
}

func TestQueue_EntriesAgeOut(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context, b bus.Bus) {
		w := open(t, b, 2*time.Hour)
		w.put(t, "leased")
		w.put(t, "waiting")
		w.pull(t, 0)
		time.Sleep(time.Hour + time.Nanosecond)
		if n, _ := w.Counts(ctx, "q.>"); len(n) != 0 {
			t.Errorf("counts are %v", n)
		}
		if got, _, _ := w.pull(t, 3*time.Hour); got != "" {
			t.Errorf("got %s", got)
		}
	})
}

func TestKV_ValuesAgeOut(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context, b bus.Bus) {
		kv, err := b.KV(ctx, bus.Spec{Name: "kv", MaxAge: time.Minute, MaxBytes: 10})
		must(t, kv, err)
		rev, _ := kv.Put(ctx, "a", make([]byte, 8))
		time.Sleep(time.Minute)
		if _, err := kv.Get(ctx, "a"); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Nanosecond)
		if _, err := kv.Put(ctx, "b", make([]byte, 8)); err != nil {
			t.Errorf("what is too old takes room: %v", err)
		}
		if _, err := kv.Get(ctx, "a"); fault.KindOf(err) != fault.NotFound {
			t.Errorf("got %v", err)
		}
		if _, err := kv.Swap(ctx, "a", nil, rev); fault.KindOf(err) != fault.Conflict {
			t.Errorf("swap: %v", err)
		}
	})
}

func TestMessenger_ARequestEndsWithItsContext(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context, b bus.Bus) {
		b.Subscribe(t.Context(), "a", "", func(bus.Message) {})
		ctx, cancel := context.WithTimeout(ctx, time.Hour)
		defer cancel()
		start := time.Now()
		if _, err := b.Request(ctx, bus.Message{Subject: "a"}); fault.KindOf(err) != fault.Deadline || time.Since(start) != time.Hour {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// A slow subscriber's backlog is bounded by bytes too.
func TestMessenger_ABacklogIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context, b bus.Bus) {
		free := make(chan struct{})
		var n atomic.Int64
		b.Subscribe(t.Context(), "a", "", func(bus.Message) {
			<-free
			n.Add(1)
		})
		for range 100 {
			b.Publish("a", make([]byte, 1<<20-1<<14))
			synctest.Wait()
		}
		close(free)
		synctest.Wait()
		if got := n.Load(); got < 60 || got > 70 { // 64 MiB, and one in hand
			t.Errorf("%d MiB were kept", got)
		}
	})
}

func TestWatch_EndsWithItsContextAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, ctx context.Context, b bus.Bus) {
		kv, err := b.KV(ctx, bus.Spec{Name: "kv"})
		must(t, kv, err)
		watching, cancel := context.WithCancel(ctx)
		var told atomic.Int64
		kv.Watch(watching, "", func(bus.Entry) { told.Add(1) })
		time.Sleep(24 * time.Hour)
		kv.Put(ctx, "a", nil)
		synctest.Wait()
		cancel()
		synctest.Wait()
		kv.Put(ctx, "b", nil)
		synctest.Wait()
		if told.Load() != 2 {
			t.Errorf("told %d times, want the mark and one change", told.Load())
		}
	})
}
