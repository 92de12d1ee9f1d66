package fleet

import (
	"context"
	"slices"
	"time"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/work/queue"
	"github.com/universal-server/become/work/result"
	"github.com/universal-server/become/work/roster"
	"github.com/universal-server/become/work/task"
)

// States of a job.
const (
	JobQueued    = "queued"
	JobRetrying  = "retrying" // it failed, or its worker died, and is tried again
	JobRunning   = "running"
	JobCanceling = "canceling" // it is cancelled: it ends when its turn comes, or when its function obeys
	JobSucceeded = "succeeded"
	JobFailed    = "failed"
	JobCanceled  = "canceled"
)

// JobInfo describes a job.
type JobInfo struct {
	ID       string    `json:"id"`
	State    string    `json:"state"`
	Function string    `json:"function"`
	Digest   string    `json:"digest"`
	Tries    int       `json:"tries"` // begun so far
	Time     time.Time `json:"time"`  // of the last change: queued or ended
	// NotBefore is when it is tried again.
	NotBefore time.Time `json:"not_before,omitzero"`
	Node      string    `json:"node,omitempty"`
	Worker    string    `json:"worker,omitempty"`
	PID       int       `json:"pid,omitempty"`
	Error     string    `json:"error,omitempty"`
}

// Jobs lists up to max jobs that wait or run, the next ones first, and up to
// max that have ended, the newest last. known is as in Nodes.
func (f *Fleet) Jobs(ctx context.Context, max, known int) ([]JobInfo, error) {
	running, err := f.runningJobs(ctx, known)
	if err != nil {
		return nil, err
	}
	ended, err := f.endedJobs(ctx, max)
	if err != nil {
		return nil, err
	}
	over := map[string]bool{}
	for _, j := range ended {
		over[j.ID] = true
	}
	open, err := f.openJobs(ctx, max, running, over)
	if err == nil {
		err = f.markCanceled(ctx, open)
	}
	return append(ended, open...), err
}

// markCanceled sets the state of the jobs that were cancelled and have not ended.
func (f *Fleet) markCanceled(ctx context.Context, open []JobInfo) error {
	if len(open) == 0 {
		return nil
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	tombs, all := map[string]bool{}, make(chan struct{})
	over := false // nothing is read of tombs before all is closed, and nothing written afterwards
	err := f.jobs.stores.Tombs.Watch(ctx, "", func(e bus.Entry) {
		switch {
		case over:
		case e.Key == "":
			over = true
			close(all)
		default:
			tombs[e.Key] = !e.Deleted
		}
	})
	if err != nil {
		return err
	}
	select {
	case <-all:
	case <-ctx.Done():
		return fault.New(fault.KindOf(ctx.Err()), "list jobs", "", context.Cause(ctx))
	}
	for i := range open {
		if tombs[open[i].ID] {
			open[i].State = JobCanceling
		}
	}
	return nil
}

// runningJobs maps the ids of running jobs to where they run.
func (f *Fleet) runningJobs(ctx context.Context, known int) (map[string]JobInfo, error) {
	nodes, err := f.Nodes(ctx, known)
	if err != nil && fault.KindOf(err) != fault.Lost { // without nodes nothing runs
		return nil, err
	}
	running := map[string]JobInfo{}
	for _, n := range nodes {
		for _, p := range n.Processes {
			for _, id := range p.Jobs {
				running[id] = JobInfo{Node: n.Node, Worker: p.Worker, PID: p.PID}
			}
		}
	}
	return running, nil
}

func (f *Fleet) endedJobs(ctx context.Context, max int) ([]JobInfo, error) {
	records, err := f.jobs.stores.Results.Tail(ctx, roster.LogResults+".>", max)
	if err != nil {
		return nil, err
	}
	var out []JobInfo
	for _, stored := range records {
		r, err := result.Decode(stored.Subject, stored.Data)
		if err != nil {
			continue
		}
		r.Time = stored.Time
		for i, o := range r.Outcomes {
			out = append(out, endedJob(r, o, queue.ID{Seq: r.First.Seq, Index: r.First.Index + i}))
		}
	}
	return out[len(out)-min(max, len(out)):], nil
}

func endedJob(r *result.Record, o task.Outcome, id queue.ID) JobInfo {
	j := JobInfo{ID: id.String(), State: JobSucceeded, Function: r.Function, Digest: r.Digest, Tries: r.Attempt, Time: r.Time, Node: r.Node, Worker: r.Worker, PID: r.PID}
	if o.Err != nil {
		j.State, j.Error = JobFailed, o.Err.Error()
		if fault.KindOf(o.Err) == fault.Canceled {
			j.State = JobCanceled
		}
	}
	return j
}

func (f *Fleet) openJobs(ctx context.Context, max int, running map[string]JobInfo, over map[string]bool) ([]JobInfo, error) {
	records, err := f.jobs.stores.Jobs.Peek(ctx, roster.QueueJobs+".>", 1, max)
	if err != nil {
		return nil, err
	}
	var out []JobInfo
	for _, stored := range records {
		for _, j := range waiting(stored) {
			if at, ok := running[j.ID]; ok {
				j.run(at)
			}
			if !over[j.ID] && len(out) < max {
				out = append(out, j)
			}
		}
	}
	return out, nil
}

// run says where the job runs.
func (j *JobInfo) run(at JobInfo) {
	j.State, j.Node, j.Worker, j.PID = JobRunning, at.Node, at.Worker, at.PID
	j.Tries++ // the record counts those before
}

// waiting describes the jobs of a record in the queue.
func waiting(stored bus.Record) []JobInfo {
	r, err := queue.DecodeRecord(stored.Data)
	if err != nil {
		return nil
	}
	digest, _, _, _ := queue.ParseSubject(stored.Subject)
	out := make([]JobInfo, len(r.Jobs))
	for i := range r.Jobs {
		out[i] = JobInfo{ID: r.ID(stored.Seq, i).String(), State: JobQueued, Function: r.Function, Digest: digest, Tries: r.Attempt, Time: stored.Time, NotBefore: r.NotBefore}
		if r.Attempt > 0 {
			out[i].State = JobRetrying
		}
	}
	return out
}

// searchMost is how many records behind its own a job that was put back is
// looked for in.
const searchMost = 20_000

// Job describes a job. fault.NotFound when there never was one, or its result
// is no longer kept.
func (f *Fleet) Job(ctx context.Context, id queue.ID, known int) (JobInfo, error) {
	if r, o, err := result.Find(ctx, f.jobs.stores.Results, id); err == nil {
		return endedJob(r, o, id), nil
	} else if fault.KindOf(err) != fault.NotFound {
		return JobInfo{}, err
	}
	running, err := f.runningJobs(ctx, known)
	if err != nil {
		return JobInfo{}, err
	}
	is := func(j JobInfo) bool { return j.ID == id.String() }
	for from, seen := id.Seq, 0; seen < searchMost; {
		records, err := f.jobs.stores.Jobs.Peek(ctx, roster.QueueJobs+".>", from, 256)
		if err != nil {
			return JobInfo{}, err
		}
		for _, stored := range records {
			all := waiting(stored)
			if i := slices.IndexFunc(all, is); i >= 0 {
				j := all[i]
				if at, ok := running[j.ID]; ok {
					j.run(at)
				}
				if _, err := f.jobs.stores.Tombs.Get(ctx, j.ID); err == nil {
					j.State = JobCanceling
				}
				return j, nil
			}
			from = stored.Seq + 1
		}
		seen += len(records)
		if len(records) == 0 {
			break
		}
	}
	// It may have ended since we looked first.
	if r, o, err := result.Find(ctx, f.jobs.stores.Results, id); err == nil {
		return endedJob(r, o, id), nil
	}
	return JobInfo{}, fault.Text(fault.NotFound, "find job", id.String(), "there is no such job, or it ended more than a day ago")
}
