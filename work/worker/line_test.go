package worker_test

import (
	"context"
	"encoding/binary"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/universal-server/become/ground/bundle"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/line"
	"github.com/universal-server/become/work/engine/native"
	"github.com/universal-server/become/work/task"
	"github.com/universal-server/become/work/worker"
)

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
