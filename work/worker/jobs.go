package worker

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/work/queue"
	"github.com/universal-server/become/work/result"
	"github.com/universal-server/become/work/roster"
	"github.com/universal-server/become/work/task"
)

// Bounds of the jobs under way in one worker.
const (
	maxFinishing = 64                    // records whose results are being kept
	maxPrefetch  = 32                    // records pulled and not begun
	prefetchTime = 20 * time.Millisecond // how much work to have at hand
	pullWait     = 2 * time.Second
	maxBackoff   = time.Minute
)

// JobOptions say where jobs come from and where their results go. All are
// required but Tombs.
type JobOptions struct {
	Digest  string
	Class   queue.Class
	Node    string
	PID     int
	Bus     bus.Messenger // for progress reports
	Queue   bus.Queue
	Results bus.Log
	Dead    bus.Log
	// Tombs names cancelled jobs. Nil: none are.
	Tombs bus.KV
}

// puller pulls jobs for a worker.
type puller struct {
	w        *Worker
	opts     JobOptions
	consumer bus.Consumer
	wg       sync.WaitGroup
	slots    chan struct{} // one item per record being finished
	ending   <-chan struct{}

	mu    sync.Mutex
	held  map[*job]struct{} // everything pulled and not acknowledged
	tombs map[string]bool
	mean  time.Duration // how long a record runs
}

// job is a record on lease.
type job struct {
	p       *puller
	d       bus.Delivery
	rec     *queue.Record
	seq     uint64
	run     *run
	began   time.Time
	pending []part
}

// RunJobs pulls jobs and runs them until ctx ends; those begun are finished
// first, at most within the worker's grace.
func (w *Worker) RunJobs(ctx context.Context, opts JobOptions) error {
	consumer, err := opts.Queue.Consumer(ctx, queue.Filter(opts.Digest, opts.Class), queue.Lease)
	if err != nil {
		return err
	}
	p := &puller{
		w: w, opts: opts, consumer: consumer, slots: make(chan struct{}, maxFinishing), ending: ctx.Done(),
		held: map[*job]struct{}{}, tombs: map[string]bool{},
	}
	// Results are kept after ctx has ended, as long as the worker lives.
	keep, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	if opts.Tombs != nil {
		if err := opts.Tombs.Watch(keep, "", p.tomb); err != nil {
			return err
		}
	}
	var beats sync.WaitGroup
	beats.Go(func() { p.heartbeat(keep) })
	p.pull(ctx, keep)
	p.wg.Wait()
	stop()
	beats.Wait()
	return nil
}

// Jobs returns the IDs of up to max jobs that run now.
func (w *Worker) Jobs(max int) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var ids []string
	for r := range w.active {
		j, ok := r.out.(*job)
		if !ok {
			continue
		}
		if len(ids) == max {
			break
		}
		ids = append(ids, j.rec.ID(j.seq, int(r.at.Load())).String())
	}
	return ids
}

// admit decides what to do with a delivery: run it, later, or not at all.
func (p *puller) admit(ctx context.Context, d bus.Delivery) *job {
	stored := d.Record()
	rec, err := queue.DecodeRecord(stored.Data)
	if err != nil { // nobody can run it: keep it where people look
		if p.bury(ctx, &queue.Record{Function: "?"}, queue.ID{Seq: stored.Seq}, fault.New(fault.Invalid, "read job", "", err), stored.Data) == nil {
			d.Ack(ctx)
		}
		return nil // else its lease runs out, and somebody tries again
	}
	if wait := time.Until(rec.NotBefore); wait > 5*time.Millisecond {
		d.Nak(wait)
		return nil
	}
	rec.ReadHeader(stored.Header)
	j := &job{p: p, d: d, rec: rec, seq: stored.Seq}
	p.mu.Lock()
	p.held[j] = struct{}{}
	p.mu.Unlock()
	if deaths := j.deaths(); deaths > 0 {
		return p.suspect(ctx, j, deaths)
	}
	return j
}

// deaths counts the workers that died, or fell silent, with this record.
func (j *job) deaths() int {
	n := j.d.Attempt() - 1
	if !j.rec.NotBefore.IsZero() {
		n-- // it was given back once, to wait
	}
	return max(0, n) + j.rec.Deaths
}

// suspect handles a record whose worker died with it: each of its jobs that has no
// result yet is tried again in a record of its own, the last time in a process of its
// own, or is out of tries.
func (p *puller) suspect(ctx context.Context, j *job, deaths int) *job {
	if deaths == j.rec.Deaths { // none since the record was written
		return j
	}
	tries := p.tries(j.rec)
	var err error
	for i := range j.rec.Jobs {
		id := j.rec.ID(j.seq, i)
		if _, _, e := result.Find(ctx, p.opts.Results, id); e == nil {
			continue
		}
		one := j.rec.Part(i, i+1)
		one.Origin, one.Deaths, one.NotBefore = id, deaths, time.Time{}
		one.Attempt++
		if one.Attempt >= tries {
			lost := fault.Text(fault.Lost, "run job", id.String(), fmt.Sprintf("its worker died %d times", deaths))
			err = p.settle(ctx, &one, id, []task.Outcome{{Status: task.Failed, Err: lost}}, lost)
		} else {
			class := queue.Normal
			if one.Attempt+1 >= tries {
				class = queue.Solo
			}
			_, err = queue.Put(ctx, p.opts.Queue, queue.Subject(p.opts.Digest, class, one.Function), &one, fmt.Sprintf("%d.%d.after.%d", j.seq, i, deaths))
			p.w.opts.Logger.Info("job killed its worker, or was beside one that did", "job", id.String(), "deaths", deaths)
		}
		if err != nil {
			break
		}
	}
	if err == nil {
		j.d.Ack(ctx)
		p.opts.Bus.Publish(roster.SubjectWake, []byte(p.opts.Digest)) // a solo process may have to be started
	}
	p.drop(j)
	return nil
}

func (p *puller) tries(rec *queue.Record) int {
	if rec.Tries > 0 {
		return rec.Tries
	}
	if fn, err := p.w.opts.Engine.Lookup(rec.Function); err == nil && fn.Limits().Tries > 0 {
		return fn.Limits().Tries
	}
	return 3
}

// outcomes collects what the run says; with the final word the record is
// finished on a goroutine of its own, so that the slot need not wait for the disk.
func (j *job) outcomes(o task.Outcomes) {
	if o.Count > 0 {
		items := append([]byte(nil), o.Items...)
		outcomes := make([]task.Outcome, 0, o.Count)
		for range o.Count {
			out, rest, err := task.NextOutcome(items)
			if err != nil {
				break // our own encoding
			}
			outcomes = append(outcomes, out)
			items = rest
		}
		j.pending = append(j.pending, part{o.First, outcomes})
	}
	if !o.Final {
		return
	}
	limit := o.Limit
	p := j.p
	p.observe(time.Since(j.began))
	go func() { // counted in p.wg since start
		defer p.wg.Done()
		defer func() { <-p.slots }()
		p.finish(context.WithoutCancel(p.w.ctx), j, limit)
	}()
}

func (j *job) progress(_ uint64, index int, value []byte) {
	j.p.opts.Bus.Publish(roster.ProgressSubject(j.rec.Boss, j.rec.ID(j.seq, index).String()), value)
}

func (j *job) attempt(int) int { return j.rec.Attempt + 1 }

// heartbeat extends the leases of what is held.
func (p *puller) heartbeat(ctx context.Context) {
	tick := time.NewTicker(queue.Lease / 4)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		p.mu.Lock()
		held := make([]*job, 0, len(p.held))
		for j := range p.held {
			held = append(held, j)
		}
		p.mu.Unlock()
		for _, j := range held {
			j.d.Extend()
		}
	}
}

// tomb learns that a job was cancelled.
func (p *puller) tomb(e bus.Entry) {
	if e.Key == "" {
		return
	}
	p.mu.Lock()
	if e.Deleted { // aged out
		delete(p.tombs, e.Key)
		p.mu.Unlock()
		return
	}
	p.tombs[e.Key] = true
	var cancel func()
	for j := range p.held {
		if j.run == nil {
			continue
		}
		for i := range j.rec.Jobs {
			if j.rec.ID(j.seq, i).String() == e.Key {
				r := j.run
				cancel = func() { r.cancel(i) }
			}
		}
	}
	p.mu.Unlock()
	if cancel != nil {
		cancel()
	}
}
