package boss_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/universal-server/become/ground/bundle"
	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/codec"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/line"
	"github.com/universal-server/become/work/boss"
	"github.com/universal-server/become/work/engine"
	"github.com/universal-server/become/work/engine/native"
	"github.com/universal-server/become/work/roster"
	"github.com/universal-server/become/work/task"
	"github.com/universal-server/become/work/worker"
)

// town is a bus with one node on it, whose workers are in this process, each
// behind a real Unix socket.
type town struct {
	t     testing.TB
	mu    sync.Mutex
	subs  map[string]map[int]func(bus.Message)
	next  int
	offer roster.Offer
	stops map[string]func() // worker id → kill it
	slots int
	funcs []*native.Func
}

func newTown(t testing.TB, slots int, funcs ...*native.Func) *town {
	return &town{t: t, subs: map[string]map[int]func(bus.Message){}, offer: roster.Offer{Node: "n1", Platform: "test/test"}, stops: map[string]func(){}, slots: slots, funcs: funcs}
}

type subscription func()

func (s subscription) Unsubscribe() error { s(); return nil }
func (s subscription) Drain() error       { return s.Unsubscribe() }

func (b *town) Subscribe(_ context.Context, subject, _ string, f func(bus.Message)) (bus.Subscription, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.next++
	id := b.next
	if b.subs[subject] == nil {
		b.subs[subject] = map[int]func(bus.Message){}
	}
	b.subs[subject][id] = f
	return subscription(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.subs[subject], id)
	}), nil
}

func (b *town) Serve(ctx context.Context, subject, group string, f func(bus.Message)) (bus.Subscription, error) {
	return b.Subscribe(ctx, subject, group, f)
}

func (b *town) Publish(subject string, data []byte) error {
	return b.Send(bus.Message{Subject: subject, Data: data})
}

func (b *town) Send(m bus.Message) error {
	subject, reply, data := m.Subject, m.Reply, m.Data
	b.mu.Lock()
	defer b.mu.Unlock()
	if subject == roster.SubjectWant {
		var w roster.Want
		json.Unmarshal(data, &w)
		offer := b.offer
		if w.Solo {
			offer.Workers = nil
			for _, e := range b.offer.Workers {
				e.Worker += "-solo"
				e.Solo = true
				offer.Workers = append(offer.Workers, e)
			}
		}
		data, _ := json.Marshal(offer)
		go b.Publish(reply, data)
		return nil
	}
	for _, f := range b.subs[subject] {
		go f(bus.Message{Subject: subject, Reply: reply, Data: data})
	}
	return nil
}

func (b *town) Request(context.Context, bus.Message) (bus.Message, error) {
	return bus.Message{}, errors.New("not here")
}

func (b *town) Inbox() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.next++
	return fmt.Sprintf("inbox.%d", b.next)
}

var token = []byte("the token of these tests")

// hire starts a worker.
func (b *town) hire(id string) {
	path := b.t.TempDir() + "/s"
	l, err := net.Listen("unix", path)
	if err != nil {
		b.t.Fatal(err)
	}
	w := worker.New(worker.Options{ID: id, Engine: native.New(b.funcs), Slots: b.slots, Grace: 200 * time.Millisecond})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				if conn, err := line.Server(ctx, nc, token, nil); err == nil {
					w.ServeLine(ctx, conn)
				}
			})
		}
	})
	stop := sync.OnceFunc(func() {
		b.mu.Lock()
		for i, e := range b.offer.Workers {
			if e.Worker == id {
				b.offer.Workers = append(b.offer.Workers[:i:i], b.offer.Workers[i+1:]...)
				break
			}
		}
		b.mu.Unlock()
		cancel()
		l.Close()
		wg.Wait()
		w.Close()
	})
	b.t.Cleanup(stop)
	e := roster.Endpoint{Worker: id, Node: "n1", PID: 1, Slots: b.slots, Unix: path, Token: token}
	b.mu.Lock()
	b.stops[id] = stop
	b.offer.Workers = append(b.offer.Workers, e)
	b.mu.Unlock()
	data, _ := json.Marshal(e)
	b.Publish(roster.SubjectUp+"d", data)
}

func (b *town) boss() *boss.Boss {
	x := boss.New(boss.Options{ID: "b", Bus: b, NoAnswer: 3 * time.Second, Dial: func(ctx context.Context, to roster.Endpoint) (*line.Conn, error) {
		nc, err := net.Dial("unix", to.Unix)
		if err != nil {
			return nil, err
		}
		return line.Client(ctx, nc, to.Token, nil)
	}})
	b.t.Cleanup(func() { x.Close() })
	return x
}

// fn makes a function of ints.
func fn(name string, limits bundle.Limits, f func(context.Context, int) (int, error)) *native.Func {
	c := codec.CBOR[int]()
	return &native.Func{Export: bundle.Export{Name: name, Limits: limits}, Call: func(ctx context.Context, _ engine.Format, in, dst []byte) ([]byte, error) {
		n, err := c.Decode(in)
		if err != nil {
			return dst, err
		}
		n, err = f(ctx, n)
		if err != nil {
			return dst, err
		}
		return c.Append(dst, n)
	}}
}

// answers collects outcomes.
type answers struct {
	t    testing.TB
	mu   sync.Mutex
	vals map[int]int
	errs map[int]error
	n    atomic.Int64
	all  chan struct{}
	want int64
	prog atomic.Int64
}

func (a *answers) Done(c *boss.Call, o task.Outcome, _ boss.Worker) {
	a.mu.Lock()
	_, again := a.vals[c.Index]
	_, failed := a.errs[c.Index]
	if again || failed {
		a.t.Errorf("call %d was answered twice", c.Index)
	}
	if o.Err != nil {
		a.errs[c.Index] = o.Err
	} else {
		a.vals[c.Index], _ = codec.CBOR[int]().Decode(o.Value)
	}
	a.mu.Unlock()
	if a.n.Add(1) == a.want {
		close(a.all)
	}
}

// until waits for n answers.
func (a *answers) until(n int64) {
	a.t.Helper()
	for limit := time.Now().Add(20 * time.Second); a.n.Load() < n; {
		if time.Now().After(limit) {
			a.t.Fatalf("only %d of %d answers while one task is long", a.n.Load(), n)
		}
		runtime.Gosched()
	}
}

func (a *answers) Progress(*boss.Call, []byte) { a.prog.Add(1) }

func (a *answers) wait() {
	a.t.Helper()
	select {
	case <-a.all:
	case <-time.After(30 * time.Second):
		a.t.Fatalf("%d of %d answers after 30 s", a.n.Load(), a.want)
	}
}

func start(t testing.TB, b *boss.Boss, function string, n int, set func(*boss.Call)) (*answers, []*boss.Call) {
	t.Helper()
	a := &answers{t: t, vals: map[int]int{}, errs: map[int]error{}, all: make(chan struct{}), want: int64(n)}
	calls := make([]*boss.Call, n)
	for i := range calls {
		in, _ := codec.CBOR[int]().Append(nil, i)
		calls[i] = &boss.Call{Digest: "d", Function: function, Format: engine.CBOR, Input: task.Value{Data: in}, Sink: a, Index: i}
		if set != nil {
			set(calls[i])
		}
		if err := b.Start(context.Background(), calls[i]); err != nil {
			t.Fatal(err)
		}
	}
	return a, calls
}

func double(_ context.Context, n int) (int, error) { return 2 * n, nil }

func TestBoss_EveryCallIsAnsweredOnce(t *testing.T) {
	b := newTown(t, 2, fn("double", bundle.Limits{}, double))
	b.hire("w1")
	b.hire("w2")
	a, _ := start(t, b.boss(), "double", 20_000, nil)
	a.wait()
	for i := range 20_000 {
		if a.vals[i] != 2*i {
			t.Fatalf("double(%d) = %d, %v", i, a.vals[i], a.errs[i])
		}
	}
}

func TestBoss_SendsCallsElsewhereWhenTheirWorkerDies(t *testing.T) {
	var ran atomic.Int64
	half := make(chan struct{})
	b := newTown(t, 2, fn("slow", bundle.Limits{}, func(ctx context.Context, n int) (int, error) {
		if ran.Add(1) == 500 {
			close(half)
		}
		return n, nil
	}))
	b.hire("w1")
	b.hire("w2")
	a, _ := start(t, b.boss(), "slow", 5000, nil)
	<-half
	b.stops["w1"]()
	a.wait()
	if len(a.errs) > 0 {
		t.Fatalf("%d calls failed: %v", len(a.errs), a.errs)
	}
}

func TestBoss_NoTaskWaitsBehindALongOne(t *testing.T) {
	release := make(chan struct{})
	b := newTown(t, 2, fn("mixed", bundle.Limits{}, func(ctx context.Context, n int) (int, error) {
		if n == 700 {
			select {
			case <-release:
			case <-ctx.Done():
			}
		}
		return n, nil
	}))
	b.hire("w1")
	a, _ := start(t, b.boss(), "mixed", 2000, nil)
	a.until(1999)
	close(release)
	a.wait()
}

func TestBoss_CancelReachesQueuedAndRunning(t *testing.T) {
	running := make(chan int, 10)
	b := newTown(t, 1, fn("hang", bundle.Limits{}, func(ctx context.Context, n int) (int, error) {
		running <- n
		<-ctx.Done()
		return 0, ctx.Err()
	}))
	b.hire("w1")
	x := b.boss()
	a, calls := start(t, x, "hang", 2, nil)
	<-running
	x.Cancel(calls[1])
	x.Cancel(calls[0])
	a.wait()
	for i := range 2 {
		if fault.KindOf(a.errs[i]) != fault.Canceled {
			t.Errorf("call %d: %v, want canceled", i, a.errs[i])
		}
	}
}

func TestBoss_RetriesWhenTheFunctionAsks(t *testing.T) {
	var tries atomic.Int64
	b := newTown(t, 1, fn("flaky", bundle.Limits{}, func(ctx context.Context, n int) (int, error) {
		if tries.Add(1) < 3 {
			return 0, &engine.RetryError{After: time.Millisecond, Err: errors.New("not yet")}
		}
		return 42, nil
	}))
	b.hire("w1")
	a, _ := start(t, b.boss(), "flaky", 1, nil)
	a.wait()
	if a.vals[0] != 42 || tries.Load() != 3 {
		t.Fatalf("got %v %v after %d tries", a.vals, a.errs, tries.Load())
	}
}

func TestBoss_TimeoutPanicAndUnknownFunction(t *testing.T) {
	b := newTown(t, 2,
		fn("hang", bundle.Limits{TimeoutMS: 20}, func(ctx context.Context, n int) (int, error) { <-ctx.Done(); return 0, ctx.Err() }),
		fn("panic", bundle.Limits{}, func(context.Context, int) (int, error) { panic("boom") }),
		fn("deaf", bundle.Limits{TimeoutMS: 20}, func(context.Context, int) (int, error) { time.Sleep(time.Second); return 1, nil }),
	)
	b.hire("w1")
	x := b.boss()
	for function, want := range map[string]fault.Kind{"hang": fault.Deadline, "panic": fault.Remote, "none": fault.NotFound, "deaf": fault.Deadline} {
		a, _ := start(t, x, function, 1, nil)
		a.wait()
		if got := fault.KindOf(a.errs[0]); got != want {
			t.Errorf("%s: %v (%v), want %v", function, a.errs[0], got, want)
		}
		if function == "panic" && !strings.Contains(fault.Stack(a.errs[0]), "boss_test.go") {
			t.Errorf("a panic's stack does not show where: %s", fault.Stack(a.errs[0]))
		}
	}
}

func TestBoss_FailsWithTheNodesReasons(t *testing.T) {
	b := newTown(t, 1)
	b.offer = roster.Offer{Node: "n1", Platform: "linux/amd64", Refused: "no worker for linux/arm64", WrongPlatform: true}
	a, _ := start(t, b.boss(), "f", 3, nil)
	a.wait()
	if err := a.errs[0]; fault.KindOf(err) != fault.NotFound || !strings.Contains(err.Error(), "no worker for linux/arm64: node n1 is linux/amd64") {
		t.Fatalf("got %v", err)
	}
}

func BenchmarkCall(b *testing.B) {
	town := newTown(b, 2, fn("double", bundle.Limits{}, double))
	town.hire("w1")
	x := town.boss()
	b.ReportAllocs()
	for b.Loop() {
		a, _ := start(b, x, "double", 1, nil)
		a.wait()
	}
}

func BenchmarkFlight(b *testing.B) {
	town := newTown(b, 2, fn("double", bundle.Limits{}, double))
	town.hire("w1")
	town.hire("w2")
	x := town.boss()
	b.ReportAllocs()
	for b.Loop() {
		a, _ := start(b, x, "double", 100_000, nil)
		a.wait()
	}
	b.ReportMetric(float64(b.N)*100_000/b.Elapsed().Seconds(), "calls/s")
}
