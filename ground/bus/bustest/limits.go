package bustest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
)

var limitTests = []func(*bench){
	AFullQueueRefuses, AQueueFullOfBytesRefuses, AFullLogDropsItsOldest, AFullKVRefuses, FullBlobsRefuse,
	OldRecordsExpire, StoresAreOpenedByName, EndedContextsAreHonoured,
}

func AFullQueueRefuses(h *bench) {
	n := name()
	q := h.queue(h.b, bus.Spec{Name: n, MaxRecords: 3})
	for i := range 3 {
		must(q.Put(h.ctx, n+".x", nil, fmt.Sprint("id", i)))(h)
	}
	_, err := q.Put(h.ctx, n+".x", nil, "one too many")
	h.kind("full", err, fault.Busy)
	h.holds(q, n+".>", 3)
	c := h.consumer(q, n+".>", longLease)
	h.ok(h.take(c, 1)[0].Ack(h.ctx))
	h.until("there is room again", func() bool { // and what was refused is not remembered
		_, err := q.Put(h.ctx, n+".x", nil, "one too many")
		return err == nil
	})
	_, err = q.Put(h.ctx, n+".x", nil, "")
	h.kind("full again", err, fault.Busy)
}

func AQueueFullOfBytesRefuses(h *bench) {
	n := name()
	q := h.queue(h.b, bus.Spec{Name: n, MaxBytes: 100 << 10})
	var err error
	kept := 0
	for ; kept < 200 && err == nil; kept++ {
		_, err = q.Put(h.ctx, n+".x", make([]byte, 1<<10), "")
	}
	h.kind("full", err, fault.Busy)
	if kept < 50 || kept > 102 {
		h.Errorf("%d entries of 1 KiB fit into 100", kept)
	}
}

func AFullLogDropsItsOldest(h *bench) {
	n := name()
	l := h.log(h.b, bus.Spec{Name: n, MaxRecords: 3})
	for i := range 10 {
		h.append(l, n+".x", i)
	}
	if got := texts(must(l.Read(h.ctx, n+".>", 0, 10))(h)); !slices.Equal(got, []string{"7", "8", "9"}) {
		h.Errorf("the log has %v", got)
	}
	l = h.log(h.b, bus.Spec{Name: n + "b", MaxBytes: 100 << 10})
	for range 200 {
		must(l.Append(h.ctx, n+"b.x", make([]byte, 1<<10)))(h)
	}
	if got := must(l.Read(h.ctx, n+"b.>", 0, 1000))(h); len(got) < 50 || len(got) > 102 || got[len(got)-1].Seq != 200 {
		h.Errorf("%d records of 1 KiB fit into 100", len(got))
	}
}

func AFullKVRefuses(h *bench) {
	kv := h.kv(h.b, bus.Spec{Name: name(), MaxBytes: 100 << 10})
	var err error
	for i := 0; i < 200 && err == nil; i++ {
		_, err = kv.Put(h.ctx, fmt.Sprint("k", i), make([]byte, 1<<10))
	}
	h.kind("full", err, fault.Busy)
	_, err = kv.Swap(h.ctx, "new", make([]byte, 90<<10), 0)
	h.kind("full", err, fault.Busy)
	_, err = kv.Get(h.ctx, "new")
	h.kind("get", err, fault.NotFound)
	must(kv.Put(h.ctx, "k0", []byte("less")))(h)
	for i := range 30 { // what is deleted makes room
		h.ok(kv.Delete(h.ctx, fmt.Sprint("k", i)))
	}
	must(kv.Put(h.ctx, "new", make([]byte, 10<<10)))(h)
}

func FullBlobsRefuse(h *bench) {
	b := h.blobs(h.b, bus.Spec{Name: name(), MaxBytes: 1 << 20})
	h.ok(b.Put(h.ctx, "a", bytes.NewReader(random(600<<10))))
	h.kind("too much", b.Put(h.ctx, "b", bytes.NewReader(random(600<<10))), fault.Busy)
	_, err := b.Open(h.ctx, "b")
	h.kind("open", err, fault.NotFound)
	endless := readerFunc(func(p []byte) (int, error) { return len(p), nil })
	h.kind("endless", b.Put(h.ctx, "b", endless), fault.Busy)
	if got := h.content(b, "a"); len(got) != 600<<10 {
		h.Errorf("a has %d bytes", len(got))
	}
	h.ok(b.Put(h.ctx, "b", bytes.NewReader(random(100<<10)))) // what was refused left nothing behind
	h.ok(b.Delete(h.ctx, "a"))
	h.ok(b.Put(h.ctx, "c", bytes.NewReader(random(600<<10))))
}

func OldRecordsExpire(h *bench) {
	n := name()
	const age = time.Second
	q := h.queue(h.b, bus.Spec{Name: n, MaxAge: age})
	l := h.log(h.b, bus.Spec{Name: n + "l", MaxAge: age})
	kv := h.kv(h.b, bus.Spec{Name: n, MaxAge: age})
	b := h.blobs(h.b, bus.Spec{Name: n, MaxAge: age})
	h.put(q, n+".x", 1)
	h.append(l, n+"l.x", 1)
	rev := must(kv.Put(h.ctx, "k", nil))(h)
	h.ok(b.Put(h.ctx, "x", bytes.NewReader(nil)))
	h.holds(q, n+".>", 0)
	h.until("the log is empty", func() bool { return len(must(l.Read(h.ctx, n+"l.>", 0, 5))(h)) == 0 })
	h.until("the key is gone", func() bool { _, err := kv.Get(h.ctx, "k"); return fault.KindOf(err) == fault.NotFound })
	h.until("the blob is gone", func() bool { _, err := b.Stat(h.ctx, "x"); return fault.KindOf(err) == fault.NotFound })
	h.none(h.consumer(q, n+".>", longLease))
	_, err := kv.Swap(h.ctx, "k", nil, rev)
	h.kind("swap what is gone", err, fault.Conflict)
	must(kv.Swap(h.ctx, "k", nil, 0))(h)
}

func StoresAreOpenedByName(h *bench) {
	for _, bad := range []string{"", "a.b", "a b", "*", ">", "a/b", "ü"} {
		spec := bus.Spec{Name: bad}
		_, err := h.b.Queue(h.ctx, spec)
		h.kind(fmt.Sprintf("queue %q", bad), err, fault.Invalid)
		_, err = h.b.Log(h.ctx, spec)
		h.kind(fmt.Sprintf("log %q", bad), err, fault.Invalid)
		_, err = h.b.KV(h.ctx, spec)
		h.kind(fmt.Sprintf("kv %q", bad), err, fault.Invalid)
		_, err = h.b.Blobs(h.ctx, spec)
		h.kind(fmt.Sprintf("blobs %q", bad), err, fault.Invalid)
	}
	n := name()
	var wg sync.WaitGroup
	for range 4 { // all at once, and all kinds under one name
		b := h.other()
		wg.Go(func() {
			_, e1 := b.Queue(h.ctx, bus.Spec{Name: n})
			_, e2 := b.KV(h.ctx, bus.Spec{Name: n})
			_, e3 := b.Blobs(h.ctx, bus.Spec{Name: n})
			_, e4 := b.Log(h.ctx, bus.Spec{Name: n + "-l"})
			for _, err := range []error{e1, e2, e3, e4} {
				if err != nil {
					h.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func EndedContextsAreHonoured(h *bench) {
	n := name()
	q, l := h.queue(h.b, bus.Spec{Name: n}), h.log(h.b, bus.Spec{Name: n + "l"})
	h.put(q, n+".x", 1)
	d := h.take(h.consumer(q, n+".>", longLease), 1)[0]
	ctx, cancel := context.WithCancel(h.ctx)
	cancel()
	for what, f := range map[string]func() error{
		"open queue": func() error { _, err := h.b.Queue(ctx, bus.Spec{Name: n + "q"}); return err },
		"open log":   func() error { _, err := h.b.Log(ctx, bus.Spec{Name: n + "m"}); return err },
		"open kv":    func() error { _, err := h.b.KV(ctx, bus.Spec{Name: n + "k"}); return err },
		"open blobs": func() error { _, err := h.b.Blobs(ctx, bus.Spec{Name: n + "b"}); return err },
		"put":        func() error { _, err := q.Put(ctx, n+".x", nil, ""); return err },
		"consumer":   func() error { _, err := q.Consumer(ctx, n+".>", longLease); return err },
		"counts":     func() error { _, err := q.Counts(ctx, n+".>"); return err },
		"peek":       func() error { _, err := q.Peek(ctx, n+".>", 0, 1); return err },
		"remove":     func() error { return q.Remove(ctx, 1) },
		"ack":        func() error { return d.Ack(ctx) },
		"append":     func() error { _, err := l.Append(ctx, n+"l.x", nil); return err },
		"read":       func() error { _, err := l.Read(ctx, n+"l.>", 0, 1); return err },
		"tail":       func() error { _, err := l.Tail(ctx, n+"l.>", 1); return err },
		"subscribe":  func() error { _, err := h.b.Subscribe(ctx, n, "", func(bus.Message) {}); return err },
		"serve":      func() error { _, err := h.b.Serve(ctx, n, "", func(bus.Message) {}); return err },
	} {
		h.kind(what, f(), fault.Canceled)
	}
	h.holds(q, n+".>", 1)
	ctx, cancel = context.WithDeadline(h.ctx, time.Now().Add(-time.Second))
	defer cancel()
	_, err := q.Put(ctx, n+".x", nil, "")
	h.kind("put", err, fault.Deadline)
}
