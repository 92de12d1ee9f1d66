package worker

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/ground/line"
	"github.com/universal-server/become/work/engine"
	"github.com/universal-server/become/work/task"
)

// Values keeps large values outside of messages.
type Values interface {
	Load(ctx context.Context, name string) ([]byte, error)
	Store(ctx context.Context, value []byte) (name string, err error)
}

// Options of a worker. Engine is required; zero values mean the defaults.
type Options struct {
	// ID names the worker in the fleet.
	ID     string
	Engine engine.Engine
	// Slots is how many packs run at once. Default: the number of CPUs.
	Slots int
	// Grace is how long a cancelled task may go on. Default 5 s.
	Grace time.Duration
	// Values resolves values sent by reference. Nil refuses them.
	Values Values
	// Leave asks for this process to be killed, and says why. Nil: it cannot be; then
	// a task that does not stop keeps its goroutine and loses its slot.
	Leave func(reason string)
	// Held hears the tokens of the leases that the worker takes, so that another process
	// can give them back when this one dies. Nil: they run out by themselves.
	Held   func(tokens []string)
	Logger *slog.Logger
}

func (o *Options) slots() int {
	if o.Slots < 1 {
		return runtime.NumCPU()
	}
	return o.Slots
}

func (o *Options) grace() time.Duration {
	if o.Grace <= 0 {
		return 5 * time.Second
	}
	return o.Grace
}

var (
	errBossGone = errors.New("its boss is gone")
	errCanceled = errors.New("canceled by its boss")
)

// Worker runs tasks. Its methods may be called from several goroutines.
type Worker struct {
	opts   Options
	slots  int
	ctx    context.Context // ends with Close: tasks' contexts descend from it
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup // one for every goroutine that runs a pack

	mu       sync.Mutex
	busy     int                // slots taken; above slots while nested calls return
	perFunc  map[string]int     // running packs of functions that have a limit
	waiting  []*run             // packs without a slot, first in first out
	active   map[*run]struct{}  // packs running
	bosses   map[*peer]struct{} // lines
	draining bool
	idle     chan struct{} // closed when draining and nothing is left
	done     uint64
	failed   uint64
	freed    chan struct{} // closed when a slot became free, for the job pullers; nil: nobody waits
}

// New returns a worker without lines. Close it.
func New(opts Options) *Worker {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	w := &Worker{
		opts:    opts,
		slots:   opts.slots(),
		perFunc: map[string]int{},
		active:  map[*run]struct{}{},
		bosses:  map[*peer]struct{}{},
		idle:    make(chan struct{}),
	}
	w.ctx, w.cancel = context.WithCancelCause(context.Background())
	return w
}

// Slots returns how many packs run at once.
func (w *Worker) Slots() int { return w.slots }

// Stats is what the worker has done and does.
type Stats struct {
	Running, Lines int
	Done, Failed   uint64
}

// Stats returns the counters now.
func (w *Worker) Stats() Stats {
	w.mu.Lock()
	defer w.mu.Unlock()
	return Stats{Running: len(w.active), Lines: len(w.bosses), Done: w.done, Failed: w.failed}
}

// submit takes a pack: it runs now, or waits for a slot for as long as the
// budget. False: the worker takes none any more.
func (w *Worker) submit(r *run) bool {
	w.mu.Lock()
	if w.draining || w.ctx.Err() != nil {
		w.mu.Unlock()
		return false
	}
	if !w.startLocked(r) {
		w.waiting = append(w.waiting, r)
		r.patience = time.AfterFunc(task.Budget, func() { w.withdraw(r) })
	}
	w.mu.Unlock()
	return true
}

// startLocked starts r if there is a slot for it, and the worker is not closed.
func (w *Worker) startLocked(r *run) bool {
	if w.busy >= w.slots || w.ctx.Err() != nil {
		return false
	}
	if limit := r.slotLimit(); limit > 0 {
		if w.perFunc[r.pack.Function] >= limit {
			return false
		}
		w.perFunc[r.pack.Function]++
	}
	w.busy++
	w.active[r] = struct{}{}
	w.wg.Go(r.exec)
	return true
}

// pumpLocked starts waiting packs while there are slots.
func (w *Worker) pumpLocked() {
	kept := w.waiting[:0]
	for _, r := range w.waiting {
		if w.startLocked(r) {
			r.patience.Stop()
		} else {
			kept = append(kept, r)
		}
	}
	clear(w.waiting[len(kept):])
	w.waiting = kept
	if w.busy < w.slots && w.freed != nil {
		close(w.freed)
		w.freed = nil
	}
	if w.draining && len(w.active) == 0 && len(w.waiting) == 0 {
		select {
		case <-w.idle:
		default:
			close(w.idle)
		}
	}
}

// freedLocked returns a channel that is closed at the next end of a run, or
// when one lends its slot, if there is a slot free then.
func (w *Worker) freedLocked() <-chan struct{} {
	if w.freed == nil {
		w.freed = make(chan struct{})
	}
	return w.freed
}

// withdraw returns a pack that found no slot in time.
func (w *Worker) withdraw(r *run) {
	w.mu.Lock()
	for i, other := range w.waiting {
		if other == r {
			w.waiting = append(w.waiting[:i], w.waiting[i+1:]...)
			w.mu.Unlock()
			r.giveBack()
			return
		}
	}
	w.mu.Unlock()
}

// finished releases r's slot, unless it was released before.
func (w *Worker) finished(r *run, done, failed int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.active[r]; !ok {
		return // it was abandoned, and counted then
	}
	w.done += uint64(done)
	w.failed += uint64(failed)
	delete(w.active, r)
	if r.blocked <= 0 {
		w.busy--
	} else {
		w.lendLocked(r, -1)
	}
	r.blocked = -1 << 30 // a goroutine left behind changes nothing any more
	if r.slotLimit() > 0 {
		w.perFunc[r.pack.Function]--
	}
	w.pumpLocked()
}

// block lends r's slot to others while it waits for its first nested call.
func (w *Worker) block(r *run) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r.blocked++; r.blocked == 1 {
		w.busy--
		w.lendLocked(r, 1)
		w.pumpLocked()
	}
}

// unblock takes the slot back after the last nested call. It does not wait
// for one to be free: the worker is over its number for a moment instead, and
// nested calls cannot deadlock.
func (w *Worker) unblock(r *run) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r.blocked--; r.blocked == 0 {
		w.busy++
		w.lendLocked(r, -1)
	}
}

// lendLocked changes the credit of r's boss: a pack that waits takes no slot,
// so it must take no credit either, or a chain of nested calls would use it up.
func (w *Worker) lendLocked(r *run, n int) {
	if p, ok := r.out.(*peer); ok {
		p.lent += n
		w.shareLocked()
	}
}

// leave gives up this process because a task will not stop.
func (w *Worker) leave(reason string) {
	w.opts.Logger.Warn("giving up this process", "reason", reason)
	if w.opts.Leave != nil {
		w.opts.Leave(reason)
	}
}

// Condemn answers every running task with an error that says why this process
// is about to be killed, and takes no more.
func (w *Worker) Condemn(reason string) {
	w.mu.Lock()
	w.draining = true
	var runs []*run
	for r := range w.active {
		runs = append(runs, r)
	}
	w.mu.Unlock()
	for _, r := range runs {
		r.condemn(reason)
	}
}

// Drain takes no new packs, returns those that wait, and returns when those that
// run have ended and their answers are written, or ctx ends.
func (w *Worker) Drain(ctx context.Context) error {
	w.mu.Lock()
	w.draining = true
	waiting := w.waiting
	w.waiting = nil
	for p := range w.bosses {
		p.grantLocked(0)
	}
	w.pumpLocked()
	w.mu.Unlock()
	for _, r := range waiting {
		r.patience.Stop()
		r.giveBack()
	}
	select {
	case <-w.idle:
	case <-ctx.Done():
		return fault.New(fault.KindOf(ctx.Err()), "drain worker", w.opts.ID, ctx.Err())
	}
	// The answers may still wait behind another frame.
	written := make(chan struct{})
	go func() { w.flush(); close(written) }() // bounded by the lines' write timeout
	select {
	case <-written:
		return nil
	case <-ctx.Done():
		return fault.New(fault.KindOf(ctx.Err()), "drain worker", w.opts.ID, ctx.Err())
	}
}

func (w *Worker) flush() {
	w.mu.Lock()
	lines := make([]*line.Conn, 0, len(w.bosses))
	for p := range w.bosses {
		lines = append(lines, p.conn)
	}
	w.mu.Unlock()
	for _, l := range lines {
		l.Flush()
	}
}

// Close cancels what runs, ends every line, and waits for the tasks that obey
// their context, at most for the grace.
func (w *Worker) Close() error {
	w.cancel(errors.New("the worker is closing"))
	w.mu.Lock()
	for p := range w.bosses {
		p.conn.Close()
	}
	w.mu.Unlock()
	ended := make(chan struct{})
	go func() { w.wg.Wait(); close(ended) }()
	timer := time.NewTimer(w.opts.grace())
	defer timer.Stop()
	select {
	case <-ended:
		return nil
	case <-timer.C:
		return fault.Text(fault.Deadline, "close worker", w.opts.ID, "a task ignores its context")
	}
}
