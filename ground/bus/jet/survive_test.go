package jet_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/bus/jet"
	"github.com/universal-server/become/ground/fault"
)

// leader returns the server that leads a stream.
func (c cluster) leader(t *testing.T, ctx context.Context, stream string) *process {
	t.Helper()
	nc, err := nats.Connect(c[0].url())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(ctx, stream)
	if err != nil {
		t.Fatal(err)
	}
	info := s.CachedInfo()
	if info.Config.Replicas != len(c) {
		t.Fatalf("stream %s has %d replicas", stream, info.Config.Replicas)
	}
	for _, p := range c {
		if p.Name == info.Cluster.Leader {
			return p
		}
	}
	t.Fatalf("nobody leads %s", stream)
	return nil
}

// writer puts what it can, and remembers what was acknowledged.
type writer struct {
	mu    sync.Mutex
	acked map[uint64]string
	count atomic.Int64
	most  atomic.Int64 // the counter's last acknowledged value
}

func (w *writer) note(seq uint64, data string) {
	w.mu.Lock()
	w.acked[seq] = data
	w.mu.Unlock()
	w.count.Add(1)
}

func (w *writer) put(ctx context.Context, q bus.Queue, name string) {
	for i := 0; ctx.Err() == nil; i++ {
		data := fmt.Sprint(name, "-", i)
		if seq, err := q.Put(ctx, "q.x", []byte(data), data); err == nil {
			w.note(seq, data)
		}
	}
}

// add counts with compare-and-swap. A swap whose outcome is not known may count or not.
func (w *writer) add(ctx context.Context, kv bus.KV) (unknown int) {
	for ctx.Err() == nil {
		e, err := kv.Get(ctx, "n")
		if err != nil && fault.KindOf(err) != fault.NotFound {
			continue
		}
		n, _ := strconv.Atoi(string(e.Value))
		_, err = kv.Swap(ctx, "n", strconv.AppendInt(nil, int64(n+1), 10), e.Revision)
		switch {
		case err == nil:
			w.most.Add(1)
		case fault.KindOf(err) != fault.Conflict:
			unknown++
		}
	}
	return unknown
}

// Killing the server that leads, in the middle of puts, loses nothing that was
// acknowledged: not while it is away, and not when it is back and another dies.
func TestJet_AKilledServerLosesNothingAcknowledged(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 3)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	open := func(i int) (bus.Queue, bus.KV) {
		b := c.connect(t, i)
		q, err := b.Queue(ctx, bus.Spec{Name: "q"})
		if err != nil {
			t.Fatal(err)
		}
		kv, err := b.KV(ctx, bus.Spec{Name: "kv"})
		if err != nil {
			t.Fatal(err)
		}
		return q, kv
	}
	w := &writer{acked: map[uint64]string{}}
	writing, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	var unknown atomic.Int64
	for i := range 3 {
		q, kv := open(i)
		wg.Go(func() { w.put(writing, q, fmt.Sprint("w", i)) })
		wg.Go(func() { unknown.Add(int64(w.add(writing, kv))) })
	}
	reach := func(n int64) {
		t.Helper()
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for w.count.Load() < n {
			select {
			case <-tick.C:
			case <-ctx.Done():
				t.Fatalf("only %d puts of %d were acknowledged", w.count.Load(), n)
			}
		}
	}
	check := func() {
		t.Helper()
		q, kv := open(0)
		there := map[uint64]string{}
		twice := map[string]bool{}
		for from := uint64(0); ; {
			part, err := q.Peek(ctx, "q.>", from, 1000)
			if err != nil {
				t.Fatal(err)
			}
			if len(part) == 0 {
				break
			}
			for _, r := range part {
				there[r.Seq] = string(r.Data)
				if twice[string(r.Data)] {
					t.Errorf("%s is there twice", r.Data)
				}
				twice[string(r.Data)] = true
				from = r.Seq + 1
			}
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		for seq, data := range w.acked {
			if there[seq] != data {
				t.Errorf("number %d was acknowledged as %s, there is %q", seq, data, there[seq])
			}
		}
		e, err := kv.Get(ctx, "n")
		n, _ := strconv.Atoi(string(e.Value))
		if least, most := int(w.most.Load()), int(w.most.Load()+unknown.Load()); err != nil || n < least || n > most {
			t.Errorf("the counter is %d, want %d to %d: %v", n, least, most, err)
		}
	}

	reach(200)
	first := c.leader(t, ctx, "q")
	first.kill()
	reach(w.count.Load() + 200)
	stop()
	wg.Wait()
	check()

	first.start(t)
	q, _ := open(0)
	put := func() bool {
		data := fmt.Sprint("after-", w.count.Load())
		seq, err := q.Put(ctx, "q.x", []byte(data), data)
		if err == nil {
			w.note(seq, data)
		}
		return err == nil
	}
	if !put() {
		t.Fatal("nothing can be put after the restart")
	}
	for _, p := range c { // the others have what the killed one missed; it has to catch up
		if p != first {
			p.kill()
			break
		}
	}
	for !put() {
		if ctx.Err() != nil {
			t.Fatal("two of three take no puts")
		}
	}
	check()
}

func TestJet_AWatchOutlivesTheServer(t *testing.T) {
	t.Parallel()
	p := startOne(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	b, other := connect(t, p.url(), nil), connect(t, p.url(), nil)
	open := func(b bus.Bus) bus.KV {
		kv, err := b.KV(ctx, bus.Spec{Name: "kv"})
		if err != nil {
			t.Fatal(err)
		}
		return kv
	}
	kv := open(b)
	told := make(chan bus.Entry, 100)
	if err := kv.Watch(ctx, "", func(e bus.Entry) { told <- e }); err != nil {
		t.Fatal(err)
	}
	want := func(key string) {
		t.Helper()
		soon := time.NewTimer(15 * time.Second) // left to itself the client notices after 20
		defer soon.Stop()
		for {
			select {
			case e := <-told:
				if e.Key == key {
					return
				}
			case <-soon.C:
				t.Fatalf("%q was not told", key)
			}
		}
	}
	want("")
	mine := open(other)
	for i := range 2 {
		if _, err := mine.Put(ctx, fmt.Sprint("before-", i), nil); err != nil {
			t.Fatal(err)
		}
		want(fmt.Sprint("before-", i))
		p.kill()
		p.start(t)
		for {
			if _, err := mine.Put(ctx, fmt.Sprint("after-", i), nil); err == nil {
				break
			} else if ctx.Err() != nil {
				t.Fatal(err)
			}
		}
		want(fmt.Sprint("after-", i))
	}
}

// A taker's pull that the server forgot in its restart is made again.
func TestJet_APullOutlivesTheServer(t *testing.T) {
	t.Parallel()
	p := startOne(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	b, other := connect(t, p.url(), nil), connect(t, p.url(), nil)
	open := func(b bus.Bus) bus.Queue {
		q, err := b.Queue(ctx, bus.Spec{Name: "q"})
		if err != nil {
			t.Fatal(err)
		}
		return q
	}
	c, err := open(b).Consumer(ctx, "q.>", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	q := open(other)
	if _, err := q.Put(ctx, "q.x", []byte("kept"), ""); err != nil {
		t.Fatal(err)
	}
	p.kill()
	p.start(t)
	if _, err := q.Put(ctx, "q.x", []byte("new"), "id"); err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for len(got) < 2 {
		took, err := c.Pull(ctx, 10, 2*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range took {
			got[string(d.Record().Data)] = true
			if err := d.Ack(ctx); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestClose_DoesNotWaitForADeadServer(t *testing.T) {
	t.Parallel()
	p := startOne(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	b := connect(t, p.url(), nil)
	kv, err := b.KV(ctx, bus.Spec{Name: "kv"})
	if err != nil {
		t.Fatal(err)
	}
	q, err := b.Queue(ctx, bus.Spec{Name: "q"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := q.Consumer(ctx, "q.>", time.Minute); err != nil {
		t.Fatal(err)
	}
	if err := kv.Watch(ctx, "", func(bus.Entry) {}); err != nil {
		t.Fatal(err)
	}
	asking := make(chan error, 1)
	p.kill()
	go func() {
		_, err := kv.Get(ctx, "k")
		asking <- err
	}()
	start := time.Now()
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if err := <-asking; fault.KindOf(err) != fault.Lost {
		t.Errorf("a call under way: %v", err)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}

// Who gives up does not wait for a server that is away.
func TestSubscribe_EndsWithItsContext(t *testing.T) {
	t.Parallel()
	p := startOne(t)
	b := connect(t, p.url(), nil)
	p.kill()
	for name, f := range map[string]func(context.Context, string, string, func(bus.Message)) (bus.Subscription, error){
		"subscribe": b.Subscribe, "serve": b.Serve,
	} {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(50*time.Millisecond, cancel)
		if _, err := f(ctx, "a", "", func(bus.Message) {}); fault.KindOf(err) != fault.Canceled {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestConnect_SaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	url := fmt.Sprintf("nats://user:secret@127.0.0.1:%d", freePorts(t, 1)[0])
	_, err := jet.Connect(ctx, url, nil)
	if fault.KindOf(err) != fault.Lost {
		t.Errorf("no server: %v", err)
	}
	if text := fmt.Sprint(err); err == nil || strings.Contains(text, "secret") {
		t.Errorf("the error shows the password: %v", text)
	}
	if _, err := jet.Connect(ctx, "tls://127.0.0.1:1", &jet.Options{Public: "nonsense"}); fault.KindOf(err) != fault.Invalid {
		t.Errorf("bad public key: %v", err)
	}
}
