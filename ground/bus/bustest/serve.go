package bustest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
)

var serveTests = []func(*bench){
	NoRequestWaitsForAnother, AThousandRequestsAreServedAtOnce, OneServerOfAGroupGetsARequest, DrainingWaitsForCalls,
	NothingIsServedAfterUnsubscribe, WhatIsSpentIsServedAgain, BadSubjectsAreNotServed,
}

// serve is subscribe for Serve.
func (h *bench) serve(b bus.Bus, subject, group string, f func(bus.Message)) bus.Subscription {
	h.Helper()
	sub := must(b.Serve(h.ctx, subject, group, f))(h)
	h.known(b)
	return sub
}

// gather returns a function that returns when n callers are in it, and every one after them at once.
func gather(n int64) func() {
	var came atomic.Int64
	all := make(chan struct{})
	return func() {
		if came.Add(1) == n {
			close(all)
		}
		<-all
	}
}

// ask makes n requests at the same time, each of which is to be answered with its own data.
func (h *bench) ask(b bus.Bus, subject string, n int) {
	h.Helper()
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			got, err := b.Request(h.ctx, bus.Message{Subject: subject, Data: fmt.Append(nil, i)})
			if err != nil || string(got.Data) != fmt.Sprint(i) {
				h.Errorf("request %d got %q, %v", i, got.Data, err)
			}
		})
	}
	wg.Wait()
}

// Each is answered only when all are being handled.
func NoRequestWaitsForAnother(h *bench) {
	s := name()
	server := h.other()
	for round, n := range []int{1, 2, 20, 1, 100} {
		wait := gather(int64(n))
		subject := fmt.Sprint(s, ".", round)
		h.serve(server, subject, "", func(m bus.Message) {
			wait()
			server.Publish(m.Reply, m.Data)
		})
		h.ask(h.b, subject, n)
		h.ask(h.b, subject, 1)
	}
}

func AThousandRequestsAreServedAtOnce(h *bench) {
	const n = 1000
	s := name()
	server := h.other()
	wait := gather(n)
	h.serve(server, s, "g", func(m bus.Message) {
		wait()
		server.Publish(m.Reply, m.Data)
	})
	h.ask(h.b, s, n)
}

func OneServerOfAGroupGetsARequest(h *bench) {
	const n = 400
	s := name()
	members := make([]atomic.Int64, 3)
	for i := range members {
		b := h.other()
		h.serve(b, s, "g", func(m bus.Message) {
			members[i].Add(1)
			b.Publish(m.Reply, m.Data)
		})
	}
	h.ask(h.b, s, n)
	all := int64(0)
	for i := range members {
		got := members[i].Load()
		if all += got; got == 0 {
			h.Errorf("member %d got nothing", i)
		}
	}
	if all != n {
		h.Errorf("%d requests were served %d times", n, all)
	}
}

// unheard says whether nobody listens to a subject.
func (h *bench) unheard(subject string) bool {
	ctx, cancel := context.WithTimeout(h.ctx, 20*time.Millisecond)
	defer cancel()
	_, err := h.b.Request(ctx, bus.Message{Subject: subject})
	return fault.KindOf(err) == fault.NotFound
}

func DrainingWaitsForCalls(h *bench) {
	const n = 20
	s := name()
	server := h.other()
	wait, free := gather(n+1), make(chan struct{})
	var drained atomic.Bool
	var done atomic.Int64
	sub := h.serve(server, s, "", func(m bus.Message) {
		if m.Reply != "" {
			return // it was asked whether anybody listens
		}
		wait()
		<-free
		done.Add(1)
	})
	for range n {
		h.ok(h.b.Publish(s, nil))
	}
	wait() // until all are under way
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(free)
		h.until("it is given no more", func() bool { return h.unheard(s) })
		if drained.Load() {
			h.Error("Drain did not wait for what was under way")
		}
	})
	h.ok(sub.Drain())
	drained.Store(true)
	wg.Wait()
	if done.Load() != n {
		h.Errorf("when it was drained %d of %d calls had returned", done.Load(), n)
	}
	h.ok(sub.Drain())
	h.ok(sub.Unsubscribe())
}

func NothingIsServedAfterUnsubscribe(h *bench) {
	const n = 1000
	s := name()
	calls := make(chan struct{}, 2*n)
	sub := h.serve(h.b, s, "", func(bus.Message) { calls <- struct{}{} })
	rest := h.collect(h.b, s, "")
	for _, served := range []bool{true, false} {
		for range n {
			h.ok(h.b.Publish(s, nil))
		}
		for range n {
			next(h, rest)
			if served {
				next(h, calls)
			}
		}
		h.ok(sub.Unsubscribe())
	}
	if len(calls) > 0 {
		h.Errorf("%d calls came after Unsubscribe", len(calls))
	}
}

// Requests come in waves: who handled the last one handles the next.
func WhatIsSpentIsServedAgain(h *bench) {
	s := name()
	server := h.other()
	h.serve(server, s, "", func(m bus.Message) { server.Publish(m.Reply, m.Data) })
	for _, n := range []int{1, 50, 1, 1, 200, 3} {
		h.ask(h.b, s, n)
	}
}

func BadSubjectsAreNotServed(h *bench) {
	for _, s := range []string{"", "a..b", "a b", "a.>.b"} {
		_, err := h.b.Serve(h.ctx, s, "", func(bus.Message) {})
		h.kind(fmt.Sprintf("serve %q", s), err, fault.Invalid)
	}
}
