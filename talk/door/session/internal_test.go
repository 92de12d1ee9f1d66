package session

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestBound_FindsWhatTakesTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		over := make(chan time.Duration, 10)
		var begun time.Time
		b := newBound(time.Second, func() { over <- time.Since(begun) })
		do := func(took time.Duration) {
			begun = time.Now()
			b.begin()
			time.Sleep(took)
			synctest.Wait()
			b.end()
		}
		for range 5 { // more than a second together, with and without time between
			do(300 * time.Millisecond)
			do(900 * time.Millisecond)
			time.Sleep(2 * time.Second)
		}
		if len(over) > 0 {
			t.Fatalf("what took little was over after %v", <-over)
		}
		for range 2 {
			do(100 * time.Millisecond)
			do(3 * time.Second)
			if len(over) != 1 {
				t.Fatalf("it was over %d times", len(over))
			}
			if took := <-over; took != time.Second {
				t.Errorf("it was over after %v", took)
			}
		}
		do(0)
		b.stop()
		time.Sleep(time.Minute)
		synctest.Wait()
		if b.set.Load() && b.timer.Stop() {
			t.Error("its timer runs on")
		}
	})
}

func TestPace_IsOfTheLastFew(t *testing.T) {
	var p pace
	for range 2 {
		if p.quick() {
			t.Error("it is quick before it was a few times")
		}
		for range few {
			p.took(quick)
		}
		if !p.quick() {
			t.Error("it is not quick")
		}
		p.took(quick + 1)
	}
}
