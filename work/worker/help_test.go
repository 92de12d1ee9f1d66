package worker_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/universal-server/become/ground/bundle"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/line"
	"github.com/universal-server/become/work/engine"
	"github.com/universal-server/become/work/engine/native"
	"github.com/universal-server/become/work/task"
	"github.com/universal-server/become/work/worker"
)

// shop is a worker with the functions of these tests. Values are plain bytes.
type shop struct {
	*worker.Worker
	t       *testing.T
	began   chan string   // arguments of hold and deaf as they begin
	release chan struct{} // closed: they return
	left    chan string   // reasons for which the process was given up
	causes  chan error    // why contexts of hold ended
	values  *shelf
}

func open(t *testing.T, slots int) *shop {
	s := &shop{t: t, began: make(chan string, 10_000), release: make(chan struct{}), left: make(chan string, 10), causes: make(chan error, 10_000), values: &shelf{}}
	s.Worker = worker.New(worker.Options{
		ID: "w", Slots: slots, Grace: time.Second, Values: s.values, Leave: func(reason string) { s.left <- reason },
		Engine: native.New([]*native.Func{
			s.fn("echo", bundle.Limits{}, func(_ context.Context, in []byte) ([]byte, error) { return in, nil }),
			s.fn("tick", bundle.Limits{}, func(_ context.Context, in []byte) ([]byte, error) {
				time.Sleep(time.Millisecond) // of the bubble
				return in, nil
			}),
			s.fn("where", limitsOfWhere, where),
			s.fn("hold", bundle.Limits{}, s.hold),
			s.fn("one", bundle.Limits{Slots: 1}, s.hold),
			s.fn("hurry", bundle.Limits{TimeoutMS: 100}, s.hold),
			s.fn("deaf", bundle.Limits{}, func(_ context.Context, in []byte) ([]byte, error) {
				s.began <- string(in)
				<-s.release
				return in, nil
			}),
			s.fn("exit", bundle.Limits{}, func(_ context.Context, in []byte) ([]byte, error) {
				if string(in) == "exit" {
					runtime.Goexit()
				}
				return in, nil
			}),
			s.fn("lend", bundle.Limits{}, func(ctx context.Context, in []byte) ([]byte, error) {
				h := engine.HandleOf(ctx)
				h.Block()
				defer h.Unblock()
				return s.hold(ctx, in)
			}),
			s.fn("report", bundle.Limits{}, func(ctx context.Context, in []byte) ([]byte, error) {
				if err := engine.HandleOf(ctx).Progress(make([]byte, task.Inline+1)); fault.KindOf(err) != fault.Invalid {
					return nil, errors.New("a report without measure was taken")
				}
				return in, engine.HandleOf(ctx).Progress([]byte("half"))
			}),
			s.fn("big", bundle.Limits{}, func(_ context.Context, in []byte) ([]byte, error) {
				return bytes.Repeat(in, task.Inline+1), nil
			}),
		}),
	})
	return s
}

func (s *shop) hold(ctx context.Context, in []byte) ([]byte, error) {
	in = bytes.Clone(in)
	s.began <- string(in)
	select {
	case <-s.release:
		return in, nil
	case <-ctx.Done():
		s.causes <- context.Cause(ctx)
		return nil, ctx.Err()
	}
}

func (s *shop) fn(name string, limits bundle.Limits, f func(context.Context, []byte) ([]byte, error)) *native.Func {
	return &native.Func{Export: bundle.Export{Name: name, Limits: limits}, Call: func(ctx context.Context, _ engine.Format, in, dst []byte) ([]byte, error) {
		out, err := f(ctx, in)
		return append(dst, out...), err
	}}
}

func (s *shop) close() {
	s.t.Helper()
	if err := s.Close(); err != nil {
		s.t.Error(err)
	}
}

// shelf keeps values in memory.
type shelf struct{ sync.Map }

func (s *shelf) Load(_ context.Context, name string) ([]byte, error) {
	v, ok := s.Map.Load(name)
	if !ok {
		return nil, fault.Text(fault.NotFound, "load value", name, "there is none")
	}
	return v.([]byte), nil
}

func (s *shelf) Store(_ context.Context, v []byte) (string, error) {
	s.Map.Store("stored", bytes.Clone(v))
	return "stored", nil
}

// boss is the other end of a line.
type boss struct {
	t        *testing.T
	raw      net.Conn
	conn     *line.Conn
	ended    chan error // what ServeLine returned
	outcomes chan outcomes
	credits  chan int
	progress chan string
}

type outcomes struct {
	task.Outcomes
	all []task.Outcome
}

func (s *shop) boss() *boss {
	near, far := net.Pipe()
	b := &boss{t: s.t, raw: near, conn: line.New(near, nil), ended: make(chan error, 1), outcomes: make(chan outcomes, 10_000), credits: make(chan int, 1000), progress: make(chan string, 100)}
	go func() { b.ended <- s.ServeLine(context.Background(), line.New(far, nil)) }()
	go b.read()
	return b
}

func (b *boss) read() {
	for {
		f, err := b.conn.Receive()
		if err != nil {
			return
		}
		switch task.Kind(f) {
		case task.KindOutcomes:
			o, err := task.DecodeOutcomes(bytes.Clone(f))
			all := outcomes{Outcomes: o}
			for rest := o.Items; len(all.all) < o.Count && err == nil; {
				var one task.Outcome
				one, rest, err = task.NextOutcome(rest)
				all.all = append(all.all, one)
			}
			if err != nil {
				b.t.Errorf("outcomes: %v", err)
			}
			b.outcomes <- all
		case task.KindCredit:
			n, _ := task.DecodeCount(f)
			b.credits <- n
		case task.KindProgress:
			pack, index, v, err := task.DecodeProgress(f)
			if err != nil || pack != 1 || index != 0 {
				b.t.Errorf("progress of %d.%d, %v", pack, index, err)
			}
			b.progress <- string(v)
		default:
			b.t.Errorf("a frame of kind %q", task.Kind(f))
		}
	}
}

// frame is a pack of calls of a function.
func frame(id uint64, function string, timeout time.Duration, values ...task.Value) []byte {
	f := task.AppendPack(nil, &task.Pack{ID: id, Function: function, Format: engine.CBOR, Timeout: timeout, Count: len(values)})
	for _, v := range values {
		f = task.AppendValue(f, v)
	}
	return f
}

func (b *boss) send(id uint64, function string, inputs ...string) {
	values := make([]task.Value, len(inputs))
	for i, in := range inputs {
		values[i].Data = []byte(in)
	}
	b.conn.Send(frame(id, function, 0, values...))
}

func (b *boss) hangUp() error {
	b.conn.Close()
	return <-b.ended
}

// texts is the answers, or the kinds of the errors.
func texts(all []task.Outcome) (out []string) {
	for _, o := range all {
		if o.Err != nil {
			out = append(out, "!"+fault.KindOf(o.Err).String())
		} else {
			out = append(out, string(o.Value))
		}
	}
	return out
}

// expect takes the next outcomes.
func (b *boss) expect(pack uint64, first, limit int, final bool, want ...string) outcomes {
	b.t.Helper()
	select {
	case o := <-b.outcomes:
		if o.Pack != pack || o.First != first || o.Limit != limit || o.Final != final || !slices.Equal(texts(o.all), want) {
			b.t.Errorf("got pack %d from %d, limit %d, final %v: %v; want pack %d from %d, limit %d, final %v: %v",
				o.Pack, o.First, o.Limit, o.Final, texts(o.all), pack, first, limit, final, want)
		}
		return o
	case <-time.After(time.Hour): // of the bubble
		b.t.Fatalf("no outcomes of pack %d", pack)
		return outcomes{}
	}
}

// lastCredit is the credit that counts now.
func (b *boss) lastCredit() int {
	synctest.Wait()
	n := -1
	for len(b.credits) > 0 {
		n = <-b.credits
	}
	return n
}

// inShop runs a story in a bubble: the worker's time is its own.
func inShop(t *testing.T, slots int, story func(t *testing.T, s *shop, b *boss)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := open(t, slots)
		b := s.boss()
		story(t, s, b)
		b.conn.Close()
		s.close()
	})
}
