package bustest

import (
	"bytes"
	"sync"
	"sync/atomic"
	"time"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
)

var closingTests = []func(*bench){
	WhatWasPublishedIsHandedOver, AClosedConnectionIsLost, CloseEndsWhatIsUnderWay, CloseRacesWithEverything,
}

func WhatWasPublishedIsHandedOver(h *bench) {
	s := name()
	leaver := h.other()
	c := h.collect(h.b, s, "")
	for range 500 {
		h.ok(leaver.Publish(s, nil))
	}
	h.ok(leaver.Close())
	h.ok(leaver.Close())
	for range 500 {
		next(h, c)
	}
}

func AClosedConnectionIsLost(h *bench) {
	n := name()
	b := h.other()
	q, l, kv, blobs := h.queue(b, bus.Spec{Name: n}), h.log(b, bus.Spec{Name: n + "l"}), h.kv(b, bus.Spec{Name: n}), h.blobs(b, bus.Spec{Name: n})
	h.put(q, n+".x", 1)
	c := h.consumer(q, n+".>", longLease)
	d := h.take(c, 1)[0]
	h.ok(blobs.Put(h.ctx, "x", bytes.NewReader(nil)))
	must(kv.Put(h.ctx, "k", nil))(h)
	h.ok(b.Close())
	for what, f := range map[string]func() error{
		"publish":    func() error { return b.Publish(n, nil) },
		"request":    func() error { _, err := b.Request(h.ctx, bus.Message{Subject: n}); return err },
		"subscribe":  func() error { _, err := b.Subscribe(h.ctx, n, "", func(bus.Message) {}); return err },
		"serve":      func() error { _, err := b.Serve(h.ctx, n, "", func(bus.Message) {}); return err },
		"open queue": func() error { _, err := b.Queue(h.ctx, bus.Spec{Name: n}); return err },
		"open log":   func() error { _, err := b.Log(h.ctx, bus.Spec{Name: n + "l"}); return err },
		"open kv":    func() error { _, err := b.KV(h.ctx, bus.Spec{Name: n}); return err },
		"open blobs": func() error { _, err := b.Blobs(h.ctx, bus.Spec{Name: n}); return err },
		"put":        func() error { _, err := q.Put(h.ctx, n+".x", nil, ""); return err },
		"consumer":   func() error { _, err := q.Consumer(h.ctx, n+".>", longLease); return err },
		"pull":       func() error { _, err := c.Pull(h.ctx, 1, time.Minute); return err },
		"counts":     func() error { _, err := q.Counts(h.ctx, n+".>"); return err },
		"peek":       func() error { _, err := q.Peek(h.ctx, n+".>", 0, 1); return err },
		"remove":     func() error { return q.Remove(h.ctx, 1) },
		"extend":     d.Extend,
		"ack":        func() error { return d.Ack(h.ctx) },
		"nak":        func() error { return d.Nak(0) },
		"append":     func() error { _, err := l.Append(h.ctx, n+"l.x", nil); return err },
		"read":       func() error { _, err := l.Read(h.ctx, n+"l.>", 0, 1); return err },
		"tail":       func() error { _, err := l.Tail(h.ctx, n+"l.>", 1); return err },
		"get":        func() error { _, err := kv.Get(h.ctx, "k"); return err },
		"put key":    func() error { _, err := kv.Put(h.ctx, "k", nil); return err },
		"swap":       func() error { _, err := kv.Swap(h.ctx, "k", nil, 1); return err },
		"delete":     func() error { return kv.Delete(h.ctx, "k") },
		"keys":       func() error { _, _, err := kv.Keys(h.ctx, 0); return err },
		"watch":      func() error { return kv.Watch(h.ctx, "", func(bus.Entry) {}) },
		"put blob":   func() error { return blobs.Put(h.ctx, "y", bytes.NewReader(nil)) },
		"open blob":  func() error { _, err := blobs.Open(h.ctx, "x"); return err },
		"stat":       func() error { _, err := blobs.Stat(h.ctx, "x"); return err },
		"rm blob":    func() error { return blobs.Delete(h.ctx, "x") },
	} {
		h.kind(what, f(), fault.Lost)
	}
	h.holds(h.queue(h.b, bus.Spec{Name: n}), n+".>", 1)
}

func CloseEndsWhatIsUnderWay(h *bench) {
	n := name()
	b := h.other()
	asked := h.collect(h.b, n+"ask", "")
	must(b.Subscribe(h.ctx, n+"x", "", func(bus.Message) {}))(h)
	must(b.Serve(h.ctx, n+"y", "", func(bus.Message) {}))(h)
	kv := h.kv(b, bus.Spec{Name: n})
	h.ok(kv.Watch(h.ctx, "", func(bus.Entry) {}))
	c := h.consumer(h.queue(b, bus.Spec{Name: n}), n+".>", longLease)
	var wg sync.WaitGroup
	var request, pull error
	wg.Go(func() { _, request = b.Request(h.ctx, bus.Message{Subject: n + "ask"}) })
	wg.Go(func() { _, pull = c.Pull(h.ctx, 1, patience) })
	next(h, asked)
	start := time.Now()
	h.ok(b.Close())
	wg.Wait()
	h.kind("request", request, fault.Lost)
	h.kind("pull", pull, fault.Lost)
	if took := time.Since(start); took > patience/4 {
		h.Errorf("it took %v", took)
	}
}

func CloseRacesWithEverything(h *bench) {
	n := name()
	h.kv(h.b, bus.Spec{Name: n})
	h.queue(h.b, bus.Spec{Name: n})
	for range 5 {
		b := h.other()
		kv := h.kv(b, bus.Spec{Name: n})
		q := h.queue(b, bus.Spec{Name: n})
		var after atomic.Int64
		var wg sync.WaitGroup
		begin := make(chan struct{})
		wg.Go(func() { <-begin; b.Subscribe(h.ctx, n+"y", "", func(bus.Message) { after.Add(1) }) })
		wg.Go(func() { <-begin; b.Serve(h.ctx, n+"y", "", func(bus.Message) { after.Add(1) }) })
		wg.Go(func() { <-begin; kv.Watch(h.ctx, "", func(bus.Entry) {}) })
		wg.Go(func() {
			<-begin
			if c, err := q.Consumer(h.ctx, n+".>", longLease); err == nil {
				c.Pull(h.ctx, 1, time.Second)
			}
		})
		wg.Go(func() { <-begin; b.Publish(n+"y", nil) })
		wg.Go(func() { <-begin; b.Close() })
		close(begin)
		h.ok(b.Close())
		wg.Wait()
	}
}
