package worker

import (
	"context"

	"github.com/universal-server/become/ground/trace/span"
	"github.com/universal-server/become/work/task"
)

// A pack of calls has one span, of all its tasks: they have one caller, and may take a microsecond each. Each job has its own: those of a record
// were submitted by whomever.

// alone says whether each task needs a context of its own.
func (r *run) alone() bool {
	j, ok := r.out.(*job)
	return ok && (j.rec.Places != nil || span.On())
}

// placedLocked returns the context of the task at index, or of all of the pack, where its caller is in a trace; with a span if anybody makes them.
func (r *run) placedLocked(index int) context.Context {
	if j, ok := r.out.(*job); ok {
		return r.jobLocked(j, index)
	}
	ctx := span.At(r.w.ctx, r.pack.Place)
	if r.span == nil && span.On() {
		r.base, r.span = span.Begin(ctx, span.Server, "run "+r.pack.Function)
		r.aboutLocked()
	}
	if r.base == nil {
		r.base = ctx
	}
	return r.base
}

func (r *run) jobLocked(j *job, index int) context.Context {
	ctx := span.At(r.w.ctx, j.rec.Place(index))
	if !span.On() {
		return ctx
	}
	ctx, r.span = span.Begin(ctx, span.Consumer, "run "+r.pack.Function)
	r.aboutLocked()
	r.span.Text("become.job", j.rec.ID(j.seq, index).String())
	r.span.Number("become.attempt", j.attempt(index))
	return ctx
}

func (r *run) aboutLocked() {
	r.span.Text("code.function.name", r.pack.Function)
	r.span.Text("become.worker", r.w.opts.ID)
}

// overLocked ends the span of a pack, which may have had more tasks than were run here.
func (r *run) overLocked() {
	if r.span != nil {
		r.span.Number("become.tasks", r.recorded)
		r.span.End(nil)
	}
}

// notedLocked takes the outcome of a task down, which ends the span of a job.
func (r *run) notedLocked(o task.Outcome) {
	if r.span == nil {
		return
	}
	_, isJob := r.out.(*job)
	switch {
	case isJob:
		r.span.End(o.Err)
		r.span = nil
	case o.Err != nil:
		r.span.Failed(o.Err)
	}
}
