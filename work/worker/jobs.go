package worker

import (
	"context"
	"encoding/json"
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

// part is what a run says of consecutive jobs of its record.
type part struct {
	first    int
	outcomes []task.Outcome
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

// pull keeps a little work at hand and starts it as slots get free.
func (p *puller) pull(ctx, keep context.Context) {
	var ready []*job
	for ctx.Err() == nil {
		if len(ready) == 0 {
			if !p.waitForSlot(ctx) {
				break
			}
			ready = p.fetch(ctx, keep)
			continue
		}
		var freed <-chan struct{}
		if ready, freed = p.startSome(keep, ready); freed == nil {
			continue
		}
		select {
		case <-freed:
		case <-ctx.Done():
		}
	}
	// What was not begun goes back as it came, without counting as a try.
	for _, j := range ready {
		if p.republish(keep, j.rec, j.seq, 0, len(j.rec.Jobs), "back") == nil {
			j.d.Ack(keep)
		}
		p.drop(j)
	}
}

// startSome starts what it can and returns the rest, which all waits for a
// slot: for any, or for one of its function. freed is closed when it is worth trying again.
func (p *puller) startSome(keep context.Context, ready []*job) (rest []*job, freed <-chan struct{}) {
	full := map[string]bool{} // functions whose turn is not now
	for _, j := range ready {
		if !full[j.rec.Function] {
			started, changed := p.start(keep, j)
			if started {
				continue
			}
			full[j.rec.Function] = true
			if freed == nil { // the first: what happened since then counts
				freed = changed
			}
		}
		rest = append(rest, j)
	}
	return rest, freed
}

func (p *puller) waitForSlot(ctx context.Context) bool {
	for {
		p.w.mu.Lock()
		free := p.w.busy < p.w.slots && !p.w.draining
		freed := p.w.freedLocked()
		p.w.mu.Unlock()
		if free {
			return ctx.Err() == nil
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return false
		}
	}
}

// fetch pulls as many records as the free slots can take soon.
func (p *puller) fetch(ctx, keep context.Context) []*job {
	deliveries, err := p.consumer.Pull(ctx, p.prefetch(), pullWait)
	if err != nil && ctx.Err() == nil {
		p.w.opts.Logger.Debug("cannot pull jobs", "err", err)
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	p.tellHeld(deliveries)
	var ready []*job
	for _, d := range deliveries {
		if j := p.admit(keep, d); j != nil {
			ready = append(ready, j)
		}
	}
	return ready
}

func (p *puller) tellHeld(deliveries []bus.Delivery) {
	if p.w.opts.Held == nil || len(deliveries) == 0 {
		return
	}
	tokens := make([]string, len(deliveries))
	for i, d := range deliveries {
		tokens[i] = d.Token()
	}
	p.w.opts.Held(tokens)
}

func (p *puller) prefetch() int {
	p.w.mu.Lock()
	free := max(1, p.w.slots-p.w.busy)
	p.w.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mean <= 0 {
		return free
	}
	return max(free, min(maxPrefetch, p.w.slots*int(prefetchTime/p.mean)))
}

// admit decides what to do with a delivery: run it, later, or not at all.
func (p *puller) admit(ctx context.Context, d bus.Delivery) *job {
	stored := d.Record()
	rec, err := queue.DecodeRecord(stored.Data)
	if err != nil { // nobody can run it: keep it where people look
		p.bury(ctx, &queue.Record{Function: "?"}, queue.ID{Seq: stored.Seq}, fault.New(fault.Invalid, "read job", "", err), stored.Data)
		d.Ack(ctx)
		return nil
	}
	if wait := time.Until(rec.NotBefore); wait > 5*time.Millisecond {
		d.Nak(wait)
		return nil
	}
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
	for i, v := range j.rec.Jobs {
		id := j.rec.ID(j.seq, i)
		if _, _, e := result.Find(ctx, p.opts.Results, id); e == nil {
			continue
		}
		one := *j.rec
		one.Origin, one.Jobs, one.Deaths, one.NotBefore = id, []task.Value{v}, deaths, time.Time{}
		one.Attempt++
		if one.Attempt >= tries {
			lost := fault.Text(fault.Lost, "run job", id.String(), fmt.Sprintf("its worker died %d times", deaths))
			err = p.settle(ctx, &one, id, []task.Outcome{{Status: task.Failed, Err: lost}}, lost)
		} else {
			class := queue.Normal
			if one.Attempt+1 >= tries {
				class = queue.Solo
			}
			_, err = p.opts.Queue.Put(ctx, queue.Subject(p.opts.Digest, class, one.Function), one.Append(nil), fmt.Sprintf("%d.%d.after.%d", j.seq, i, deaths))
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

// start runs a record if there is a slot for it; if not, freed is closed when
// that may have changed.
func (p *puller) start(ctx context.Context, j *job) (started bool, freed <-chan struct{}) {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return false, ctx.Done()
	}
	pack := task.Pack{ID: j.seq, Function: j.rec.Function, Format: j.rec.Format, Timeout: j.rec.Timeout, Origin: j.rec.Boss, Count: len(j.rec.Jobs)}
	for _, v := range j.rec.Jobs {
		pack.Values = task.AppendValue(pack.Values, v)
	}
	r := p.w.newRun(pack, j)
	p.mu.Lock()
	j.run, j.began = r, time.Now()
	for i := range j.rec.Jobs {
		id := j.rec.ID(j.seq, i).String()
		if p.tombs[id] {
			r.cancel(i)
		}
	}
	p.mu.Unlock()
	p.wg.Add(1)
	p.w.mu.Lock()
	if started = !p.w.draining && p.w.startLocked(r); !started {
		freed = p.w.freedLocked()
	}
	p.w.mu.Unlock()
	if !started {
		p.wg.Done()
		<-p.slots
	}
	return started, freed
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

func (p *puller) observe(took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mean == 0 || took > p.mean {
		p.mean = took
	} else {
		p.mean += (took - p.mean) / 4
	}
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
	one, id := *j.rec, j.rec.ID(j.seq, index)
	one.Origin, one.Jobs, one.NotBefore = id, []task.Value{j.rec.Jobs[index]}, time.Time{}
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
	one := *j.rec
	one.Origin, one.Jobs = j.rec.ID(j.seq, index), []task.Value{j.rec.Jobs[index]}
	one.Attempt++
	one.NotBefore = time.Now().Add(wait)
	_, err := p.opts.Queue.Put(ctx, queue.Subject(p.opts.Digest, p.opts.Class, one.Function), one.Append(nil), fmt.Sprintf("%d.%d.try.%d", j.seq, index, one.Attempt))
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
		again := *rec
		again.Origin = rec.ID(seq, i)
		again.Jobs = rec.Jobs[i:min(i+size, last)]
		_, err := p.opts.Queue.Put(ctx, queue.Subject(p.opts.Digest, p.opts.Class, rec.Function), again.Append(nil), fmt.Sprintf("%d.%d.%s", seq, i, why))
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
