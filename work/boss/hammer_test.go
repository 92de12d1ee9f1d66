package boss_test

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/universal-server/become/ground/bundle"
	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/line"
	"github.com/universal-server/become/work/boss"
	"github.com/universal-server/become/work/engine"
	"github.com/universal-server/become/work/roster"
	"github.com/universal-server/become/work/task"
)

// Cancels race with packs on their way, with outcomes and with retries: every
// call is answered once all the same, and none that was cancelled goes on.
func TestBoss_CancelRacesWithEverything(t *testing.T) {
	var running atomic.Int64
	b := newTown(t, 4,
		fn("quick", bundle.Limits{}, double),
		fn("retry", bundle.Limits{}, func(_ context.Context, n int) (int, error) {
			if n%3 != 0 {
				return 0, &engine.RetryError{After: time.Duration(n%2) * time.Millisecond}
			}
			return n, nil
		}),
		fn("hang", bundle.Limits{}, func(ctx context.Context, n int) (int, error) {
			running.Add(1)
			defer running.Add(-1)
			<-ctx.Done()
			return 0, ctx.Err()
		}),
	)
	b.hire("w1")
	b.hire("w2")
	x := b.boss()
	var wg sync.WaitGroup
	for _, function := range []string{"quick", "retry", "hang"} {
		for range 4 {
			wg.Go(func() {
				for range 100 {
					a, calls := start(t, x, function, 3, nil)
					for _, c := range calls {
						if function == "hang" || rand.IntN(4) > 0 {
							x.Cancel(c)
						}
					}
					a.wait()
				}
			})
		}
	}
	wg.Wait()
	if n := running.Load(); n != 0 {
		t.Errorf("%d cancelled tasks still run", n)
	}
}

// Calls move to a process of their own when their worker dies, and are cancelled
// meanwhile.
func TestBoss_CancelRacesWithDyingWorkers(t *testing.T) {
	b := newTown(t, 2, fn("hang", bundle.Limits{}, func(ctx context.Context, n int) (int, error) {
		<-ctx.Done()
		return 0, ctx.Err()
	}))
	x := b.boss()
	for i := range 30 {
		id := string(rune('A' + i))
		b.hire(id)
		a, calls := start(t, x, "hang", 6, func(c *boss.Call) { c.Tries = 2 })
		for calls[0].State() == boss.Queued {
			time.Sleep(10 * time.Microsecond)
		}
		var wg sync.WaitGroup
		wg.Go(b.stops[id])
		for _, c := range calls {
			wg.Go(func() { x.Cancel(c) })
		}
		wg.Wait()
		a.wait()
		for i := range calls {
			if k := fault.KindOf(a.errs[i]); k != fault.Canceled && k != fault.Lost {
				t.Errorf("call %d: %v, want canceled or lost", i, a.errs[i])
			}
		}
	}
}

// A call that waits for its retry keeps its pool.
func TestBoss_ARetryMayBeLaterThanTheLinger(t *testing.T) {
	var tries atomic.Int64
	b := newTown(t, 1, fn("later", bundle.Limits{}, func(_ context.Context, n int) (int, error) {
		if tries.Add(1) == 1 {
			return 0, &engine.RetryError{After: roster.RenewWant + 200*time.Millisecond}
		}
		return 42, nil
	}))
	b.hire("w1")
	x := boss.New(boss.Options{ID: "b", Bus: b, Linger: time.Millisecond, Dial: func(ctx context.Context, to roster.Endpoint) (*line.Conn, error) {
		nc, err := net.Dial("unix", to.Unix)
		if err != nil {
			return nil, err
		}
		return line.Client(ctx, nc, to.Token, nil)
	}})
	defer x.Close()
	a, _ := start(t, x, "later", 1, nil)
	a.wait()
	if a.vals[0] != 42 {
		t.Errorf("got %v", a.errs[0])
	}
}

// A worker that breaks the protocol loses its line; its calls are run elsewhere.
func TestBoss_CallsSurviveAWorkerThatBreaksTheProtocol(t *testing.T) {
	ok := task.AppendAnswer(nil, task.OK, []byte{7})
	head := func(o task.Outcomes) []byte { return task.AppendOutcomes(nil, &o) }
	for name, answer := range map[string]func(pack uint64) []byte{
		"garbage":       func(uint64) []byte { return []byte("garbage") },
		"empty":         func(uint64) []byte { return nil },
		"cut":           func(p uint64) []byte { return head(task.Outcomes{Pack: p, Count: 1, Limit: 1, Final: true}) },
		"unknown pack":  func(p uint64) []byte { return head(task.Outcomes{Pack: p + 1, Limit: 1, Final: true}) },
		"nothing final": func(p uint64) []byte { return head(task.Outcomes{Pack: p, Limit: 1, Final: true}) },
		"too far":       func(p uint64) []byte { return head(task.Outcomes{Pack: p, First: 1, Limit: 1, Final: true}) },
		"too many": func(p uint64) []byte {
			return append(head(task.Outcomes{Pack: p, Count: 2, Limit: 2, Final: true}), append(ok, ok...)...)
		},
		"bad status": func(p uint64) []byte {
			return append(head(task.Outcomes{Pack: p, Count: 1, Limit: 1, Final: true}), 200)
		},
		"boss's frame": func(p uint64) []byte { return task.AppendCancel(nil, p, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newTown(t, 1, fn("double", bundle.Limits{}, double))
			bad := roster.Endpoint{Worker: "bad", Node: "n1", Slots: 1}
			b.offer.Workers = []roster.Endpoint{bad}
			var wg sync.WaitGroup
			defer wg.Wait()
			x := boss.New(boss.Options{ID: "b", Bus: b, Dial: func(ctx context.Context, to roster.Endpoint) (*line.Conn, error) {
				if to.Worker != "bad" {
					nc, err := net.Dial("unix", to.Unix)
					if err != nil {
						return nil, err
					}
					return line.Client(ctx, nc, to.Token, nil)
				}
				near, far := net.Pipe()
				wg.Go(func() {
					conn := line.New(far, nil)
					defer conn.Close()
					conn.Send(task.AppendCredit(nil, 1))
					for {
						f, err := conn.Receive()
						if err != nil {
							return
						}
						if pack, err := task.DecodePack(f); err == nil {
							b.mu.Lock()
							b.offer = roster.Offer{Node: "n1", Platform: "test/test"}
							b.mu.Unlock()
							b.hire("good")
							wg.Go(func() { conn.Send(answer(pack.ID)) }) // a pipe has no buffer, and the boss may be writing
						}
					}
				})
				return line.New(near, nil), nil
			}})
			defer x.Close()
			a, _ := start(t, x, "double", 3, nil)
			a.wait()
			for i := range 3 {
				if a.errs[i] != nil || a.vals[i] != 2*i {
					t.Errorf("call %d: %d, %v", i, a.vals[i], a.errs[i])
				}
			}
		})
	}
}

// Messages that no node would send do nothing.
func TestBoss_IgnoresGarbageOnTheBus(t *testing.T) {
	b := newTown(t, 1, fn("double", bundle.Limits{}, double))
	x := b.boss()
	a, _ := start(t, x, "double", 1, nil)
	for _, subject := range []string{roster.SubjectUp + "d", roster.SubjectDown + "d", "inbox.1"} {
		for _, data := range []string{"", "garbage", "null", "[]", `{"worker":1}`, "{}"} {
			b.Publish(subject, []byte(data))
		}
	}
	data, _ := json.Marshal(roster.Offer{Workers: []roster.Endpoint{{Worker: "w"}}}) // of no node
	b.mu.Lock()
	for subject, subs := range b.subs {
		if subject != roster.SubjectUp+"d" && subject != roster.SubjectDown+"d" {
			for _, f := range subs {
				go f(bus.Message{Subject: subject, Data: data})
			}
		}
	}
	b.mu.Unlock()
	b.hire("w1")
	a.wait()
	if a.errs[0] != nil {
		t.Error(a.errs[0])
	}
}
