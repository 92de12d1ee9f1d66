package worker_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/line"
	"github.com/universal-server/become/work/task"
)

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
