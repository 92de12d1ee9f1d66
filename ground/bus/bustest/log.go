package bustest

import (
	"fmt"
	"slices"
	"sync"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
)

var logTests = []func(*bench){
	RecordsAreReadInOrder, TailGivesTheNewest, ManyRecordsAreRead, AppendAlsoPublishes, ARemovedRecordIsNotRead,
	WhatIsAppendedCanBeReadElsewhere, ALogTakesOnlyItsSubjects,
}

func (h *bench) append(l bus.Log, subject string, data any) uint64 {
	h.Helper()
	return must(l.Append(h.ctx, subject, fmt.Append(nil, data)))(h)
}

func texts(records []bus.Record) (out []string) {
	for _, r := range records {
		out = append(out, string(r.Data))
	}
	return out
}

func RecordsAreReadInOrder(h *bench) {
	n := name()
	l := h.log(h.b, bus.Spec{Name: n})
	if got := must(l.Read(h.ctx, n+".>", 0, 10))(h); len(got) != 0 {
		h.Errorf("an empty log has %v", got)
	}
	var seqs []uint64
	for i := range 20 {
		seqs = append(seqs, h.append(l, fmt.Sprintf("%s.s%d", n, i%2), i))
	}
	read := func(filter string, from uint64, max int, want ...string) {
		h.Helper()
		got := must(l.Read(h.ctx, filter, from, max))(h)
		if !slices.Equal(texts(got), want) {
			h.Errorf("Read(%s, %d, %d) = %v, want %v", filter, from, max, texts(got), want)
		}
		for _, r := range got {
			if !bus.Match(filter, r.Subject) || r.Seq < from || r.Time.IsZero() {
				h.Errorf("read %+v", r)
			}
		}
	}
	read(n+".>", 0, 3, "0", "1", "2")
	read(n+".s1", 1, 3, "1", "3", "5")
	read(n+".*", seqs[17], 100, "17", "18", "19")
	read(n+".s0", seqs[19], 100)
	read(n+".s0", seqs[19]+100, 100)
	read(n+".>", 0, 0)
	read("other.>", 0, 5)
}

func TailGivesTheNewest(h *bench) {
	n := name()
	l := h.log(h.b, bus.Spec{Name: n})
	tail := func(filter string, max int, want ...string) {
		h.Helper()
		if got := texts(must(l.Tail(h.ctx, n+filter, max))(h)); !slices.Equal(got, want) {
			h.Errorf("Tail(%s, %d) = %v, want %v", filter, max, got, want)
		}
	}
	tail(".>", 5)
	h.append(l, n+".rare", "r1")
	h.append(l, n+".rare", "r2")
	for i := range 200 {
		h.append(l, n+".often", i)
	}
	tail(".often", 3, "197", "198", "199")
	tail(".>", 1, "199")
	tail(".rare", 1, "r2")
	tail(".rare", 10, "r1", "r2")
	tail(".none", 10)
	tail(".>", 0)
	if got := must(l.Tail(h.ctx, n+".>", 1000))(h); len(got) != 202 || string(got[0].Data) != "r1" {
		h.Errorf("the tail of all has %d", len(got))
	}
}

func ManyRecordsAreRead(h *bench) {
	const n = 1500
	s := name()
	l := h.log(h.b, bus.Spec{Name: s})
	var wg sync.WaitGroup
	for p := range 10 {
		wg.Go(func() {
			for i := p; i < n; i += 10 {
				if _, err := l.Append(h.ctx, fmt.Sprintf("%s.%d", s, i%10), fmt.Append(nil, i)); err != nil {
					h.Error(err)
				}
			}
		})
	}
	wg.Wait()
	var all []bus.Record
	for from := uint64(0); len(all) < n; {
		part := must(l.Read(h.ctx, s+".>", from, 700))(h)
		if len(part) == 0 {
			h.Fatalf("only %d records", len(all))
		}
		all = append(all, part...)
		from = part[len(part)-1].Seq + 1
	}
	seen := map[string]bool{}
	for i, r := range all {
		if i > 0 && r.Seq <= all[i-1].Seq {
			h.Fatalf("number %d after %d", r.Seq, all[i-1].Seq)
		}
		seen[string(r.Data)] = true
	}
	if len(seen) != n {
		h.Errorf("%d different records", len(seen))
	}
	if got := must(l.Tail(h.ctx, s+".>", 1000))(h); len(got) != 1000 || got[999].Seq != all[n-1].Seq || got[0].Seq != all[n-1000].Seq {
		h.Errorf("the tail has %d", len(got))
	}
	if got := must(l.Read(h.ctx, s+".3", 0, 1000))(h); len(got) != n/10 {
		h.Errorf("one subject has %d", len(got))
	}
}

func AppendAlsoPublishes(h *bench) {
	n := name()
	l := h.log(h.b, bus.Spec{Name: n})
	c := h.collect(h.other(), n+".>", "")
	for i := range 10 {
		h.append(l, n+".x", i)
	}
	for i := range 10 {
		m := next(h, c)
		for i > 0 && string(m.Data) == fmt.Sprint(i-1) { // a cluster without a leader is asked again
			m = next(h, c)
		}
		if m.Subject != n+".x" || string(m.Data) != fmt.Sprint(i) {
			h.Errorf("message %d is %s %q", i, m.Subject, m.Data)
		}
	}
}

func ARemovedRecordIsNotRead(h *bench) {
	n := name()
	l := h.log(h.b, bus.Spec{Name: n})
	for i := range 3 {
		h.append(l, n+".x", i)
	}
	all := must(l.Read(h.ctx, n+".>", 0, 10))(h)
	h.ok(l.Remove(h.ctx, all[1].Seq))
	h.kind("twice", l.Remove(h.ctx, all[1].Seq), fault.NotFound)
	h.kind("never there", l.Remove(h.ctx, 99), fault.NotFound)
	if got := texts(must(l.Read(h.ctx, n+".>", 0, 10))(h)); !slices.Equal(got, []string{"0", "2"}) {
		h.Errorf("left are %v", got)
	}
	if got := texts(must(l.Tail(h.ctx, n+".>", 2))(h)); !slices.Equal(got, []string{"0", "2"}) {
		h.Errorf("the tail is %v", got)
	}
}

func WhatIsAppendedCanBeReadElsewhere(h *bench) {
	n := name()
	l, elsewhere := h.log(h.b, bus.Spec{Name: n}), h.log(h.other(), bus.Spec{Name: n})
	for i := range 50 {
		seq := h.append(l, n+".x", i)
		if got := must(elsewhere.Read(h.ctx, n+".x", seq, 1))(h); len(got) != 1 || got[0].Seq != seq {
			h.Fatalf("record %d is not there", seq)
		}
	}
}

func ALogTakesOnlyItsSubjects(h *bench) {
	n := name()
	l := h.log(h.b, bus.Spec{Name: n})
	for _, s := range []string{"", n, "other.x", n + ".*", n + ".a..b"} {
		_, err := l.Append(h.ctx, s, nil)
		h.kind(fmt.Sprintf("append %q", s), err, fault.Invalid)
	}
	_, err := l.Append(h.ctx, n+".x", make([]byte, bus.MaxMessage+1))
	h.kind("too large", err, fault.Invalid)
}
