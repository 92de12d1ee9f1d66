package fleet

import (
	"time"

	"github.com/universal-server/become/work/queue"
	"github.com/universal-server/become/work/result"
	"github.com/universal-server/become/work/task"
)

// Bounds of what is remembered of results: enough for those who ask for the jobs of
// one batch one after another.
const (
	recentBytes = 8 << 20
	recentFor   = 10 * time.Second
)

// recent remembers results that were heard or read a moment ago, oldest
// forgotten first. Whoever uses it holds a lock.
type recent struct {
	bySeq map[uint64][]memory
	order []uint64 // one item per memory
	bytes int
}

type memory struct {
	record *result.Record
	size   int
	since  time.Time
}

// add remembers a record, unless it would take the place of too many others.
func (r *recent) add(rec *result.Record, size int) {
	if size > recentBytes/8 {
		return
	}
	if r.bySeq == nil {
		r.bySeq = map[uint64][]memory{}
	}
	seq := rec.First.Seq
	r.bySeq[seq] = append(r.bySeq[seq], memory{rec, size, time.Now()})
	r.order = append(r.order, seq)
	r.bytes += size
	for r.bytes > recentBytes {
		r.forgetOldest()
	}
}

func (r *recent) forgetOldest() {
	seq := r.order[0]
	r.order = r.order[1:]
	all := r.bySeq[seq]
	r.bytes -= all[0].size
	if len(all) == 1 {
		delete(r.bySeq, seq)
	} else {
		r.bySeq[seq] = all[1:]
	}
}

// find returns how a job ended, if that is remembered. Why only for a while?
// Memory, and a fleet made anew gives the same ids again.
func (r *recent) find(id queue.ID) (*result.Record, task.Outcome, bool) {
	for _, m := range r.bySeq[id.Seq] {
		if i := id.Index - m.record.First.Index; i >= 0 && i < len(m.record.Outcomes) && time.Since(m.since) < recentFor {
			return m.record, m.record.Outcomes[i], true
		}
	}
	return nil, task.Outcome{}, false
}
