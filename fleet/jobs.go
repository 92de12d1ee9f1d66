package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/work/queue"
	"github.com/universal-server/become/work/result"
	"github.com/universal-server/become/work/roster"
	"github.com/universal-server/become/work/task"
	"github.com/universal-server/become/work/worker"
)

// jobs is the fleet's job side for one process.
type jobs struct {
	f         *Fleet
	stores    Stores
	submitter *queue.Submitter
	listening begun // to results and progress

	mu      sync.Mutex
	waiting map[queue.ID][]*waiter // who waits for which job
	looking map[uint64]bool        // batches whose results are being read
	recent  recent
	subs    []bus.Subscription
}

type waiter struct {
	done     chan struct{}
	outcome  *Outcome
	progress func([]byte)
}

// Outcome is how a job ended.
type Outcome struct {
	ID       queue.ID
	Function string
	Digest   string
	task.Outcome
	Format  byte
	Worker  string
	Node    string
	PID     int
	Attempt int
	Time    time.Time
}

func (j *jobs) init(f *Fleet, stores Stores) {
	j.f, j.stores = f, stores
	j.submitter = queue.NewSubmitter(stores.Jobs, f.bus, f.id)
	j.waiting = map[queue.ID][]*waiter{}
	j.looking = map[uint64]bool{}
}

func (j *jobs) close() {
	j.submitter.Close()
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, s := range j.subs {
		s.Unsubscribe()
	}
	j.subs = nil
}

// Stores returns the fleet's stores.
func (f *Fleet) Stores() Stores { return f.jobs.stores }

// Submit puts a job into the queue and returns its id once it is kept.
func (f *Fleet) Submit(ctx context.Context, spec queue.Spec, input task.Value) (queue.ID, error) {
	return f.jobs.submitter.Submit(ctx, spec, input)
}

// Result returns how a job ended, or fault.NotFound while it has not.
func (f *Fleet) Result(ctx context.Context, id queue.ID) (*Outcome, error) {
	r, o, err := result.Find(ctx, f.jobs.stores.Results, id)
	if err != nil {
		return nil, err
	}
	return outcome(r, o, id), nil
}

func outcome(r *result.Record, o task.Outcome, id queue.ID) *Outcome {
	return &Outcome{
		ID: id, Function: r.Function, Digest: r.Digest, Outcome: o, Format: byte(r.Format),
		Worker: r.Worker, Node: r.Node, PID: r.PID, Attempt: r.Attempt, Time: r.Time,
	}
}

var errClosed = errors.New("this process has left the fleet")

// WaitJob returns how a job ended, once it has. progress, when not nil, hears
// the running function's reports. fault.Canceled once the fleet is closed; the job goes on.
func (f *Fleet) WaitJob(ctx context.Context, id queue.ID, progress func([]byte)) (*Outcome, error) {
	if err := f.jobs.listening.wait(ctx, f, "wait for job", f.jobs.listen); err != nil {
		return nil, err
	}
	w := &waiter{done: make(chan struct{}), progress: progress}
	if o := f.jobs.add(id, w); o != nil {
		return o, nil
	}
	defer f.jobs.remove(id, w)
	// A message can get lost; what is kept cannot. So look now, and again at times.
	for wait := 250 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		f.jobs.look(id.Seq)
		timer := time.NewTimer(wait)
		select {
		case <-w.done:
			timer.Stop()
			return w.outcome, nil
		case <-ctx.Done():
			timer.Stop()
			return nil, fault.New(fault.KindOf(ctx.Err()), "wait for job", id.String(), context.Cause(ctx))
		case <-f.ctx.Done():
			timer.Stop()
			return nil, fault.New(fault.Canceled, "wait for job", id.String(), errClosed)
		case <-timer.C:
		}
	}
}

// listen subscribes to results: to those of this process's own jobs it would be enough, but a
// job of another process can be waited for too.
func (j *jobs) listen(ctx context.Context) error {
	s, err := j.f.bus.Subscribe(ctx, result.BossFilter("*"), "", j.heard)
	if err != nil {
		return err
	}
	p, err := j.f.bus.Subscribe(ctx, roster.SubjectProgress+">", "", j.reported)
	if err != nil {
		s.Unsubscribe()
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if ctx.Err() != nil { // close was faster
		s.Unsubscribe()
		p.Unsubscribe()
		return errClosed
	}
	j.subs = []bus.Subscription{s, p}
	return nil
}

// add makes w hear of the job, unless its outcome is known already.
func (j *jobs) add(id queue.ID, w *waiter) *Outcome {
	j.mu.Lock()
	defer j.mu.Unlock()
	if r, o, ok := j.recent.find(id); ok {
		return outcome(r, o, id)
	}
	j.waiting[id] = append(j.waiting[id], w)
	return nil
}

// look reads the results kept of a batch of jobs, for all who wait for one of
// them. Why not each its own? A thousand waiters would read the same record.
func (j *jobs) look(seq uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.looking[seq] {
		return
	}
	j.looking[seq] = true
	j.f.Do(func() {
		err := result.Each(j.f.ctx, j.stores.Results, seq, func(r *result.Record, size int) {
			j.mu.Lock()
			defer j.mu.Unlock()
			j.deliverLocked(r, size)
		})
		if err != nil && j.f.ctx.Err() == nil {
			j.f.logger.Debug("cannot read results", "err", err)
		}
		j.mu.Lock()
		defer j.mu.Unlock()
		delete(j.looking, seq)
	})
}

func (j *jobs) remove(id queue.ID, w *waiter) {
	j.mu.Lock()
	defer j.mu.Unlock()
	ws := j.waiting[id]
	for i := range ws {
		if ws[i] == w {
			ws = append(ws[:i:i], ws[i+1:]...)
			break
		}
	}
	if len(ws) == 0 {
		delete(j.waiting, id)
	} else {
		j.waiting[id] = ws
	}
}

// heard takes a result as it is published.
func (j *jobs) heard(msg bus.Message) {
	r, err := result.Decode(msg.Subject, msg.Data)
	if err != nil {
		return
	}
	r.Time = time.Now()
	j.mu.Lock()
	defer j.mu.Unlock()
	j.deliverLocked(r, len(msg.Data))
}

// deliverLocked gives a result to those who wait for it, and remembers it for those
// who are about to.
func (j *jobs) deliverLocked(r *result.Record, size int) {
	for i, o := range r.Outcomes {
		id := queue.ID{Seq: r.First.Seq, Index: r.First.Index + i}
		for _, w := range j.waiting[id] {
			if w.outcome == nil {
				w.outcome = outcome(r, o, id)
				close(w.done)
			}
		}
	}
	j.recent.add(r, size)
}

func (j *jobs) reported(msg bus.Message) {
	tokens := strings.SplitN(msg.Subject, ".", 4)
	if len(tokens) != 4 {
		return
	}
	id, err := queue.ParseID(tokens[3])
	if err != nil {
		return
	}
	j.mu.Lock()
	ws := j.waiting[id]
	j.mu.Unlock()
	for _, w := range ws {
		if w.progress != nil {
			w.progress(msg.Data)
		}
	}
}

// CancelJob makes sure that a job does not go on: one that waits never
// begins, should its turn come within TombsLast; one that runs has its context ended. It returns when that is
// kept; the job's result says how it ended. fault.Conflict when it has ended.
func (f *Fleet) CancelJob(ctx context.Context, id queue.ID) error {
	if o, err := f.Result(ctx, id); err == nil {
		state := "has succeeded"
		switch {
		case o.Err != nil && fault.KindOf(o.Err) == fault.Canceled:
			state = "is canceled already"
		case o.Err != nil:
			state = "has failed"
		}
		return fault.Text(fault.Conflict, "cancel job", id.String(), "it "+state)
	}
	_, err := f.jobs.stores.Tombs.Put(ctx, id.String(), []byte(f.id))
	return err
}

// DeadLetters returns the newest max dead letters, oldest first.
func (f *Fleet) DeadLetters(ctx context.Context, max int) ([]worker.DeadLetter, error) {
	records, err := f.jobs.stores.Dead.Tail(ctx, roster.LogDead+".>", max)
	if err != nil {
		return nil, err
	}
	letters := make([]worker.DeadLetter, 0, len(records))
	for _, r := range records {
		var l worker.DeadLetter
		if json.Unmarshal(r.Data, &l) == nil {
			letters = append(letters, l)
		}
	}
	return letters, nil
}

// RetryDead submits a dead letter's job again, under a new id, and removes
// the letter.
func (f *Fleet) RetryDead(ctx context.Context, id queue.ID) (queue.ID, error) {
	records, err := f.jobs.stores.Dead.Read(ctx, fmt.Sprintf("%s.*.%d.%d", roster.LogDead, id.Seq, id.Index), 1, 1)
	if err != nil {
		return queue.ID{}, err
	}
	if len(records) == 0 {
		return queue.ID{}, fault.Text(fault.NotFound, "retry job", id.String(), "there is no dead letter of it").WithHint("become jobs dead lists them")
	}
	var l worker.DeadLetter
	if err := json.Unmarshal(records[0].Data, &l); err != nil {
		return queue.ID{}, err
	}
	rec, err := queue.DecodeRecord(l.Record)
	if err != nil {
		return queue.ID{}, err
	}
	spec := queue.Spec{Digest: l.Digest, Function: rec.Function, Format: rec.Format, Timeout: rec.Timeout, Tries: rec.Tries}
	again, err := f.Submit(ctx, spec, rec.Jobs[0])
	if err != nil {
		return queue.ID{}, err
	}
	return again, f.jobs.stores.Dead.Remove(ctx, records[0].Seq)
}
