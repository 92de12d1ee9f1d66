package bustest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
)

var queueTests = []func(*bench){
	EntriesComeOutAsTheyWentIn, AcknowledgedEntriesAreGone, AnIDIsPutOnce, HeadersComeWithTheirEntries, EntriesAreCountedPerSubject,
	PeekTakesNothing, ARemovedEntryIsNotHandedOut, TakersShareTheWork, FiltersSeparateWork,
	ManyProducersLoseNothing, APullWaitsForWork, APullTakesWhatIsThere, APullEnds, AnIdleTakerHoldsNothingBack,
	PullsOfOneTakerDoNotBlockEachOther, FiltersMustNotOverlap, AQueueTakesOnlyItsSubjects,
}

// take pulls until n entries came.
func (h *bench) take(c bus.Consumer, n int) []bus.Delivery {
	h.Helper()
	var all []bus.Delivery
	for len(all) < n {
		all = append(all, must(c.Pull(h.ctx, n-len(all), time.Second))(h)...)
		h.ok(h.ctx.Err())
	}
	return all
}

// none fails if there is anything to take now.
func (h *bench) none(c bus.Consumer) {
	h.Helper()
	if got := must(c.Pull(h.ctx, 1, 150*time.Millisecond))(h); len(got) > 0 {
		h.Errorf("took %q, attempt %d, want nothing", got[0].Record().Data, got[0].Attempt())
	}
}

func (h *bench) consumer(q bus.Queue, filter string, lease time.Duration) bus.Consumer {
	h.Helper()
	return must(q.Consumer(h.ctx, filter, lease))(h)
}

func (h *bench) put(q bus.Queue, subject string, data any) uint64 {
	h.Helper()
	return must(q.Put(h.ctx, subject, fmt.Append(nil, data), ""))(h)
}

// holds waits until so many entries are there: a cluster takes a moment to
// forget what was acknowledged.
func (h *bench) holds(q bus.Queue, filter string, want int) {
	h.Helper()
	h.until(fmt.Sprint(want, " entries are left"), func() bool {
		n := uint64(0)
		for _, c := range must(q.Counts(h.ctx, filter))(h) {
			n += c
		}
		return n == uint64(want)
	})
}

const longLease = time.Minute

func EntriesComeOutAsTheyWentIn(h *bench) {
	n := name()
	q := h.queue(h.b, bus.Spec{Name: n})
	c := h.consumer(h.queue(h.other(), bus.Spec{Name: n}), n+".>", longLease)
	start := time.Now()
	var seqs []uint64
	for i := range 100 {
		data := fmt.Append(nil, i)
		seqs = append(seqs, must(q.Put(h.ctx, fmt.Sprintf("%s.s%d.x", n, i%3), data, ""))(h))
		clear(data)
	}
	if !slices.IsSorted(seqs) || seqs[0] < 1 || len(slices.Compact(slices.Clone(seqs))) != 100 {
		h.Errorf("numbers do not grow: %v", seqs)
	}
	for i, d := range h.take(c, 100) {
		r := d.Record()
		if r.Seq != seqs[i] || r.Subject != fmt.Sprintf("%s.s%d.x", n, i%3) || string(r.Data) != fmt.Sprint(i) || d.Attempt() != 1 {
			h.Fatalf("entry %d is %+v, attempt %d, want number %d", i, r, d.Attempt(), seqs[i])
		}
		if r.Time.Before(start.Add(-time.Minute)) || r.Time.After(time.Now().Add(time.Minute)) {
			h.Errorf("entry %d is of %v", i, r.Time)
		}
	}
}

func AcknowledgedEntriesAreGone(h *bench) {
	n := name()
	q := h.queue(h.b, bus.Spec{Name: n})
	c := h.consumer(q, n+".>", longLease)
	for i := range 5 {
		h.put(q, n+".x", i)
	}
	for _, d := range h.take(c, 5) {
		h.ok(d.Ack(h.ctx))
	}
	h.holds(q, n+".>", 0)
	h.none(c)
	last := h.put(q, n+".x", "next")
	if got := h.take(c, 1)[0].Record(); got.Seq != last || got.Seq < 6 {
		h.Errorf("the next entry is number %d, put said %d", got.Seq, last)
	}
}

func HeadersComeWithTheirEntries(h *bench) {
	n := name()
	q := h.queue(h.b, bus.Spec{Name: n})
	words := map[string]string{"traceparent": "00-1", "Become-Places": `["a b"]`}
	must(q.Put(h.ctx, n+".x", []byte("1"), "an-id", words))(h)
	words["traceparent"] = "changed"
	must(q.Put(h.ctx, n+".x", []byte("2"), "another"))(h)
	words["traceparent"] = "00-1"
	peeked := must(h.queue(h.other(), bus.Spec{Name: n}).Peek(h.ctx, n+".>", 1, 2))(h)
	took := h.take(h.consumer(q, n+".>", longLease), 2)
	for i, want := range []map[string]string{words, nil} {
		if got := peeked[i].Header; !maps.Equal(got, want) {
			h.Errorf("entry %d was peeked with %v", i, got)
		}
		if got := took[i].Record().Header; !maps.Equal(got, want) || string(took[i].Record().Data) != fmt.Sprint(i+1) {
			h.Errorf("entry %d came with %v", i, got)
		}
		h.ok(took[i].Ack(h.ctx))
	}
	for _, bad := range []map[string]string{{"a b": "x"}, {"x": "a\nb"}, {"x": strings.Repeat("x", bus.MaxHeader)}, {"Nats-Msg-Id": "x"}} {
		_, err := q.Put(h.ctx, n+".x", nil, "", bad)
		h.kind(fmt.Sprintf("put with %.40v", bad), err, fault.Invalid)
	}
	_, err := q.Put(h.ctx, n+".x", nil, "", words, words)
	h.kind("put with two headers", err, fault.Invalid)
	h.holds(q, n+".>", 0)
}

func AnIDIsPutOnce(h *bench) {
	n := name()
	q := h.queue(h.b, bus.Spec{Name: n})
	c := h.consumer(q, n+".>", longLease)
	first := must(q.Put(h.ctx, n+".x", []byte("1"), "a"))(h)
	again := must(h.queue(h.other(), bus.Spec{Name: n}).Put(h.ctx, n+".x", []byte("2"), "a"))(h)
	b := must(q.Put(h.ctx, n+".x", []byte("3"), "b"))(h)
	if again != first || b == first {
		h.Errorf("numbers %d, %d, then %d", first, again, b)
	}
	took := h.take(c, 2)
	if got := string(took[0].Record().Data); got != "1" {
		h.Errorf("the entry is %q", got)
	}
	for _, d := range took {
		h.ok(d.Ack(h.ctx))
	}
	if got := must(q.Put(h.ctx, n+".x", []byte("4"), "a"))(h); got != first {
		h.Errorf("number %d after it was acknowledged, want %d", got, first)
	}
	h.none(c)
	if one, other := h.put(q, n+".x", 5), h.put(q, n+".x", 5); one == other {
		h.Error("entries without id were taken for one")
	}
}

func EntriesAreCountedPerSubject(h *bench) {
	n := name()
	q := h.queue(h.b, bus.Spec{Name: n})
	if got := must(q.Counts(h.ctx, n+".>"))(h); len(got) != 0 {
		h.Errorf("an empty queue counts %v", got)
	}
	for i := range 10 {
		h.put(q, fmt.Sprintf("%s.a.s%d", n, i%2), i)
		h.put(q, n+".b.s", i)
	}
	h.take(h.consumer(q, n+".b.>", longLease), 4) // on lease, and still there
	want := map[string]uint64{n + ".a.s0": 5, n + ".a.s1": 5, n + ".b.s": 10}
	if got := must(q.Counts(h.ctx, n+".>"))(h); !maps.Equal(got, want) {
		h.Errorf("counts are %v", got)
	}
	delete(want, n+".b.s")
	if got := must(q.Counts(h.ctx, n+".a.*"))(h); !maps.Equal(got, want) {
		h.Errorf("counts of a are %v", got)
	}
}

func PeekTakesNothing(h *bench) {
	n := name()
	q := h.queue(h.b, bus.Spec{Name: n})
	var seqs []uint64
	for i := range 300 {
		seqs = append(seqs, h.put(q, fmt.Sprintf("%s.s%d", n, i%3), i))
	}
	c := h.consumer(q, n+".>", longLease)
	h.take(c, 1)
	peek := func(filter string, from uint64, max int) (got []string) {
		for _, r := range must(q.Peek(h.ctx, filter, from, max))(h) {
			got = append(got, string(r.Data))
		}
		return got
	}
	for _, c := range []struct {
		filter string
		from   uint64
		max    int
		want   []int
	}{
		{".>", 0, 3, []int{0, 1, 2}},
		{".>", 1, 0, nil},
		{".s1", 0, 2, []int{1, 4}},
		{".s1", seqs[2], 2, []int{4, 7}},
		{".s2", seqs[298], 5, []int{299}},
		{".>", seqs[299] + 1, 5, nil},
		{".none", 0, 5, nil},
	} {
		var want []string
		for _, i := range c.want {
			want = append(want, fmt.Sprint(i))
		}
		if got := peek(n+c.filter, c.from, c.max); !slices.Equal(got, want) {
			h.Errorf("peek%+v = %v", c, got)
		}
	}
	if got := peek(n+".>", 0, 1000); len(got) != 300 || got[299] != "299" {
		h.Errorf("peek of all gives %d", len(got))
	}
	h.take(c, 299)
}

func ARemovedEntryIsNotHandedOut(h *bench) {
	n := name()
	q := h.queue(h.b, bus.Spec{Name: n})
	c := h.consumer(q, n+".>", longLease)
	a, b, last := h.put(q, n+".x", "a"), h.put(q, n+".x", "b"), h.put(q, n+".x", "c")
	h.ok(q.Remove(h.ctx, b))
	h.kind("remove twice", q.Remove(h.ctx, b), fault.NotFound)
	h.kind("remove what never was", q.Remove(h.ctx, 1_000_000), fault.NotFound)
	took := h.take(c, 2)
	if took[0].Record().Seq != a || took[1].Record().Seq != last {
		h.Errorf("took %d and %d", took[0].Record().Seq, took[1].Record().Seq)
	}
	h.ok(q.Remove(h.ctx, a)) // on lease: its taker may still finish it
	h.ok(took[0].Ack(h.ctx))
	h.ok(took[1].Ack(h.ctx))
	h.holds(q, n+".>", 0)
	h.none(c)
	h.kind("remove the acknowledged", q.Remove(h.ctx, last), fault.NotFound)
}

func TakersShareTheWork(h *bench) {
	const n = 300
	s := name()
	q := h.queue(h.b, bus.Spec{Name: s})
	var mu sync.Mutex
	seen := map[string]int{}
	var wg sync.WaitGroup
	ctx, stop := context.WithCancel(h.ctx)
	defer stop()
	for range 4 {
		c := h.consumer(h.queue(h.other(), bus.Spec{Name: s}), s+".>", longLease)
		wg.Go(func() {
			for ctx.Err() == nil {
				took, err := c.Pull(ctx, 7, time.Second)
				if err != nil && ctx.Err() == nil {
					h.Error(err)
					return
				}
				for _, d := range took {
					if err := d.Ack(h.ctx); err != nil {
						h.Error(err)
					}
					mu.Lock()
					if seen[string(d.Record().Data)]++; len(seen) == n {
						stop()
					}
					mu.Unlock()
				}
			}
		})
	}
	for i := range n {
		h.put(q, fmt.Sprintf("%s.%d", s, i%10), i)
	}
	wg.Wait()
	for data, times := range seen {
		if times != 1 {
			h.Errorf("entry %s was handed out %d times", data, times)
		}
	}
	h.holds(q, s+".>", 0)
}

func FiltersSeparateWork(h *bench) {
	n := name()
	q := h.queue(h.b, bus.Spec{Name: n})
	h.put(q, n+".b.1", "b") // before its consumer
	a, b := h.consumer(q, n+".a.>", longLease), h.consumer(q, n+".b.>", longLease)
	h.put(q, n+".a.1", "a")
	h.put(q, n+".c.1", "nobody's")
	if got := h.take(a, 1)[0].Record(); string(got.Data) != "a" {
		h.Errorf("a took %q", got.Data)
	}
	if got := h.take(b, 1)[0].Record(); string(got.Data) != "b" {
		h.Errorf("b took %q", got.Data)
	}
	h.none(a)
	h.none(b)
	h.holds(q, n+".>", 3)
}

func ManyProducersLoseNothing(h *bench) {
	n := name()
	var mu sync.Mutex
	seqs := map[uint64]bool{}
	var wg sync.WaitGroup
	for p := range 4 {
		q := h.queue(h.other(), bus.Spec{Name: n})
		wg.Go(func() {
			for i := range 50 {
				seq, err := q.Put(h.ctx, n+".x", fmt.Append(nil, p, i), fmt.Sprint(p, i))
				if err != nil {
					h.Error(err)
					return
				}
				mu.Lock()
				if seqs[seq] {
					h.Errorf("number %d was given twice", seq)
				}
				seqs[seq] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for _, d := range h.take(h.consumer(h.queue(h.b, bus.Spec{Name: n}), n+".>", longLease), 200) {
		delete(seqs, d.Record().Seq)
	}
	if len(seqs) > 0 {
		h.Errorf("%d entries did not come", len(seqs))
	}
}

func APullWaitsForWork(h *bench) {
	n := name()
	q := h.queue(h.b, bus.Spec{Name: n})
	c := h.consumer(h.queue(h.other(), bus.Spec{Name: n}), n+".>", longLease)
	took := make(chan []bus.Delivery)
	go func() {
		d, err := c.Pull(h.ctx, 5, patience)
		if err != nil {
			h.Error(err)
		}
		took <- d
	}()
	h.put(q, n+".x", 1)
	if got := next(h, took); len(got) != 1 || string(got[0].Record().Data) != "1" {
		h.Errorf("took %d", len(got))
	}
}

func APullTakesWhatIsThere(h *bench) {
	n := name()
	q := h.queue(h.b, bus.Spec{Name: n})
	c := h.consumer(q, n+".>", longLease)
	for i := range 10 {
		h.put(q, n+".x", i)
	}
	if got := must(c.Pull(h.ctx, 3, patience))(h); len(got) > 3 {
		h.Errorf("asked for 3, got %d", len(got))
	} else {
		h.take(c, 10-len(got))
	}
	h.none(c)
}

func APullEnds(h *bench) {
	n := name()
	q := h.queue(h.b, bus.Spec{Name: n})
	c := h.consumer(q, n+".>", longLease)
	start := time.Now()
	h.none(c)
	if took := time.Since(start); took < 100*time.Millisecond {
		h.Errorf("an empty pull waited only %v", took)
	}
	ctx, cancel := context.WithTimeout(h.ctx, 50*time.Millisecond)
	defer cancel()
	_, err := c.Pull(ctx, 1, patience)
	h.kind("time is over", err, fault.Deadline)
	ctx, cancel = context.WithCancel(h.ctx)
	cancel()
	_, err = c.Pull(ctx, 1, patience)
	h.kind("given up", err, fault.Canceled)
	// What was given up takes nothing with it.
	h.put(q, n+".x", 1)
	if d := h.take(c, 1)[0]; d.Attempt() != 1 {
		h.Errorf("attempt %d", d.Attempt())
	}
}

func AnIdleTakerHoldsNothingBack(h *bench) {
	n := name()
	q := h.queue(h.b, bus.Spec{Name: n})
	idle := h.consumer(h.queue(h.other(), bus.Spec{Name: n}), n+".>", longLease)
	eager := h.consumer(h.queue(h.other(), bus.Spec{Name: n}), n+".>", longLease)
	h.put(q, n+".x", 0)
	if got := must(idle.Pull(h.ctx, 10, patience))(h); len(got) != 1 { // it could have had ten
		h.Fatalf("took %d", len(got))
	}
	for i := range 9 {
		h.put(q, n+".x", i)
	}
	for _, d := range h.take(eager, 9) {
		if d.Attempt() != 1 {
			h.Errorf("attempt %d", d.Attempt())
		}
	}
}

func PullsOfOneTakerDoNotBlockEachOther(h *bench) {
	n := name()
	q := h.queue(h.b, bus.Spec{Name: n})
	c := h.consumer(q, n+".>", longLease)
	got := make(chan int, 2)
	for range 2 {
		go func() {
			d, err := c.Pull(h.ctx, 1, patience)
			if err != nil {
				h.Error(err)
			}
			got <- len(d)
		}()
	}
	ctx, cancel := context.WithTimeout(h.ctx, 50*time.Millisecond)
	defer cancel()
	_, err := c.Pull(ctx, 1, patience)
	h.kind("time is over", err, fault.Deadline)
	h.put(q, n+".x", 1)
	h.put(q, n+".x", 2)
	for range 2 {
		if n := next(h, got); n != 1 {
			h.Errorf("took %d", n)
		}
	}
}

func FiltersMustNotOverlap(h *bench) {
	n := name()
	q := h.queue(h.b, bus.Spec{Name: n})
	h.consumer(q, n+".a.*", longLease)
	h.consumer(q, n+".b.>", longLease)
	h.consumer(q, n+".b.>", longLease) // the same one
	for _, f := range []string{n + ".a.x", n + ".*.x", n + ".>"} {
		_, err := q.Consumer(h.ctx, f, longLease)
		h.kind(f, err, fault.Invalid)
	}
	_, err := q.Consumer(h.ctx, "other.>", longLease)
	h.kind("a filter of another queue", err, fault.Invalid)
	_, err = q.Consumer(h.ctx, n+".c..x", longLease)
	h.kind("a bad filter", err, fault.Invalid)
}

func AQueueTakesOnlyItsSubjects(h *bench) {
	n := name()
	q := h.queue(h.b, bus.Spec{Name: n})
	for _, s := range []string{"", n, "other.x", n + "x.y", n + ".*", n + ".>", n + ".a..b", n + ".a b"} {
		_, err := q.Put(h.ctx, s, nil, "")
		h.kind(fmt.Sprintf("put %q", s), err, fault.Invalid)
	}
	_, err := q.Put(h.ctx, n+".x", make([]byte, bus.MaxMessage+1), "")
	h.kind("too large", err, fault.Invalid)
	must(q.Put(h.ctx, n+".x", make([]byte, bus.MaxMessage), "an-id"))(h)
	h.holds(q, n+".>", 1)
}
