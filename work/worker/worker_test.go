package worker_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"runtime"
	"slices"
	"strings"
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

func TestWorker_AnswersEveryTaskOfAPack(t *testing.T) {
	inShop(t, 2, func(t *testing.T, s *shop, b *boss) {
		b.send(1, "echo", "a", "", "c")
		b.expect(1, 0, 3, true, "a", "", "c")
		b.send(2, "nothing", "a", "b")
		o := b.expect(2, 0, 2, true, "!not found", "!not found")
		if !strings.Contains(o.all[0].Err.Error(), "echo") || o.all[0].Status != task.GaveUp {
			t.Errorf("got %v, want the functions there are", o.all[0].Err)
		}
		synctest.Wait()
		if st := s.Stats(); st.Done != 5 || st.Failed != 2 || st.Running != 0 || st.Lines != 1 {
			t.Errorf("stats %+v", st)
		}
	})
}

func TestWorker_GivesBackTheTailOfAPackThatTakesLong(t *testing.T) {
	inShop(t, 1, func(t *testing.T, s *shop, b *boss) {
		began := time.Now()
		b.send(1, "hold", "a", "b", "c")
		b.expect(1, 0, 1, false) // nothing yet, but b and c can go elsewhere
		if took := time.Since(began); took != task.Budget {
			t.Errorf("after %v, want %v", took, task.Budget)
		}
		close(s.release)
		b.expect(1, 0, 1, true, "a")
		if len(s.began) != 1 {
			t.Errorf("%d tasks began, want 1", len(s.began))
		}
	})
}

func TestWorker_GivesBackAPackThatFindsNoSlot(t *testing.T) {
	inShop(t, 1, func(t *testing.T, s *shop, b *boss) {
		b.send(1, "hold", "a")
		<-s.began
		began := time.Now()
		b.send(2, "echo", "b", "c")
		b.expect(2, 0, 0, true)
		if took := time.Since(began); took != task.Budget {
			t.Errorf("after %v, want %v", took, task.Budget)
		}
		b.send(3, "echo", "d") // waits, and finds one in time
		synctest.Wait()
		close(s.release)
		b.expect(1, 0, 1, true, "a")
		b.expect(3, 0, 1, true, "d")
	})
}

func TestWorker_AFunctionsOwnSlotsLeaveTheOthersFree(t *testing.T) {
	inShop(t, 3, func(t *testing.T, s *shop, b *boss) {
		b.send(1, "one", "a")
		<-s.began
		b.send(2, "one", "b")
		b.send(3, "echo", "c")
		b.expect(3, 0, 1, true, "c")
		b.expect(2, 0, 0, true)
		b.conn.Send(task.AppendCancel(nil, 1, 0))
		b.expect(1, 0, 1, true, "!canceled")
		b.send(4, "one", "d") // the slot is free again
		close(s.release)
		b.expect(4, 0, 1, true, "d")
	})
}

func TestWorker_CancelReachesRunningAndQueuedTasks(t *testing.T) {
	inShop(t, 1, func(t *testing.T, s *shop, b *boss) {
		b.send(1, "hold", "a", "b", "c")
		<-s.began
		b.conn.Send(task.AppendCancel(nil, 1, 1)) // before its turn
		synctest.Wait()
		b.conn.Send(task.AppendCancel(nil, 1, 0))
		<-s.causes
		<-s.began // c, in a context of its own
		close(s.release)
		b.expect(1, 0, 3, true, "!canceled", "!canceled", "c")
		if len(s.began) != 0 {
			t.Error("a cancelled task began")
		}
		for _, f := range [][]byte{task.AppendCancel(nil, 1, 0), task.AppendCancel(nil, 99, 0), task.AppendCancel(nil, 1, task.MaxTasks)} {
			b.conn.Send(f) // of what is over, or never was: nothing happens
		}
		b.send(2, "echo", "x")
		b.expect(2, 0, 1, true, "x")
	})
}

func TestWorker_GivesUpItsProcessForATaskThatIgnoresItsCancel(t *testing.T) {
	inShop(t, 1, func(t *testing.T, s *shop, b *boss) {
		b.send(1, "deaf", "a")
		<-s.began
		began := time.Now()
		b.conn.Send(task.AppendCancel(nil, 1, 0))
		o := b.expect(1, 0, 1, true, "!canceled")
		if took := time.Since(began); took != time.Second {
			t.Errorf("after %v, want the grace", took)
		}
		if reason := <-s.left; !strings.Contains(reason, "deaf") || fault.Hint(o.all[0].Err) == "" {
			t.Errorf("left because %q; hint %q", reason, fault.Hint(o.all[0].Err))
		}
		b.send(2, "echo", "x") // until it is killed, the slot serves
		b.expect(2, 0, 1, true, "x")
		close(s.release) // the lost goroutine ends, and says nothing more
		synctest.Wait()
		if len(b.outcomes) != 0 || len(s.left) != 0 {
			t.Error("it spoke after it was given up")
		}
		if st := s.Stats(); st.Running != 0 || st.Done != 2 {
			t.Errorf("stats %+v", st)
		}
	})
}

func TestWorker_ObeyedInTheGraceNobodyLeaves(t *testing.T) {
	inShop(t, 1, func(t *testing.T, s *shop, b *boss) {
		b.send(1, "deaf", "a")
		<-s.began
		b.conn.Send(task.AppendCancel(nil, 1, 0))
		time.Sleep(900 * time.Millisecond) // of the bubble
		close(s.release)
		b.expect(1, 0, 1, true, "a")
		time.Sleep(time.Minute)
		if len(s.left) != 0 {
			t.Errorf("left because %q", <-s.left)
		}
	})
}

func TestWorker_TimeoutsEndTasks(t *testing.T) {
	inShop(t, 2, func(t *testing.T, s *shop, b *boss) {
		began := time.Now()
		b.send(1, "hurry", "a")
		o := b.expect(1, 0, 1, true, "!deadline")
		if took := time.Since(began); took != 100*time.Millisecond || !strings.Contains(o.all[0].Err.Error(), "100ms") {
			t.Errorf("after %v: %v", took, o.all[0].Err)
		}
		began = time.Now()
		b.conn.Send(frame(2, "hurry", time.Minute, task.Value{}))
		b.expect(2, 0, 1, true, "!deadline")
		if took := time.Since(began); took != time.Minute { // the call's own counts
			t.Errorf("after %v", took)
		}
		began = time.Now()
		b.conn.Send(frame(3, "deaf", time.Minute, task.Value{}))
		b.expect(3, 0, 1, true, "!deadline")
		if took := time.Since(began); took != time.Minute+time.Second {
			t.Errorf("after %v", took)
		}
		<-s.left
		close(s.release)
	})
}

func TestWorker_AGoroutineThatIsEndedCostsItsTaskAlone(t *testing.T) {
	inShop(t, 1, func(t *testing.T, s *shop, b *boss) {
		b.send(1, "exit", "a", "exit", "c", "exit")
		b.expect(1, 0, 4, true, "a", "!remote", "c", "!remote")
		b.send(2, "echo", "x")
		b.expect(2, 0, 1, true, "x")
	})
}

func TestWorker_DrainFinishesWhatRunsAndReturnsTheRest(t *testing.T) {
	inShop(t, 1, func(t *testing.T, s *shop, b *boss) {
		b.send(1, "hold", "a")
		<-s.began
		b.send(2, "echo", "waits")
		synctest.Wait()
		drained := make(chan error, 1)
		go func() { drained <- s.Drain(context.Background()) }()
		b.expect(2, 0, 0, true)
		if n := b.lastCredit(); n != 0 {
			t.Errorf("credit %d, want 0", n)
		}
		b.send(3, "echo", "late")
		b.expect(3, 0, 0, true)
		if len(drained) != 0 {
			t.Error("drained while a task runs")
		}
		short, stop := context.WithTimeout(context.Background(), time.Second)
		defer stop()
		if err := s.Drain(short); fault.KindOf(err) != fault.Deadline {
			t.Errorf("got %v, want a deadline", err)
		}
		close(s.release)
		b.expect(1, 0, 1, true, "a")
		if err := <-drained; err != nil {
			t.Error(err)
		}
		if err := s.Drain(context.Background()); err != nil { // again
			t.Error(err)
		}
	})
}

// The process ends after Drain: an answer not written by then is lost.
func TestWorker_DrainWritesTheAnswersOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, 1)
		near, far := net.Pipe()
		go s.ServeLine(context.Background(), line.New(far, nil))
		synctest.Wait() // the first credit is being written, and nobody reads
		conn := line.New(near, nil)
		conn.Send(frame(1, "echo", 0, task.Value{Data: []byte("x")}))
		synctest.Wait() // its answer waits behind
		drained := make(chan error, 1)
		go func() { drained <- s.Drain(context.Background()) }()
		synctest.Wait()
		if len(drained) != 0 {
			t.Error("drained with an answer unwritten")
		}
		short, stop := context.WithTimeout(context.Background(), time.Second)
		defer stop()
		if err := s.Drain(short); fault.KindOf(err) != fault.Deadline {
			t.Errorf("got %v, want a deadline", err)
		}
		answered := false
		for !answered {
			f, err := conn.Receive()
			if err != nil {
				t.Fatal(err)
			}
			answered = task.Kind(f) == task.KindOutcomes
		}
		if err := <-drained; err != nil {
			t.Error(err)
		}
		near.Close()
		s.close()
	})
}

func TestWorker_ATaskThatWaitsForOthersLendsItsSlotAndCredit(t *testing.T) {
	inShop(t, 1, func(t *testing.T, s *shop, b *boss) {
		if n := b.lastCredit(); n != 1 {
			t.Fatalf("credit %d, want 1", n)
		}
		for i := range uint64(10) { // a chain deeper than there are slots
			b.send(i+1, "lend", "x")
			<-s.began
			if n := b.lastCredit(); n != int(i)+2 {
				t.Fatalf("credit %d with %d lent, want %d", n, i+1, i+2)
			}
		}
		b.send(20, "echo", "in between")
		b.expect(20, 0, 1, true, "in between")
		close(s.release)
		for range 10 {
			if o := <-b.outcomes; !o.Final || len(o.all) != 1 || o.all[0].Err != nil {
				t.Errorf("got %+v", o)
			}
		}
		if n := b.lastCredit(); n != 1 {
			t.Errorf("credit %d afterwards, want 1", n)
		}
		if st := s.Stats(); st.Running != 0 {
			t.Errorf("stats %+v", st)
		}
	})
}

func TestWorker_ALentTaskGivesBackItsTail(t *testing.T) {
	inShop(t, 1, func(t *testing.T, s *shop, b *boss) {
		b.send(1, "lend", "a", "b")
		b.expect(1, 0, 1, false) // at once: b must not wait for what a waits for
		<-s.began
		close(s.release)
		b.expect(1, 0, 1, true, "a")
		if len(s.began) != 0 {
			t.Error("b began too")
		}
	})
}

func TestWorker_AnEndedLineCancelsItsTasksAlone(t *testing.T) {
	inShop(t, 2, func(t *testing.T, s *shop, b *boss) {
		other := s.boss()
		b.send(1, "hold", "mine")
		other.send(1, "hold", "other")
		<-s.began
		<-s.began
		if err := b.hangUp(); err != nil {
			t.Errorf("a boss that hangs up is no error: %v", err)
		}
		if cause := <-s.causes; !strings.Contains(cause.Error(), "boss is gone") {
			t.Errorf("cause %v", cause)
		}
		synctest.Wait()
		if len(s.causes) != 0 {
			t.Error("another boss's task was cancelled")
		}
		close(s.release)
		other.expect(1, 0, 1, true, "other")
		other.hangUp()
	})
}

func TestWorker_BossesShareTheSlots(t *testing.T) {
	inShop(t, 8, func(t *testing.T, s *shop, a *boss) {
		if n := a.lastCredit(); n != 8 {
			t.Errorf("alone: credit %d, want 8", n)
		}
		b := s.boss()
		if x, y := a.lastCredit(), b.lastCredit(); x != 4 || y != 4 {
			t.Errorf("two of the same mind: %d and %d, want 4 and 4", x, y)
		}
		a.conn.Send(task.AppendDemand(nil, 100))
		if x, y := a.lastCredit(), b.lastCredit(); x != 8 || y != 1 {
			t.Errorf("one wants more: %d and %d, want 8 and 1", x, y)
		}
		b.conn.Send(task.AppendDemand(nil, 1<<40))
		if x, y := a.lastCredit(), b.lastCredit(); x != 4 || y != 4 {
			t.Errorf("both want more: %d and %d, want 4 and 4", x, y)
		}
		b.hangUp()
		if x := a.lastCredit(); x != 8 {
			t.Errorf("alone again: %d, want 8", x)
		}
	})
}

func TestWorker_ReportsTravelWhileTheTaskRuns(t *testing.T) {
	inShop(t, 1, func(t *testing.T, s *shop, b *boss) {
		b.send(1, "report", "x")
		b.expect(1, 0, 1, true, "x")
		if len(b.progress) != 1 || <-b.progress != "half" {
			t.Error("no report")
		}
	})
}

func TestWorker_LargeValuesAreKeptElsewhere(t *testing.T) {
	inShop(t, 1, func(t *testing.T, s *shop, b *boss) {
		s.values.Map.Store("in", []byte("kept"))
		b.conn.Send(frame(1, "echo", 0, task.Value{Data: []byte("in"), Ref: true}, task.Value{Data: []byte("gone"), Ref: true}))
		b.expect(1, 0, 2, true, "kept", "!not found")
		b.send(2, "big", "x")
		if o := b.expect(2, 0, 1, true, "stored"); o.all[0].Status != task.OKRef {
			t.Errorf("status %d", o.all[0].Status)
		}
		if v, _ := s.values.Load(context.Background(), "stored"); len(v) != task.Inline+1 {
			t.Errorf("%d bytes were kept", len(v))
		}
	})
	synctest.Test(t, func(t *testing.T) { // and a worker without such a place
		s := open(t, 1)
		w := worker.New(worker.Options{Engine: native.New([]*native.Func{s.fn("big", bundle.Limits{}, func(_ context.Context, in []byte) ([]byte, error) {
			return make([]byte, task.Inline+1), nil
		})})})
		s.close()
		s.Worker = w
		b := s.boss()
		b.conn.Send(frame(1, "big", 0, task.Value{}, task.Value{Data: []byte("x"), Ref: true}))
		b.expect(1, 0, 2, true, "!invalid", "!invalid")
		b.hangUp()
		s.close()
	})
}

func TestWorker_CondemnAnswersWhatRuns(t *testing.T) {
	inShop(t, 2, func(t *testing.T, s *shop, b *boss) {
		b.send(1, "hold", "a")
		b.send(2, "hold", "b")
		<-s.began
		<-s.began
		s.Condemn("memory above its limit")
		for range 2 {
			o := <-b.outcomes
			if len(o.all) != 1 || !o.Final || fault.KindOf(o.all[0].Err) != fault.Lost || o.all[0].Status != task.GaveUp || !strings.Contains(o.all[0].Err.Error(), "memory above its limit") {
				t.Errorf("got %+v", o)
			}
		}
		b.send(3, "echo", "c")
		b.expect(3, 0, 0, true) // no more
		close(s.release)
		synctest.Wait()
		if len(b.outcomes) != 0 {
			t.Error("a condemned task was answered twice")
		}
	})
}

func TestWorker_CloseSaysWhenATaskIgnoresIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, 1)
		b := s.boss()
		b.send(1, "deaf", "a")
		<-s.began
		if err := s.Close(); fault.KindOf(err) != fault.Deadline {
			t.Errorf("got %v, want a deadline", err)
		}
		if <-b.ended != nil {
			t.Error("the line's end is an error")
		}
		late := s.boss() // a line to a closed worker ends
		<-late.ended
		close(s.release)
	})
}

// A hostile boss loses its line; another one notices nothing.
func TestWorker_RefusesAHostileBoss(t *testing.T) {
	oversize := binary.BigEndian.AppendUint32(nil, 64<<20)
	body := func(frames ...[]byte) (raw []byte) {
		for _, f := range frames {
			raw = binary.BigEndian.AppendUint32(raw, uint32(len(f)))
			raw = append(raw, f...)
		}
		return raw
	}
	hold := frame(1, "hold", 0, task.Value{Data: []byte("x")})
	var crowd [][]byte
	for i := range uint64(4100) {
		crowd = append(crowd, frame(i+1, "deaf", 0, task.Value{}))
	}
	for name, raw := range map[string][]byte{
		"an oversize frame": oversize,
		"an empty frame":    body(nil),
		"garbage":           body([]byte("GET / HTTP/1.1")),
		"a worker's frame":  body(task.AppendCredit(nil, 1)),
		"a pack cut short":  body(hold[:len(hold)-1]),
		"the same id twice": body(hold, hold),
		"a cancel cut":      body([]byte{task.KindCancel}),
		"a demand cut":      body([]byte{task.KindDemand}),
		"more than granted": body(crowd...),
	} {
		t.Run(name, func(t *testing.T) {
			inShop(t, 2, func(t *testing.T, s *shop, good *boss) {
				bad := s.boss()
				go bad.raw.Write(raw)
				if err := <-bad.ended; fault.KindOf(err) != fault.Invalid || err == nil {
					t.Errorf("got %v, want invalid", err)
				}
				close(s.release)
				good.send(1, "echo", "x")
				// It may have to come again: the hostile boss took the slots.
				for o := range good.outcomes {
					if o.Limit == 1 {
						break
					}
					good.send(1, "echo", "x")
				}
				synctest.Wait()
				if st := s.Stats(); st.Lines != 1 || st.Running != 0 {
					t.Errorf("stats %+v", st)
				}
			})
		})
	}
}

// FuzzLine lets a boss send anything: the worker answers or hangs up, and
// serves the next one.
func FuzzLine(f *testing.F) {
	body := func(frames ...[]byte) (raw []byte) {
		for _, f := range frames {
			raw = binary.BigEndian.AppendUint32(raw, uint32(len(f)))
			raw = append(raw, f...)
		}
		return raw
	}
	echo := frame(1, "echo", 0, task.Value{Data: []byte("a")}, task.Value{Data: []byte("b"), Ref: true})
	f.Add(body(echo))
	f.Add(body(echo, task.AppendCancel(nil, 1, 0), task.AppendDemand(nil, 3), echo))
	f.Add(body(frame(1, "hurry", time.Millisecond, task.Value{}), task.AppendCancel(nil, 1, 0)))
	f.Add(body(frame(1, "exit", 0, task.Value{Data: []byte("exit")}, task.Value{})))
	f.Add(body([]byte("Rc")))
	f.Add([]byte{0, 0})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, raw []byte) {
		s := open(t, 2)
		close(s.release)
		near, far := net.Pipe()
		served := make(chan struct{})
		go func() {
			defer close(served)
			s.ServeLine(context.Background(), line.New(far, nil))
		}()
		go func() { // takes what comes
			var buf [4096]byte
			for {
				if _, err := near.Read(buf[:]); err != nil {
					return
				}
			}
		}()
		near.SetWriteDeadline(time.Now().Add(10 * time.Second))
		near.Write(raw)
		near.Close()
		select {
		case <-served:
		case <-time.After(20 * time.Second):
			t.Fatal("the line does not end")
		}
		s.close()
		if st := s.Stats(); st.Running != 0 || st.Lines != 0 {
			t.Errorf("stats %+v", st)
		}
	})
}
