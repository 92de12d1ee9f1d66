package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/work/queue"
	"github.com/universal-server/become/work/result"
	"github.com/universal-server/become/work/roster"
	"github.com/universal-server/become/work/task"
)

// DeadLetter is a job that will not be tried again.
type DeadLetter struct {
	ID       string    `json:"id"`
	Digest   string    `json:"digest"`
	Function string    `json:"function"`
	Boss     string    `json:"boss"`
	Tries    int       `json:"tries"`
	Error    string    `json:"error"`
	Kind     string    `json:"kind"`
	Time     time.Time `json:"time"`
	Record   []byte    `json:"record"` // the job as a queue record, to submit it again
}

// part is what a run says of consecutive jobs of its record.
type part struct {
	first    int
	outcomes []task.Outcome
}

// finish keeps the results of a record, sends what is to be tried again back
// to the queue, and acknowledges the record last. While the bus takes none of it, as on a
// full disk, the record stays on lease and the results in memory; only if the worker
// ends meanwhile is the record run again.
func (p *puller) finish(ctx context.Context, j *job, limit int) {
	defer p.drop(j)
	wait := 100 * time.Millisecond
	for {
		err := p.finishOnce(ctx, j, limit)
		if err == nil {
			return
		}
		p.w.opts.Logger.Warn("cannot keep the results of jobs", "record", j.seq, "err", err)
		select {
		case <-p.ending:
			return
		case <-time.After(wait):
		}
		wait = min(2*wait, 5*time.Second)
	}
}

func (p *puller) finishOnce(ctx context.Context, j *job, limit int) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for len(j.pending) > 0 {
		if err := p.finishPart(ctx, j, j.pending[0]); err != nil {
			return err
		}
		j.pending = j.pending[1:]
	}
	if limit < len(j.rec.Jobs) {
		if err := p.republish(ctx, j.rec, j.seq, limit, len(j.rec.Jobs), "tail"); err != nil {
			return err
		}
	}
	return j.d.Ack(ctx)
}

func (p *puller) finishPart(ctx context.Context, j *job, part part) error {
	var kept []task.Outcome
	first := part.first
	flush := func(next int) error {
		if len(kept) == 0 {
			first = next
			return nil
		}
		err := p.keep(ctx, j.rec, j.rec.ID(j.seq, first), kept)
		kept, first = nil, next
		return err
	}
	for i, o := range part.outcomes {
		index := part.first + i
		again, dead := p.verdict(j.rec, o)
		if again {
			if err := flush(index + 1); err != nil {
				return err
			}
			if err := p.tryAgain(ctx, j, index, o); err != nil {
				return err
			}
			continue
		}
		if dead {
			if err := p.buryOne(ctx, j, index, o.Err); err != nil {
				return err
			}
		}
		kept = append(kept, o)
	}
	return flush(0)
}

// buryOne writes the dead letter of one job of a record.
func (p *puller) buryOne(ctx context.Context, j *job, index int, cause error) error {
	one, id := j.rec.Part(index, index+1), j.rec.ID(j.seq, index)
	one.Origin, one.NotBefore = id, time.Time{}
	return p.bury(ctx, &one, id, cause, nil)
}

// verdict says whether an outcome is to be tried again, or is a dead letter.
func (p *puller) verdict(rec *queue.Record, o task.Outcome) (again, dead bool) {
	if o.Status == task.OK || o.Status == task.OKRef || fault.KindOf(o.Err) == fault.Canceled {
		return false, false
	}
	if o.Status == task.GaveUp || rec.Attempt+1 >= p.tries(rec) {
		return false, true
	}
	return true, false
}

// tryAgain puts one job back, to be run after its back-off.
func (p *puller) tryAgain(ctx context.Context, j *job, index int, o task.Outcome) error {
	wait := o.After
	if o.Status != task.Retry {
		wait = p.backoff(j.rec)
	}
	one := j.rec.Part(index, index+1)
	one.Origin = j.rec.ID(j.seq, index)
	one.Attempt++
	one.NotBefore = time.Now().Add(wait)
	_, err := queue.Put(ctx, p.opts.Queue, queue.Subject(p.opts.Digest, p.opts.Class, one.Function), &one, fmt.Sprintf("%d.%d.try.%d", j.seq, index, one.Attempt))
	return err
}

func (p *puller) backoff(rec *queue.Record) time.Duration {
	base := 100 * time.Millisecond
	if fn, err := p.w.opts.Engine.Lookup(rec.Function); err == nil && fn.Limits().BackoffMS > 0 {
		base = time.Duration(fn.Limits().BackoffMS) * time.Millisecond
	}
	return min(base<<min(rec.Attempt, 16), maxBackoff)
}

// republish puts the jobs from first to last back as new records, small ones, so that
// other workers get their share.
func (p *puller) republish(ctx context.Context, rec *queue.Record, seq uint64, first, last int, why string) error {
	size := max(1, (last-first+7)/8)
	for i := first; i < last; i += size {
		again := rec.Part(i, min(i+size, last))
		again.Origin = rec.ID(seq, i)
		_, err := queue.Put(ctx, p.opts.Queue, queue.Subject(p.opts.Digest, p.opts.Class, rec.Function), &again, fmt.Sprintf("%d.%d.%s", seq, i, why))
		if err != nil {
			return err
		}
	}
	return nil
}

// keep stores the results of consecutive jobs.
func (p *puller) keep(ctx context.Context, rec *queue.Record, first queue.ID, outcomes []task.Outcome) error {
	res := result.Record{
		Function: rec.Function, Format: rec.Format, Worker: p.w.opts.ID, Node: p.opts.Node, PID: p.opts.PID,
		Attempt: rec.Attempt + 1, Outcomes: outcomes,
	}
	_, err := p.opts.Results.Append(ctx, result.Subject(p.opts.Digest, rec.Boss, first), res.Append(nil))
	return err
}

// settle ends one job with outcomes that need no run: its dead letter and its result.
func (p *puller) settle(ctx context.Context, rec *queue.Record, id queue.ID, outcomes []task.Outcome, cause error) error {
	if err := p.bury(ctx, rec, id, cause, nil); err != nil {
		return err
	}
	return p.keep(ctx, rec, id, outcomes)
}

// bury writes a dead letter.
func (p *puller) bury(ctx context.Context, rec *queue.Record, id queue.ID, cause error, raw []byte) error {
	if raw == nil {
		fresh := *rec
		fresh.Attempt, fresh.Deaths, fresh.NotBefore = 0, 0, time.Time{}
		raw = fresh.Append(nil)
	}
	letter, err := json.Marshal(DeadLetter{
		ID: id.String(), Digest: p.opts.Digest, Function: rec.Function, Boss: rec.Boss, Tries: rec.Attempt + 1,
		Error: cause.Error(), Kind: fault.KindOf(cause).String(), Time: time.Now(), Record: raw,
	})
	if err != nil {
		return err
	}
	_, err = p.opts.Dead.Append(ctx, fmt.Sprintf("%s.%s.%d.%d", roster.LogDead, p.opts.Digest, id.Seq, id.Index), letter)
	return err
}

// drop forgets a record that is acknowledged, or left to its lease.
func (p *puller) drop(j *job) {
	p.mu.Lock()
	delete(p.held, j)
	p.mu.Unlock()
}
