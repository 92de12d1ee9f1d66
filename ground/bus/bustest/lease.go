package bustest

import (
	"fmt"
	"time"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
)

var leaseTests = []func(*bench){
	ALeaseRunsOut, ExtendKeepsALease, NakGivesBackAtOnce, NakGivesBackLater, ATakersDeathGivesItsEntriesToOthers,
	ALateAckStillCounts, AnyoneGivesBackWithTheToken, AnEndedTokenDoesNothing,
}

const shortLease = 500 * time.Millisecond

func ALeaseRunsOut(h *bench) {
	n := name()
	q := h.queue(h.b, bus.Spec{Name: n})
	c := h.consumer(q, n+".>", shortLease)
	seq := h.put(q, n+".x", 1)
	asked := time.Time{} // before the lease before began
	for attempt := 1; attempt <= 3; attempt++ {
		start := time.Now()
		d := h.take(c, 1)[0]
		if d.Attempt() != attempt || d.Record().Seq != seq {
			h.Errorf("number %d, attempt %d, want %d", d.Record().Seq, d.Attempt(), attempt)
		}
		if waited := time.Since(asked); attempt > 1 && waited < shortLease {
			h.Errorf("it came again after %v, the lease is %v", waited, shortLease)
		}
		asked = start
	}
}

func ExtendKeepsALease(h *bench) {
	n := name()
	q := h.queue(h.b, bus.Spec{Name: n})
	const lease = 2 * time.Second // long enough for a busy machine to extend it in time
	mine, others := h.consumer(q, n+".>", lease), h.consumer(h.queue(h.other(), bus.Spec{Name: n}), n+".>", lease)
	h.put(q, n+".x", 1)
	d := h.take(mine, 1)[0]
	type pulled struct {
		got []bus.Delivery
		err error
	}
	result := make(chan pulled)
	go func() {
		got, err := others.Pull(h.ctx, 1, lease+lease/4)
		result <- pulled{got, err}
	}()
	tick := time.NewTicker(lease / 8)
	defer tick.Stop()
	for {
		select {
		case r := <-result:
			if r.err != nil || len(r.got) > 0 {
				h.Errorf("another got %d, %v", len(r.got), r.err)
			}
			h.ok(d.Ack(h.ctx))
			return
		case <-tick.C:
			h.ok(d.Extend())
		}
	}
}

func NakGivesBackAtOnce(h *bench) {
	n := name()
	q := h.queue(h.b, bus.Spec{Name: n})
	c := h.consumer(q, n+".>", longLease)
	h.put(q, n+".x", "first")
	h.put(q, n+".x", "second")
	h.ok(h.take(c, 1)[0].Nak(0))
	again := h.take(h.consumer(h.queue(h.other(), bus.Spec{Name: n}), n+".>", longLease), 2)
	attempts := map[string]int{}
	for _, d := range again {
		attempts[string(d.Record().Data)] = d.Attempt()
	}
	if attempts["first"] != 2 || attempts["second"] != 1 {
		h.Errorf("attempts are %v", attempts)
	}
}

func NakGivesBackLater(h *bench) {
	const delay = 400 * time.Millisecond
	n := name()
	q := h.queue(h.b, bus.Spec{Name: n})
	c := h.consumer(q, n+".>", longLease)
	h.put(q, n+".x", "much later")
	h.ok(h.take(c, 1)[0].Nak(time.Hour))
	h.put(q, n+".x", "later")
	d := h.take(c, 1)[0]
	start := time.Now()
	h.ok(d.Nak(delay))
	again := h.take(c, 1)[0]
	if string(d.Record().Data) != "later" || again.Record().Seq != d.Record().Seq || again.Attempt() != 2 {
		h.Errorf("took %q, then %q, attempt %d", d.Record().Data, again.Record().Data, again.Attempt())
	}
	if waited := time.Since(start); waited < delay*9/10 {
		h.Errorf("it came again after %v, want %v", waited, delay)
	}
}

func ATakersDeathGivesItsEntriesToOthers(h *bench) {
	n := name()
	q := h.queue(h.b, bus.Spec{Name: n})
	dead := h.other()
	for i := range 3 {
		h.put(q, n+".x", i)
	}
	h.take(h.consumer(h.queue(dead, bus.Spec{Name: n}), n+".>", shortLease), 3)
	h.ok(dead.Close())
	for _, d := range h.take(h.consumer(q, n+".>", shortLease), 3) {
		if d.Attempt() < 2 {
			h.Errorf("attempt %d", d.Attempt())
		}
		h.ok(d.Ack(h.ctx))
	}
}

func ALateAckStillCounts(h *bench) {
	n := name()
	q := h.queue(h.b, bus.Spec{Name: n})
	c := h.consumer(q, n+".>", shortLease)
	h.put(q, n+".x", 1)
	late := h.take(c, 1)[0]
	again := h.take(c, 1)[0] // its lease has run out
	h.ok(late.Ack(h.ctx))
	h.holds(q, n+".>", 0)
	h.ok(again.Ack(h.ctx))
	h.none(c)
}

func AnyoneGivesBackWithTheToken(h *bench) {
	n := name()
	q := h.queue(h.b, bus.Spec{Name: n})
	c := h.consumer(q, n+".>", longLease)
	seq := h.put(q, n+".x", 1)
	d := h.take(c, 1)[0]
	h.ok(h.queue(h.other(), bus.Spec{Name: n}).GiveBack(d.Token()))
	if d := h.take(c, 1)[0]; d.Attempt() != 2 || d.Record().Seq != seq {
		h.Errorf("attempt %d of %d", d.Attempt(), d.Record().Seq)
	}
	for _, bad := range []string{"", "x", "a.b", n + ".x", "1..2", "$JS.ACK.other.c.1.2.3.4.5"} {
		h.kind(fmt.Sprintf("%q", bad), q.GiveBack(bad), fault.Invalid)
	}
}

func AnEndedTokenDoesNothing(h *bench) {
	n := name()
	q := h.queue(h.b, bus.Spec{Name: n})
	c := h.consumer(q, n+".>", longLease)
	h.put(q, n+".x", 1)
	d := h.take(c, 1)[0]
	h.ok(d.Ack(h.ctx))
	h.ok(q.GiveBack(d.Token()))
	h.none(c)
	h.holds(q, n+".>", 0)
}
