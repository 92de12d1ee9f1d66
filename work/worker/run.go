package worker

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/trace/span"
	"github.com/universal-server/become/work/engine"
	"github.com/universal-server/become/work/task"
)

// sink takes the outcomes of a run: a boss's line, or the job puller.
type sink interface {
	// outcomes takes consecutive outcomes. items belongs to the caller again
	// when it returns.
	outcomes(o task.Outcomes)
	progress(pack uint64, index int, value []byte)
	// attempt returns how often the pack's tasks were begun before, plus 1.
	attempt(index int) int
}

// run is a pack under way. One goroutine (exec) runs its tasks; cancelling,
// the budget and the grace come from others and go through mu.
type run struct {
	w        *Worker
	out      sink
	pack     task.Pack
	fn       engine.Function // nil when the lookup failed
	fnErr    error
	patience *time.Timer // while waiting for a slot
	onEnd    func()      // called once when the final outcomes were sent
	blocked  int         // nested calls being waited for; guarded by w.mu

	at atomic.Int32 // current, for those without mu

	mu       sync.Mutex
	limit    int // tasks below it are run here, the others were returned
	current  int // index of the task running; -1 before the first
	recorded int // tasks below it have an outcome
	sent     int // outcomes below it were sent
	items    []byte
	began    time.Time    // when the tasks in items began
	canceled map[int]bool // tasks to be refused when their turn comes
	all      error        // every task is cancelled, for this reason
	ctx      context.Context
	stop     context.CancelCauseFunc
	graceful *time.Timer
	over     bool            // the final frame was sent: nothing more may be
	base     context.Context // what ctx is made of, see placedLocked
	span     *span.Span      // of the pack, or of the job that runs; nil if nobody makes them
	failed   int
}

func (w *Worker) newRun(pack task.Pack, out sink) *run {
	r := &run{w: w, out: out, pack: pack, limit: pack.Count, current: -1}
	r.fn, r.fnErr = w.opts.Engine.Lookup(pack.Function)
	return r
}

func (r *run) slotLimit() int {
	if r.fn == nil {
		return 0
	}
	return r.fn.Limits().Slots
}

// giveBack returns the whole pack, which has not begun.
func (r *run) giveBack() {
	r.mu.Lock()
	r.limit = 0
	r.finalLocked()
	r.mu.Unlock()
}

// exec runs the tasks one after another in the goroutine of a slot.
func (r *run) exec() {
	returned := false
	defer func() {
		if returned {
			return
		}
		// The function called runtime.Goexit: its goroutine, this one, is lost,
		// the rest of the pack is not.
		if r.record(task.Outcome{Status: task.Failed, Err: fault.Text(fault.Remote, "run function", r.pack.Function, "it ended its goroutine (runtime.Goexit)")}) {
			r.w.wg.Go(r.exec)
		}
	}()
	var scratch []byte
	var budget *time.Timer
	if r.pack.Count > 1 {
		budget = time.AfterFunc(task.Budget, r.keepOnlyCurrent)
		defer budget.Stop()
	}
	for {
		value, ctx, ok := r.next()
		if !ok {
			break
		}
		var o task.Outcome
		o, scratch = r.one(ctx, value, scratch[:0])
		if !r.record(o) {
			break
		}
	}
	returned = true
	r.end()
}

// next claims the next task and makes its context.
func (r *run) next() (task.Value, *taskContext, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for !r.over && r.current+1 < r.limit {
		r.current++
		r.at.Store(int32(r.current))
		var v task.Value
		v, r.pack.Values = task.NextValue(r.pack.Values)
		if r.began.IsZero() {
			r.began = time.Now()
		}
		if cause := r.cancelCauseLocked(r.current); cause != nil {
			r.appendLocked(task.Outcome{Status: task.Failed, Err: fault.New(fault.Canceled, "run function", r.pack.Function, cause)})
			continue
		}
		if r.ctx == nil || r.ctx.Err() != nil || r.alone() {
			if r.stop != nil {
				r.stop(nil)
			}
			r.ctx, r.stop = context.WithCancelCause(r.placedLocked(r.current))
		}
		return v, &taskContext{Context: r.ctx, r: r, index: r.current}, true
	}
	return task.Value{}, nil, false
}

func (r *run) cancelCauseLocked(index int) error {
	if r.all != nil {
		return r.all
	}
	if r.canceled[index] {
		return errCanceled
	}
	return nil
}

// record keeps the current task's outcome and reports whether more may follow.
func (r *run) record(o task.Outcome) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return false
	}
	if r.graceful != nil {
		r.graceful.Stop()
		r.graceful = nil
	}
	r.appendLocked(o)
	if len(r.items) > task.Inline {
		r.flushLocked(false)
	}
	return true
}

func (r *run) appendLocked(o task.Outcome) {
	if o.Status != task.OK && o.Status != task.OKRef {
		r.failed++
	}
	r.notedLocked(o)
	r.recorded++
	r.items = task.AppendOutcome(r.items, o)
}

// flushLocked sends the outcomes there are.
func (r *run) flushLocked(final bool) {
	var nanos uint64
	if !r.began.IsZero() {
		nanos = uint64(time.Since(r.began))
	}
	r.out.outcomes(task.Outcomes{
		Pack: r.pack.ID, First: r.sent, Count: r.recorded - r.sent, Final: final, Limit: r.limit, Nanos: nanos, Items: r.items,
	})
	r.sent = r.recorded
	r.items = r.items[:0]
	if !final {
		r.began = time.Now()
	}
}

// running reports whether the current task has no outcome yet.
func (r *run) running() bool { return r.current >= r.recorded }

func (r *run) finalLocked() {
	if r.over {
		return
	}
	r.overLocked()
	r.flushLocked(true)
	r.over = true
	if r.onEnd != nil {
		r.onEnd()
	}
}

// end sends the final outcomes and frees the slot.
func (r *run) end() {
	r.mu.Lock()
	r.finalLocked()
	if r.stop != nil {
		r.stop(nil)
	}
	done, failed := r.recorded, r.failed
	r.mu.Unlock()
	r.w.finished(r, done, failed)
}

// keepOnlyCurrent returns the tasks not begun and sends the outcomes so far.
func (r *run) keepOnlyCurrent() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over || r.current < 0 || r.limit <= r.current+1 {
		return
	}
	r.limit = r.current + 1
	r.flushLocked(false)
}

// cancel ends one task, or makes sure that it does not begin.
func (r *run) cancel(index int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.over || index < r.current || index >= r.limit:
	case index == r.current:
		if r.stop != nil {
			r.stop(errCanceled)
		}
		r.beginGraceLocked(index, fault.New(fault.Canceled, "run function", r.pack.Function, errCanceled))
	default:
		if r.canceled == nil {
			r.canceled = map[int]bool{}
		}
		r.canceled[index] = true
	}
}

// cancelAll ends every task of the pack.
func (r *run) cancelAll(cause error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return
	}
	r.all = cause
	if r.stop != nil {
		r.stop(cause)
	}
	if r.current >= 0 {
		r.beginGraceLocked(r.current, fault.New(fault.Canceled, "run function", r.pack.Function, cause))
	}
}

// expire begins the grace of a task that is out of time.
func (r *run) expire(index int, ctx context.Context) {
	if ctx.Err() != context.DeadlineExceeded {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.over && r.current == index {
		r.beginGraceLocked(index, fault.New(fault.Deadline, "run function", r.pack.Function, context.Cause(ctx)))
	}
}

func (r *run) beginGraceLocked(index int, why *fault.Error) {
	if r.graceful != nil || !r.running() {
		return
	}
	r.graceful = time.AfterFunc(r.w.opts.grace(), func() { r.abandon(index, why) })
}

// abandon answers for a task that ignores its context, and gives up the
// process it runs in.
func (r *run) abandon(index int, why *fault.Error) {
	r.mu.Lock()
	if r.over || r.current != index || !r.running() {
		r.mu.Unlock()
		return
	}
	why.Hint = "the function ignored its context; its process was killed"
	r.appendLocked(task.Outcome{Status: task.Failed, Err: why})
	r.limit = r.current + 1
	r.finalLocked()
	done, failed := r.recorded, r.failed
	r.mu.Unlock()
	r.w.finished(r, done, failed)
	r.w.leave(fmt.Sprintf("function %s went on for %v after it was told to stop", r.pack.Function, r.w.opts.grace()))
}

// condemn answers the running task with why its process is killed.
func (r *run) condemn(reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over || !r.running() {
		return
	}
	if _, ok := r.out.(*job); ok {
		return // jobs are run again by their lease, up to their tries
	}
	err := fault.Text(fault.Lost, "run function", r.pack.Function, "its process was killed: "+reason)
	r.appendLocked(task.Outcome{Status: task.GaveUp, Err: err})
	r.limit = r.current + 1
	r.finalLocked()
}
