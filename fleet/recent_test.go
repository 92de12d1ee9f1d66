package fleet

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/universal-server/become/work/queue"
	"github.com/universal-server/become/work/result"
	"github.com/universal-server/become/work/task"
)

func results(seq uint64, first, n int) *result.Record {
	return &result.Record{First: queue.ID{Seq: seq, Index: first}, Outcomes: make([]task.Outcome, n)}
}

func TestRecent_FindsTheJobsOfEveryPart(t *testing.T) {
	var r recent
	r.add(results(7, 0, 3), 10)
	r.add(results(7, 3, 2), 10)
	for i := range 6 {
		if _, _, ok := r.find(queue.ID{Seq: 7, Index: i}); ok != (i < 5) {
			t.Errorf("job 7.%d: found %v", i, ok)
		}
	}
	if _, _, ok := r.find(queue.ID{Seq: 8}); ok {
		t.Error("found a job of another batch")
	}
}

func TestRecent_IsBounded(t *testing.T) {
	var r recent
	const size = recentBytes / 8
	for seq := range uint64(20) {
		r.add(results(seq, 0, 1), size)
	}
	r.add(results(99, 0, 1), size+1) // too large to be remembered
	if r.bytes > recentBytes || len(r.bySeq) != 8 || len(r.order) != 8 {
		t.Errorf("%d bytes, %d batches, %d in order; want 8 of each at most", r.bytes, len(r.bySeq), len(r.order))
	}
	if _, _, ok := r.find(queue.ID{Seq: 19}); !ok {
		t.Error("the newest is forgotten")
	}
	if _, _, ok := r.find(queue.ID{Seq: 11}); ok {
		t.Error("an old one is remembered")
	}
}

func TestRecent_ForgetsAfterAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r recent
		r.add(results(1, 0, 1), 10)
		time.Sleep(recentFor)
		if _, _, ok := r.find(queue.ID{Seq: 1}); ok {
			t.Error("still remembered")
		}
	})
}
