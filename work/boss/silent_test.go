package boss_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/universal-server/become/ground/bundle"
	"github.com/universal-server/become/ground/line"
	"github.com/universal-server/become/work/boss"
	"github.com/universal-server/become/work/engine/native"
	"github.com/universal-server/become/work/roster"
	"github.com/universal-server/become/work/task"
	"github.com/universal-server/become/work/worker"
)

// silent is a town in a bubble: its worker "still" takes calls and says nothing more, as a process does that is
// stopped; "good" is one that works, and is there once still has got a call.
func silent(t *testing.T, story func(x *boss.Boss)) {
	synctest.Test(t, func(t *testing.T) {
		long := fn("long", bundle.Limits{}, func(_ context.Context, n int) (int, error) { time.Sleep(time.Hour); return 2 * n, nil })
		b := newTown(t, 1, long)
		b.offer.Workers = []roster.Endpoint{{Worker: "still", Node: "n1", Slots: 1}}
		w := worker.New(worker.Options{ID: "good", Engine: native.New([]*native.Func{long}), Slots: 1})
		var wg sync.WaitGroup
		x := boss.New(boss.Options{ID: "b", Bus: b, Dial: func(_ context.Context, to roster.Endpoint) (*line.Conn, error) {
			near, far := net.Pipe()
			conn := line.New(far, nil)
			if to.Worker == "good" {
				wg.Go(func() { w.ServeLine(context.Background(), conn) })
				return line.New(near, nil), nil
			}
			wg.Go(func() {
				defer conn.Close()
				conn.Send(task.AppendCredit(nil, 1))
				for {
					f, err := conn.Receive()
					if err != nil {
						return
					}
					if task.Kind(f) == task.KindRun {
						b.mu.Lock()
						b.offer.Workers = []roster.Endpoint{{Worker: "good", Node: "n1", Slots: 1}}
						b.mu.Unlock()
					}
				}
			})
			return line.New(near, nil), nil
		}})
		story(x)
		x.Close()
		wg.Wait()
		w.Close()
	})
}

func TestBoss_CallsOfASilentWorkerAreRunElsewhere(t *testing.T) {
	silent(t, func(x *boss.Boss) {
		began := time.Now()
		a, calls := start(t, x, "long", 1, nil)
		select {
		case <-a.all:
		case <-time.After(3 * time.Hour):
			t.Fatal("the call waits for ever")
		}
		if a.errs[0] != nil || a.vals[0] != 0 || calls[0].State() != boss.Ended {
			t.Errorf("got %v, %v", a.vals, a.errs)
		}
		// Less than a minute until it was noticed, and the hour that the function takes: a worker
		// that is busy, but there, is let alone.
		if took := time.Since(began); took < time.Hour || took > time.Hour+time.Minute {
			t.Errorf("it took %v", took)
		}
	})
}
