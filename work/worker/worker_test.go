package worker_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/universal-server/become/work/task"
)

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
