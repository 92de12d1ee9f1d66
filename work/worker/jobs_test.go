package worker_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/bus/mem"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/work/engine"
	"github.com/universal-server/become/work/queue"
	"github.com/universal-server/become/work/result"
	"github.com/universal-server/become/work/roster"
	"github.com/universal-server/become/work/task"
	"github.com/universal-server/become/work/worker"
)

// yard is a shop that takes jobs too.
type yard struct {
	*shop
	bus     bus.Bus
	queue   *gated
	results bus.Log
	dead    *gatedLog
	ctx     context.Context // of the pulling
	stop    context.CancelFunc
	wg      sync.WaitGroup
}

// gated is a queue that refuses to take anything while it is shut.
type gated struct {
	bus.Queue
	shut atomic.Bool
}

func (g *gated) Put(ctx context.Context, subject string, data []byte, id string, header ...map[string]string) (uint64, error) {
	if g.shut.Load() {
		return 0, errors.New("the bus is away")
	}
	return g.Queue.Put(ctx, subject, data, id, header...)
}

// gatedLog is a log that refuses to take anything while it is shut.
type gatedLog struct {
	bus.Log
	shut atomic.Bool
}

func (g *gatedLog) Append(ctx context.Context, subject string, data []byte) (uint64, error) {
	if g.shut.Load() {
		return 0, errors.New("the bus is away")
	}
	return g.Log.Append(ctx, subject, data)
}

// inYard runs a story in a bubble with a worker that pulls normal and solo jobs.
func inYard(t *testing.T, slots int, story func(t *testing.T, y *yard)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		y := &yard{shop: open(t, slots), bus: mem.New().Connect()}
		must := func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		}
		ctx, stop := context.WithCancel(context.Background())
		y.ctx, y.stop = ctx, stop
		q, err := y.bus.Queue(ctx, bus.Spec{Name: roster.QueueJobs})
		must(err)
		y.queue = &gated{Queue: q}
		y.results, err = y.bus.Log(ctx, bus.Spec{Name: roster.LogResults})
		must(err)
		dead, err := y.bus.Log(ctx, bus.Spec{Name: roster.LogDead})
		must(err)
		y.dead = &gatedLog{Log: dead}
		y.runJobs(ctx, y.Worker)
		story(t, y)
		stop()
		y.wg.Wait()
		y.close()
		y.bus.Close()
	})
}

// runJobs lets a worker pull normal and solo jobs.
func (y *yard) runJobs(ctx context.Context, w *worker.Worker) {
	for _, class := range []queue.Class{queue.Normal, queue.Solo} {
		y.wg.Go(func() {
			err := w.RunJobs(ctx, worker.JobOptions{Digest: "d", Class: class, Node: "n", PID: 1, Bus: y.bus, Queue: y.queue, Results: y.results, Dead: y.dead})
			if err != nil {
				y.t.Error(err)
			}
		})
	}
}

// put queues one record and returns its sequence number.
func (y *yard) put(function string, inputs ...string) uint64 {
	y.t.Helper()
	r := queue.Record{Function: function, Format: engine.CBOR, Boss: "b"}
	for _, in := range inputs {
		r.Jobs = append(r.Jobs, task.Value{Data: []byte(in)})
	}
	seq, err := y.queue.Queue.Put(context.Background(), queue.Subject("d", queue.Normal, function), r.Append(nil), "")
	if err != nil {
		y.t.Fatal(err)
	}
	return seq
}

// find waits for a job's result.
func (y *yard) find(seq uint64, index int) task.Outcome {
	y.t.Helper()
	for range 1000 {
		if _, o, err := result.Find(context.Background(), y.results, queue.ID{Seq: seq, Index: index}); err == nil {
			return o
		}
		time.Sleep(10 * time.Millisecond) // of the bubble
	}
	y.t.Fatalf("job %d.%d has no result", seq, index)
	return task.Outcome{}
}

func (y *yard) waiting() (n uint64) {
	counts, err := y.queue.Counts(context.Background(), queue.Filter("d", queue.Normal))
	if err != nil {
		y.t.Fatal(err)
	}
	for _, c := range counts {
		n += c
	}
	return n
}

func TestJobs_AreRunAndTheirResultsKept(t *testing.T) {
	inYard(t, 2, func(t *testing.T, y *yard) {
		seq := y.put("echo", "a", "b", "c")
		for i, want := range []string{"a", "b", "c"} {
			if o := y.find(seq, i); string(o.Value) != want || o.Err != nil {
				t.Errorf("job %d: %q, %v", i, o.Value, o.Err)
			}
		}
		synctest.Wait()
		if n := y.waiting(); n != 0 {
			t.Errorf("%d records are still queued", n)
		}
	})
}

func TestJobs_BehindALongOneGoToOthers(t *testing.T) {
	inYard(t, 1, func(t *testing.T, y *yard) {
		var inputs []string
		for i := range 20 {
			inputs = append(inputs, fmt.Sprint(i))
		}
		seq := y.put("hold", inputs...)
		<-y.began
		time.Sleep(time.Second) // of the bubble: beyond the pack's budget
		close(y.release)
		for i, want := range inputs {
			if o := y.find(seq, i); string(o.Value) != want {
				t.Errorf("job %d: %q, %v", i, o.Value, o.Err)
			}
		}
		synctest.Wait()
		if n := y.waiting(); n != 0 || len(y.began) != 19 {
			t.Errorf("%d records are queued; %d more tasks began, want 19", n, len(y.began))
		}
	})
}

// What a worker has at hand, and cannot begin, is left to those that can.
func TestJobs_AtHandBehindALongOneGoToOthers(t *testing.T) {
	inYard(t, 1, func(t *testing.T, y *yard) {
		y.find(y.put("tick", "x"), 0) // now it knows that jobs are quick, and takes many at once
		b := y.boss()
		b.send(1, "hurry", "a") // takes the slot for a moment
		<-y.began
		y.put("hold", "b")
		var seqs []uint64
		for range 10 {
			seqs = append(seqs, y.put("echo", "y"))
		}
		<-y.began
		other := open(t, 1)
		y.runJobs(y.ctx, other.Worker)
		for _, seq := range seqs {
			if o := y.find(seq, 0); string(o.Value) != "y" {
				t.Errorf("got %+v", o)
			}
		}
		b.hangUp()
		close(y.release)
		y.stop()
		y.wg.Wait()
		other.close()
	})
}

func TestJobs_OfAFullFunctionDoNotHoldOthersBack(t *testing.T) {
	inYard(t, 2, func(t *testing.T, y *yard) {
		first := y.put("one", "a")
		<-y.began
		var more []uint64
		for range 3 {
			more = append(more, y.put("one", "b"))
		}
		synctest.Wait()
		other := y.put("echo", "x")
		if o := y.find(other, 0); string(o.Value) != "x" { // while the others wait
			t.Errorf("got %+v", o)
		}
		time.Sleep(time.Minute) // of the bubble; a worker that spins would never let it pass
		if len(y.began) != 0 {
			t.Error("a second task of a function with one slot began")
		}
		close(y.release)
		for _, seq := range append(more, first) {
			if o := y.find(seq, 0); o.Err != nil {
				t.Error(o.Err)
			}
		}
	})
}

// Two pullers wait for one slot: whoever is woken, the other one is not forgotten.
func TestJobs_AFreedSlotWakesEveryPuller(t *testing.T) {
	for range 10 {
		inYard(t, 1, func(t *testing.T, y *yard) {
			b := y.boss()
			b.send(1, "hold", "x")
			<-y.began
			time.Sleep(10 * time.Second) // both pulls have ended, and wait for the slot
			seq := y.put("echo", "y")
			close(y.release)
			b.expect(1, 0, 1, true, "x")
			if o := y.find(seq, 0); string(o.Value) != "y" {
				t.Errorf("got %+v", o)
			}
			b.hangUp()
		})
	}
}

func TestJobs_NotBegunAreLeftToOthersWhenTheWorkerStops(t *testing.T) {
	for _, away := range []bool{false, true} {
		t.Run(fmt.Sprintf("bus away %v", away), func(t *testing.T) {
			inYard(t, 2, func(t *testing.T, y *yard) {
				first := y.put("one", "a")
				<-y.began
				y.put("one", "b")
				time.Sleep(time.Second) // it is pulled, and cannot begin
				y.queue.shut.Store(away)
				y.stop()
				synctest.Wait()
				close(y.release)
				y.wg.Wait()
				if o := y.find(first, 0); string(o.Value) != "a" {
					t.Errorf("what had begun: %+v", o)
				}
				if n := y.waiting(); n != 1 {
					t.Errorf("%d records are queued, want the one not begun", n)
				}
				if len(y.began) != 0 {
					t.Error("a job began after the stop")
				}
			})
		})
	}
}

func TestJobs_ThatCannotBeReadAreDeadLetters(t *testing.T) {
	inYard(t, 1, func(t *testing.T, y *yard) {
		subject := queue.Subject("d", queue.Normal, "echo")
		y.dead.shut.Store(true)
		if _, err := y.queue.Put(context.Background(), subject, []byte("garbage"), ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second) // of the bubble
		if n := y.waiting(); n != 1 {
			t.Errorf("%d records are queued while no dead letter can be written, want 1", n)
		}
		y.dead.shut.Store(false)
		seq := y.put("nothing", "x")
		if o := y.find(seq, 0); fault.KindOf(o.Err) != fault.NotFound {
			t.Errorf("an unknown function: %v, want not found", o.Err)
		}
		time.Sleep(queue.Lease) // of the bubble
		letters, err := y.dead.Read(context.Background(), roster.LogDead+".>", 1, 10)
		if err != nil || len(letters) != 2 {
			t.Fatalf("%d dead letters, %v; want 2", len(letters), err)
		}
		var kinds []string
		for _, r := range letters {
			var l worker.DeadLetter
			if err := json.Unmarshal(r.Data, &l); err != nil || l.Error == "" || l.ID == "" || len(l.Record) == 0 {
				t.Errorf("letter %s, %v", r.Data, err)
			}
			kinds = append(kinds, l.Kind)
		}
		if slices.Sort(kinds); !slices.Equal(kinds, []string{"invalid", "not found"}) {
			t.Errorf("kinds %v", kinds)
		}
		if n := y.waiting(); n != 0 {
			t.Errorf("%d records are queued", n)
		}
	})
}
